"""A measured lesion's mask on the voxels of its image: NIfTI, NRRD, or DICOM SEG by highdicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.grid import GridMap
from retrieval.lesion import LesionSearchError
from retrieval.segmentation.measuring import LesionMeasurement
from retrieval.sources.dicom.sniffing import is_dicom
from retrieval.sources.importers.masks.placed import PlacedImage, place_series
from retrieval.sources.volumes.reading import header_of, read_volume, volume_kind

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
POSITION_DIGITS = 2


class MaskFileError(LesionSearchError):
    """A mask that cannot be written as asked."""


def check_kind(path: Path, image: Path) -> None:
    """Raises MaskFileError for a file name of no known kind, or SEG of what is no DICOM."""
    kind = _suffix(path)
    if kind not in WRITERS:
        raise MaskFileError(
            f"mask file {path.name} is of no kind that is written: {', '.join(sorted(WRITERS))}"
        )
    if kind == ".dcm" and not _dicom_files(image):
        raise MaskFileError(
            f"{path.name} would be a DICOM SEG, but {image.name} is no DICOM: choose .nii.gz or "
            ".nrrd"
        )


def write_mask(path: Path, found: LesionMeasurement, image: Path) -> None:
    """Writes the mask with the geometry of the image it was measured on.

    Args:
        path: its suffix says the kind.
        found: measured on ``image``.
        image: the file or folder that the slab was read from.

    Raises:
        MaskFileError: another kind, or the image's geometry is not known.
        CTError: the image cannot be read again.
    """
    check_kind(path, image)
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[_suffix(path)](path, found, image)


def on_file(found: LesionMeasurement, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The mask as (k, j, i) of the image's file, whose shape is given."""
    grid: GridMap = found.slab.grid
    lesion = found.lesion
    k, row, column = np.nonzero(lesion.mask)
    display = (column, row, k + lesion.first)
    index: list[NDArray[Any]] = [np.zeros(0, np.int64)] * 3
    for axis, position in enumerate(display):
        # Of a longer series only a run may have been read; its slices keep their numbers.
        first = found.slab.slice_numbers[0] if axis == 2 else 0
        index[grid.axes[axis]] = grid.origin[axis] + grid.step[axis] * position - first
    mask = np.zeros(shape, np.uint8)
    mask[index[2], index[1], index[0]] = 1
    return mask


def _write_nifti(path: Path, found: LesionMeasurement, image: Path) -> None:
    import nibabel

    nifti: Any

    mask, steps, origin = _placed(found, image)
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ steps.T
    affine[:3, 3] = LPS_TO_RAS @ origin
    nifti = nibabel.Nifti1Image(mask.transpose(2, 1, 0), affine)  # type: ignore[no-untyped-call]
    nifti.header.set_xyzt_units("mm")
    nibabel.save(nifti, str(path))


def _write_nrrd(path: Path, found: LesionMeasurement, image: Path) -> None:
    import nrrd

    mask, steps, origin = _placed(found, image)
    header = {
        "space": "left-posterior-superior",
        "space directions": steps,
        "space origin": origin,
        "kinds": ["domain", "domain", "domain"],
    }
    nrrd.write(str(path), mask.transpose(2, 1, 0), header)


def _write_seg(path: Path, found: LesionMeasurement, image: Path) -> None:
    from service.figures.measurement.seg import segmentation_of

    placed, datasets = _series(found, image)
    mask = on_file(found, placed.shape)
    segmentation_of(mask, datasets, found.method.value).save_as(path)


def _placed(
    found: LesionMeasurement, image: Path
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """The mask (k, j, i), the steps along i, j, k and the first voxel's centre in (L, P, S)."""
    if _dicom_files(image):
        placed, _ = _series(found, image)
        return on_file(found, placed.shape), placed.steps_mm, placed.origins_mm[0]
    if image.is_file() and (volume_kind(image) or header_of(image)):
        stored = read_volume(image)
        slices, rows, columns = stored.values.shape
        return on_file(found, (slices, rows, columns)), stored.steps_mm, stored.origin_mm
    return _of_pictures(found)


def _of_pictures(
    found: LesionMeasurement,
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """PNG slices have no place in the patient: millimetres from the first one, feet to head."""
    slab = found.slab
    x_mm, y_mm = slab.spacing_mm_px
    steps = np.diag([x_mm, y_mm, slab.slice_interval_mm])
    return found.whole_mask.astype(np.uint8), steps, np.zeros(3)


def _series(found: LesionMeasurement, image: Path) -> tuple[PlacedImage, list[Any]]:
    """The DICOM series of the slab, and its datasets in the order of its slices."""
    import pydicom

    groups: dict[str, list[Path]] = {}
    for file in _dicom_files(image):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        groups.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(file)
    for files in groups.values():
        placed = place_series(image.name, files)
        same_shape = placed.slab.hu.shape == found.slab.hu.shape
        key = found.slab.key_slice
        if same_shape and np.array_equal(placed.slab.hu[key], found.slab.hu[key]):
            datasets = [pydicom.dcmread(file) for file in files]
            return placed, _in_order(placed, datasets)
    raise MaskFileError(
        f"the series of the mask is not found again in {image.name}: choose another --mask-out"
    )


def _in_order(placed: PlacedImage, datasets: list[Any]) -> list[Any]:
    by_place = {_key(one.ImagePositionPatient): one for one in datasets}
    try:
        return [by_place[_key(origin)] for origin in placed.origins_mm]
    except KeyError:
        raise MaskFileError(
            f"slices of {placed.name} share a file: choose .nii.gz or .nrrd for the mask"
        ) from None


def _key(position: Any) -> tuple[float, ...]:
    return tuple(round(float(value), POSITION_DIGITS) for value in position)


def _dicom_files(image: Path) -> list[Path]:
    files = [image] if image.is_file() else sorted(one for one in image.rglob("*") if one.is_file())
    return [file for file in files if is_dicom(file)]


def _suffix(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


WRITERS: dict[str, Callable[[Path, LesionMeasurement, Path], None]] = {
    ".nii": _write_nifti,
    ".nii.gz": _write_nifti,
    ".nrrd": _write_nrrd,
    ".dcm": _write_seg,
}
