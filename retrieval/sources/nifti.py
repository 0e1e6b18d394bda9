"""CT from NIfTI, turned to the view of a DICOM axial series.

Rows run from the patient's front to the back, columns from right to left, slices from the feet to
the head: the directions L, P, S of DICOM's patient coordinates, whatever order the file holds.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations as nibabel_orientations
from numpy.typing import NDArray

from retrieval.image import CTError, Slab
from retrieval.sources.axes import MAX_TILT_DEGREES, tilt_degrees

orientations: Any = nibabel_orientations  # its functions carry no types


class NiftiError(CTError):
    """A NIfTI file that cannot be read as an axial CT in HU."""


@dataclass(frozen=True)
class NiftiVolume:
    """Values on an axial grid.

    Attributes:
        values: (slices, rows, columns) in the directions S, P, L; the file's own numbers, scaled.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: millimetres between neighbouring slices.
    """

    values: NDArray[Any]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float


def read_nifti(path: Path, *, key_slice: int | None = None) -> Slab:
    """The whole volume as CT; ``key_slice`` counts from the feet, default the middle.

    Raises:
        NiftiError: not NIfTI, not three-dimensional, no orientation, oblique, NaN or infinite
            values, 8-bit values, or a key slice outside the volume.
    """
    volume = read_nifti_volume(path)
    if volume.values.dtype.itemsize < 2:
        raise NiftiError(f"{path.name} holds {volume.values.dtype} values: HU need 16 bits or more")
    hu = volume.values.astype(np.float32)
    if not np.isfinite(hu).all():
        raise NiftiError(f"{path.name} holds NaN or infinite values: repair the file")
    count = hu.shape[0]
    position = count // 2 if key_slice is None else key_slice
    if not 0 <= position < count:
        raise NiftiError(f"key slice {position} is not in {path.name}: 0 to {count - 1}")
    return Slab(hu, volume.spacing_mm_px, volume.slice_interval_mm, position)


def read_nifti_volume(path: Path) -> NiftiVolume:
    """The values of a NIfTI file, CT or mask, on the axial grid; raises NiftiError."""
    loaded = _load(path)
    shape = tuple(loaded.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise NiftiError(f"{path.name} has the shape {tuple(loaded.shape)}: one 3D volume")
    _check_header(path, loaded.header)
    affine = np.asarray(loaded.affine, dtype=np.float64)
    axes = affine[:3, :3].T
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.isfinite(affine).all() and (lengths > 0).all()):
        raise NiftiError(f"{path.name} has the voxel size {lengths.round(4).tolist()} mm: not > 0")
    if (tilt := tilt_degrees(list(axes))) > MAX_TILT_DEGREES:
        raise NiftiError(
            f"{path.name} is oblique by {tilt:.1f} degrees: at most {MAX_TILT_DEGREES:g}; "
            "resample it to axial slices"
        )
    present = orientations.io_orientation(affine)
    turn = orientations.ornt_transform(present, orientations.axcodes2ornt(("L", "P", "S")))
    values = orientations.apply_orientation(_values(path, loaded).reshape(shape), turn)
    order = np.argsort(turn[:, 0])
    x_mm, y_mm, z_mm = (float(lengths[axis]) for axis in order)
    return NiftiVolume(np.ascontiguousarray(values.transpose(2, 1, 0)), (x_mm, y_mm), z_mm)


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
