"""The files of one upload, as they were received, into CT."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.image import Slab
from retrieval.lesion import LesionSearchError
from retrieval.sources.dicom.file import is_deflated
from retrieval.sources.query_image import (
    ACCEPTED,
    NEIGHBOUR_DEPTH_MM,
    ImageKind,
    kind_of,
    open_query_image,
)
from retrieval.sources.volumes.reading import data_file_name
from service.decoding.identity import IdentifiedImage, identity_of
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.screening import screen
from service.decoding.unpacking import (
    GZIP,
    ZIP,
    Budget,
    entry_names,
    expand_zip,
    inflate_dicom,
    inflate_gzip,
)

_MIN_MM, _MAX_MM = 0.001, 1000.0
_STORED_NAME = re.compile(r"(?<![\w.-])(\d{4,5})\.(?:dcm|png|nii|nrrd|mha)(?![\w-])")
"""A file as it is stored here, under its number."""

_MAX_HU = 1e6
"""Metal reaches some ten thousand."""

_SUFFIX = {
    ImageKind.PNG: ".png",
    ImageKind.DICOM: ".dcm",
    ImageKind.NIFTI: ".nii",
    ImageKind.NRRD: ".nrrd",
    ImageKind.META_IMAGE: ".mha",
}


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """What a client may say about its image.

    ``spacing_mm`` is along x, along y and from slice to slice; PNG has no geometry of its own.
    ``half_depth_mm`` is how far from the key slice PNG neighbours are read. ``names`` is what the
    client calls its files: they may say whose images these are, and are never paths. ``series``
    chooses one of several DICOM series. ``assume_hu`` takes values for HU that do not look like
    it.
    """

    key_slice_index: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    half_depth_mm: float = NEIGHBOUR_DEPTH_MM
    names: tuple[str, ...] = ()
    series: str | None = None
    assume_hu: bool = False


def read_folder(
    folder: Path,
    options: UploadOptions,
    limits: DecodeLimits,
    names: Mapping[int, str] | None = None,
) -> Slab:
    """The slab of the received files, which lie in ``folder`` under numbers in their order.

    Several PNGs are consecutive slices in their order, numbered from 1. ``names`` is what sender or
    zip call the files, by their numbers: messages and notes call them so.

    Raises:
        UploadError: with one line that tells nothing of where the upload was stored.
    """
    try:
        files, others = _unpacked(folder, limits)
        files = _with_data_file(files) or [_named_by_content(file) for file in files]
        _check_one_kind(files)
        screen(files, limits)
        if len(files) > 1:
            series = folder / "series"
            series.mkdir()
            for file in files:
                file.rename(series / file.name)
        slab = open_query_image(
            files[0] if len(files) == 1 else folder / "series",
            key_slice_index=options.key_slice_index,
            spacing_mm=options.spacing_mm,
            half_depth_mm=options.half_depth_mm,
            series=options.series,
            assume_hu=options.assume_hu,
        )
        _check_plausible(slab)
        notes = [f"left out: {others} files of other kinds"] if others else []
        notes += [_called(note, names) for note in slab.notes]
        return replace(slab, notes=tuple(notes))
    except LesionSearchError as mistake:
        words = str(mistake).replace(str(folder / "series") + os.sep, "upload ")
        words = words.replace(str(folder / "series"), "the upload")
        words = words.replace(str(folder) + os.sep, "upload ").replace(str(folder), "the upload")
        raise UploadError(_called(words, names)) from None


def _called(words: str, names: Mapping[int, str] | None) -> str:
    """The words with the files' own names in place of the numbers they are stored under."""

    def own(stored: re.Match[str]) -> str:
        return (names or {}).get(int(stored[1])) or stored[0]

    return _STORED_NAME.sub(own, words)


def read_identified(folder: Path, options: UploadOptions, limits: DecodeLimits) -> IdentifiedImage:
    """``read_folder``'s slab with the patient and study that the files name.

    Raises UploadError as well where they name several patients.
    """
    names = _names_of(folder, options, limits)
    slab = read_folder(folder, options, limits, names)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    dicom = [file for file in files if file.suffix == _SUFFIX[ImageKind.DICOM]]
    called = [names.get(int(file.stem), "") if file.stem.isdecimal() else "" for file in files]
    identity = identity_of(dicom, called)
    return IdentifiedImage(slab, None if identity is None else identity.of_slices(len(slab.hu)))


def _names_of(folder: Path, options: UploadOptions, limits: DecodeLimits) -> dict[int, str]:
    """What sender or zip call the images, by the numbers that stand for their names here."""
    received = sorted(folder.iterdir())
    with received[0].open("rb") as file:
        is_zip = file.read(4).startswith(ZIP)
    names = entry_names(received[0], limits) if is_zip else options.names
    return dict(enumerate(names, start=1))


def _check_plausible(slab: Slab) -> None:
    """Numbers that no CT has, which overflow in what is computed from them."""
    lengths = (*slab.spacing_mm_px, slab.slice_interval_mm)
    if not all(_MIN_MM <= length <= _MAX_MM for length in lengths):
        raise UploadError(
            f"spacing {lengths} mm (x, y, interval): each from {_MIN_MM} to {_MAX_MM:g} is read"
        )
    low, high = float(slab.hu.min()), float(slab.hu.max())
    if not (low >= -_MAX_HU and high <= _MAX_HU):
        raise UploadError(
            f"the values reach from {low:g} to {high:g}, some infinite or far from any HU"
        )


def _unpacked(folder: Path, limits: DecodeLimits) -> tuple[list[Path], int]:
    """The images, inflated, and how many files of a zip are of no kind that is read."""
    received = sorted(folder.iterdir())
    budget = Budget(limits.max_inflated_bytes)
    files: list[Path] = []
    others = 0
    for path in received:
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith(ZIP):
            if len(received) > 1:
                raise UploadError(f"{len(received)} files were sent, one a zip: send it alone")
            entries = folder / "entries"
            entries.mkdir()
            found, others = expand_zip(path, entries, limits, budget)
            files += found
            path.unlink()
        elif head.startswith(GZIP):
            inflated = path.with_name(path.name + "-inflated")
            inflate_gzip(path, inflated, budget)
            path.unlink()
            files.append(inflated.rename(path))
        else:
            files.append(path)
    for path in files:
        if is_deflated(path):
            inflate_dicom(path, budget)
    return files, others


def _with_data_file(files: list[Path]) -> list[Path]:
    """A volume's header alone, its data file laid beside it; nothing for any other upload."""
    kinds = [kind_of(path) for path in files]
    if len(files) != 2 or not {ImageKind.UNKNOWN} < set(kinds):
        return []
    header, data = files if kinds[1] is ImageKind.UNKNOWN else files[::-1]
    named = data_file_name(header) if kind_of(header).is_volume else None
    if named is None:
        return []
    folder = header.parent / "volume"
    folder.mkdir()
    header = header.rename(folder / header.name)
    target = folder / named
    # The name is the upload's own text: one that is no plain name is left to the reader to refuse.
    if target.parent == folder and named not in {"", ".", "..", header.name}:
        data.rename(target)
    return [header]


def _named_by_content(path: Path) -> Path:
    kind = kind_of(path)
    if kind is ImageKind.UNKNOWN:
        size = path.stat().st_size
        what = f"of {size} bytes is of no kind that is read"
        raise UploadError(f"upload {path.name} {what}: send {ACCEPTED}, or one of these in a zip")
    return path.rename(path.with_suffix(_SUFFIX[kind]))


def _check_one_kind(files: list[Path]) -> None:
    if len(files) == 1:
        return
    kinds = {path.suffix: 1 for path in files}
    if len(kinds) > 1:
        raise UploadError(f"the upload mixes {len(kinds)} kinds of image: send one of them alone")
    kind = next(kind for kind, suffix in _SUFFIX.items() if suffix == files[0].suffix)
    if kind.is_volume:
        raise UploadError(f"{len(files)} {kind} files were sent: send one")
