"""CT and masks from NIfTI-1 and NIfTI-2: one file, gzip or not, or a header with its data file."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.fileholders import FileHolder
from nibabel.imageglobals import logger as nibabel_logger
from numpy.typing import NDArray

from retrieval.sources.intensity.declared import DeclaredIntensity
from retrieval.sources.volumes.beside import partner
from retrieval.sources.volumes.blocks import head_of, opened
from retrieval.sources.volumes.nifti_axes import placed
from retrieval.sources.volumes.nifti_marks import PAIRS, nifti_mark
from retrieval.sources.volumes.stored import StoredVolume, VolumeError, one_line

SNIFFED_BYTES = 352
_NO_INTENTS = {"none", "estimate", "label"}
"""Intents that do not turn the values into something else; labels show by their values."""

_IMAGES: dict[bytes, Any] = {
    b"n+1\0": nib.Nifti1Image,
    b"ni1\0": nib.Nifti1Pair,
    b"n+2\0": nib.Nifti2Image,
    b"ni2\0": nib.Nifti2Pair,
}


def nifti_shape(path: Path) -> tuple[int, ...]:
    """What a NIfTI header claims: voxels along each axis; raises VolumeError."""
    with ExitStack() as stack:
        return tuple(int(length) for length in _load(path, stack).shape)


def read_nifti(path: Path) -> StoredVolume:
    """One 3D volume of a NIfTI file or pair, whatever its name.

    Raises:
        VolumeError: not NIfTI, the data file of a pair missing, not three-dimensional, no
            orientation or two, another unit than mm, colour values, or damaged.
    """
    with ExitStack() as stack:
        loaded = _load(path, stack)
        shape = tuple(int(length) for length in loaded.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) != 3 or 0 in shape:
            raise VolumeError(
                f"{path.name} has the shape {tuple(loaded.shape)}: one 3D volume is read; save a "
                "single volume, without a time or colour axis"
            )
        header = loaded.header
        dtype = header.get_data_dtype()
        if dtype.kind not in "iuf":
            raise VolumeError(f"{path.name} holds {dtype} values: plain numbers are read")
        steps, origin, notes = placed(path.name, header)
        values = _values(path, loaded).reshape(shape)
    return StoredVolume(
        path.name,
        np.asarray(values).transpose(2, 1, 0),
        steps,
        origin,
        _declared(header, dtype),
        notes,
    )


def _load(path: Path, stack: ExitStack) -> Any:
    mark = nifti_mark(head_of(path, SNIFFED_BYTES))
    if mark is None:
        raise VolumeError(f"{path.name} is not a readable NIfTI file: its header has no NIfTI mark")
    files = {"image": FileHolder(fileobj=_stream(stack, path))}
    if mark in PAIRS:
        files["header"] = files["image"]
        files["image"] = FileHolder(fileobj=_stream(stack, _data_file(path)))
    try:
        # The library mends headers and logs what it mended; what matters is checked here.
        with _quiet(), np.errstate(all="ignore"):
            return _IMAGES[mark].from_file_map(files)
    except _UNREADABLE as wrong:
        raise VolumeError(f"{path.name} is not a readable NIfTI file: {one_line(wrong)}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    before = nibabel_logger.disabled
    nibabel_logger.disabled = True
    try:
        yield
    finally:
        nibabel_logger.disabled = before


def _stream(stack: ExitStack, path: Path) -> Any:
    return stack.enter_context(opened(path))


_UNREADABLE = (
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
)


def _data_file(header: Path) -> Path:
    found = partner(header, (".img",))
    if found is not None:
        return found
    others = [
        file
        for file in header.parent.iterdir()
        if file.is_file() and file != header and not file.name.startswith(".")
    ]
    if len(others) == 1:
        return others[0]
    raise VolumeError(
        f"{header.name} is the header of a NIfTI pair: its data file, of the same name with .img, "
        "is not beside it; give both"
    )


def _values(path: Path, loaded: Any) -> NDArray[Any]:
    try:
        return np.asarray(loaded.dataobj)
    except _UNREADABLE as wrong:
        if isinstance(wrong, OSError) and wrong.errno == errno.ENOMEM:
            raise MemoryError(f"{path.name} needs more memory than there is") from None
        # The library's own words name the file's place on disk, over two lines.
        raise VolumeError(f"{path.name} is cut short or damaged; copy or export it again") from None


def _declared(header: Any, dtype: np.dtype[Any]) -> DeclaredIntensity:
    intent = str(header.get_intent()[0])
    slope = float(header["scl_slope"])
    return DeclaredIntensity(
        rescale_type="" if intent in _NO_INTENTS else intent,
        stored_bits=8 * dtype.itemsize,
        is_scaled=np.isfinite(slope) and slope not in {0.0, 1.0},
    )
