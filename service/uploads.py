"""Untrusted bytes -> CTSlab: judged by content, stored under names of our own, then removed.

What a client calls its files never matters and never reaches the file system. Sizes are checked
before anything is decoded.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from retrieval.ct import CTSlab
from retrieval.lesion import LesionSearchError
from retrieval.sources.query_image import (
    ACCEPTED,
    NEIGHBOUR_DEPTH_MM,
    ImageKind,
    kind_of,
    open_query_image,
)
from service.settings import Settings

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_SUFFIX = {ImageKind.PNG: ".png", ImageKind.DICOM: ".dcm", ImageKind.NIFTI: ".nii"}


class UploadError(LesionSearchError):
    """An upload that is not CT of an accepted kind, or is too large."""


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """What a client may say about its image.

    ``spacing_mm`` is along x, along y and from slice to slice; PNG has no geometry of its own.
    ``half_depth_mm`` is how far from the key slice PNG neighbours are read.
    """

    key_slice_index: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    half_depth_mm: float = NEIGHBOUR_DEPTH_MM


def read_upload(files: Sequence[BinaryIO], options: UploadOptions, settings: Settings) -> CTSlab:
    """The slab of one uploaded file, or of several slices of one series.

    Several PNGs are consecutive slices in the order they were sent, numbered from 1.

    Raises:
        UploadError: a file's kind, number or size is not accepted.
        LesionSearchError: the file is of an accepted kind but cannot be read as CT.
    """
    if not 1 <= len(files) <= settings.max_files:
        raise UploadError(f"{len(files)} files were sent: 1 to {settings.max_files} are accepted")
    with tempfile.TemporaryDirectory(prefix="lesion-search-") as folder:
        for number, file in enumerate(files, start=1):
            _store(file, Path(folder) / f"{number:04d}", settings)
        stored = sorted(Path(folder).iterdir())
        try:
            return open_query_image(
                stored[0] if len(stored) == 1 else Path(folder),
                key_slice_index=options.key_slice_index,
                spacing_mm=options.spacing_mm,
                half_depth_mm=options.half_depth_mm,
            )
        except LesionSearchError as mistake:
            # Where the upload was stored is nobody's business.
            words = str(mistake).replace(folder + os.sep, "upload ").replace(folder, "the upload")
            raise UploadError(words) from None


def _store(file: BinaryIO, target: Path, settings: Settings) -> None:
    """Writes an upload beside ``target``, inflated, with the suffix that its content calls for."""
    with target.open("wb") as stored:
        compressed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if compressed:
            _inflate(file, stored, settings.max_volume_mb << 20)
        else:
            shutil.copyfileobj(file, stored, _CHUNK)
    kind = kind_of(target)
    if kind is ImageKind.UNKNOWN:
        raise UploadError(f"upload {target.name} is of no kind that is read: send {ACCEPTED}")
    target.rename(target.with_suffix(_SUFFIX[kind]))


def _inflate(compressed: BinaryIO, target: BinaryIO, max_bytes: int) -> None:
    written = 0
    try:
        with gzip.GzipFile(fileobj=compressed, mode="rb") as stream:
            while chunk := stream.read(_CHUNK):
                written += len(chunk)
                if written > max_bytes:
                    raise UploadError(
                        f"the file inflates to more than {max_bytes >> 20} MB: send a part of it"
                    )
                target.write(chunk)
    except (OSError, EOFError, zlib.error):
        raise UploadError("the gzip file is damaged or cut off: send it again") from None
