"""CT from NIfTI, brought into the display grid whatever order and directions the file holds."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from retrieval.image import CTError, Slab
from retrieval.sources.axes import DisplayVolume, to_display

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
"""NIfTI's patient coordinates (right, anterior, superior) to DICOM's (left, posterior, ...)."""


class NiftiError(CTError):
    """A NIfTI file that cannot be read as an axial CT in HU."""


def read_nifti(path: Path, *, key_slice: int | None = None) -> Slab:
    """The whole volume as CT; ``key_slice`` is the file's own index, default the middle.

    Raises:
        NiftiError: not NIfTI, not three-dimensional, no orientation, NaN or infinite values, or
            8-bit values.
        CTError: oblique, or a key slice outside the volume.
    """
    volume = read_nifti_volume(path)
    if volume.values.dtype.itemsize < 2:
        raise NiftiError(f"{path.name} holds {volume.values.dtype} values: HU need 16 bits or more")
    if not np.isfinite(volume.values).all():
        raise NiftiError(f"{path.name} holds NaN or infinite values: repair the file")
    return volume.slab(path.name, key_slice=key_slice)


def read_nifti_volume(path: Path) -> DisplayVolume:
    """The values of a NIfTI file, CT or mask, on the display grid; raises CTError."""
    loaded = _load(path)
    shape = tuple(loaded.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise NiftiError(f"{path.name} has the shape {tuple(loaded.shape)}: one 3D volume")
    _check_header(path, loaded.header)
    affine = np.asarray(loaded.affine, dtype=np.float64)
    values = _values(path, loaded).reshape(shape)
    return to_display(path.name, values.transpose(2, 1, 0), affine[:3, :3].T * RAS_TO_LPS)


def _load(path: Path) -> Any:
    try:
        loaded = nib.load(path)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, zlib.error) as wrong:
        raise NiftiError(f"{path.name} is not a readable NIfTI file: {wrong}") from None
    if not isinstance(loaded, nib.Nifti1Image):
        raise NiftiError(f"{path.name} is a {type(loaded).__name__}: NIfTI (.nii, .nii.gz) is read")
    return loaded


def _check_header(path: Path, header: Any) -> None:
    unit = header.get_xyzt_units()[0]
    if unit not in {"mm", "unknown"}:
        raise NiftiError(f"{path.name} measures in {unit!r}: millimetres are read")
    if int(header["qform_code"]) <= 0 and int(header["sform_code"]) <= 0:
        raise NiftiError(
            f"{path.name} says nothing of its orientation (qform and sform codes are 0): "
            "left and right would be a guess; write one of them"
        )
    if header.get_data_dtype().kind not in "iuf":
        raise NiftiError(f"{path.name} holds {header.get_data_dtype()} values: plain numbers")


def _values(path: Path, loaded: Any) -> NDArray[Any]:
    try:
        return np.asarray(loaded.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as wrong:
        raise NiftiError(f"{path.name} is cut short or damaged: {wrong}") from None
