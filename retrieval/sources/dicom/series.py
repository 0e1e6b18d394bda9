"""CT from DICOM: one file, or a folder that holds one series.

The file grid of a series is its columns, its rows and its images in the order of their positions
along the normal of ImageOrientationPatient (row direction times column direction), from 0: feet to
head for a usual series, as SimpleITK sorts them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.misc import is_dicom

from retrieval.image import AIR_HU, Slab
from retrieval.sources.axes import to_display
from retrieval.sources.dicom.codestream import check_codestream
from retrieval.sources.dicom.header import DicomError, DicomPlane, read_plane
from retrieval.sources.intensity.declared import UNDECLARED, DeclaredIntensity, judge_declared
from retrieval.sources.intensity.histogram import IntensityKind
from retrieval.sources.intensity.judgement import require_hu

MAX_GAP_SHARE = 0.01
"""Intervals between neighbouring slices may differ from their median by this part."""


@dataclass(frozen=True)
class DicomGrid:
    """A series in order.

    Attributes:
        hu: (slices, rows, columns), float32.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: from the positions, never from SliceThickness.
        orientation: six cosines, row direction first.
        positions: (slices, 3), mm, the centre of each slice's top-left pixel.
        declared: what the files say of their values.
    """

    hu: NDArray[np.float32]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    orientation: NDArray[np.float64]
    positions: NDArray[np.float64]
    declared: DeclaredIntensity = UNDECLARED

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """(3, 3): the steps along columns, rows and slices in patient coordinates."""
        across, down = self.orientation[:3], self.orientation[3:]
        x_mm, y_mm = self.spacing_mm_px
        normal = np.cross(across, down)
        return np.stack([across * x_mm, down * y_mm, normal * self.slice_interval_mm])


def read_dicom(path: Path, *, key_slice: int | None = None, assume_hu: bool = False) -> Slab:
    """A file or a folder of one series as CT.

    ``key_slice`` is the position in the sorted series, from 0; the default is the middle. A
    single file has no neighbours: its SliceThickness stands for the interval, which must be there.

    Raises:
        DicomError: whatever keeps the files from being one axial CT series, in one line.
        NotHounsfieldError: its values are no HU, unless ``assume_hu``.
    """
    return slab_of(read_dicom_grid(path), key_slice=key_slice, assume_hu=assume_hu)


def slab_of(grid: DicomGrid, *, key_slice: int | None = None, assume_hu: bool = False) -> Slab:
    """The series as CT on its key slice; raises DicomError if that is not among the slices."""
    volume = to_display("the series", grid.hu, grid.steps_mm)
    slab = volume.slab("the series", key_slice=key_slice)
    return require_hu(slab, "the series", declared=grid.declared, assume_hu=assume_hu)


def read_dicom_grid(path: Path) -> DicomGrid:
    """A file or a folder of one series with its geometry; raises DicomError."""
    return grid_of([read_plane(file) for file in _files(path)])


def grid_of(images: Sequence[DicomPlane]) -> DicomGrid:
    """The images of one series, in any order, as a grid; raises DicomError."""
    _check_one_series(images)
    planes = sorted(images, key=lambda plane: plane.depth_mm)
    interval = _interval(planes)
    hu = np.stack([_hu(plane) for plane in planes])
    positions = np.stack([plane.position for plane in planes])
    first = planes[0]
    return DicomGrid(
        hu, first.spacing_mm_px, interval, first.orientation, positions, _declared(planes)
    )


def _declared(planes: Sequence[DicomPlane]) -> DeclaredIntensity:
    """What the first file says, or the first one that says something against HU."""
    said = [_declared_by(plane.dataset) for plane in planes]
    against = (one for one in said if judge_declared(one).kind is not IntensityKind.HOUNSFIELD)
    return next(against, said[0])


def _declared_by(dataset: Any) -> DeclaredIntensity:
    image_type = dataset.get("ImageType") or ()
    values = (image_type,) if isinstance(image_type, str) else tuple(map(str, image_type))
    stored_bits = dataset.get("BitsStored")
    return DeclaredIntensity(
        modality=str(dataset.get("Modality") or ""),
        rescale_type=str(dataset.get("RescaleType") or ""),
        image_type=values,
        stored_bits=stored_bits if isinstance(stored_bits, int) else None,
        is_scaled=float(dataset.get("RescaleSlope") or 1) != 1,
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    found = [file for file in files if is_dicom(file)]
    if not found:
        raise DicomError(
            f"{path.name} holds no DICOM file: give a file or the folder of one series"
        )
    return [file for file in found if file.name.upper() != "DICOMDIR"]


def _check_one_series(planes: Sequence[DicomPlane]) -> None:
    first = planes[0]
    series = {plane.series_uid for plane in planes}
    if len(series) > 1:
        sizes = [sum(p.series_uid == uid for p in planes) for uid in sorted(series)]
        listed = ", ".join(f"series {n} of {size}" for n, size in enumerate(sizes, start=1))
        raise DicomError(f"folder holds {len(series)} series ({listed} files): give one alone")
    for plane in planes:
        if not np.allclose(plane.orientation, first.orientation, atol=1e-3):
            raise DicomError(
                f"series mixes orientations: {first.name} {first.orientation.round(3).tolist()}, "
                f"{plane.name} {plane.orientation.round(3).tolist()}"
            )
        sizes_of = [(p.dataset.Rows, p.dataset.Columns, *p.spacing_mm_px) for p in (first, plane)]
        if not np.allclose(sizes_of[0], sizes_of[1], rtol=1e-4):
            raise DicomError(
                f"series mixes sizes (rows, columns, mm, mm): {first.name} {sizes_of[0]}, "
                f"{plane.name} {sizes_of[1]}"
            )


def _interval(planes: Sequence[DicomPlane]) -> float:
    if len(planes) == 1:
        dataset = planes[0].dataset
        thickness = dataset.get("SliceThickness")
        if thickness is None or not float(thickness) > 0:
            raise DicomError(
                f"{planes[0].name} stands alone without a SliceThickness: give the whole series"
            )
        return float(thickness)
    gaps = np.diff([plane.depth_mm for plane in planes])
    interval = float(np.median(gaps))
    if (gaps < 1e-3).any():
        place = int((gaps < 1e-3).argmax())
        raise DicomError(
            f"{planes[place].name} and {planes[place + 1].name} lie at the same position "
            f"({planes[place].depth_mm:.2f} mm): remove one"
        )
    wrong = np.abs(gaps - interval) > MAX_GAP_SHARE * interval
    if wrong.any():
        place = int(wrong.argmax())
        raise DicomError(
            f"slices are missing or unevenly spaced: {gaps[place]:.2f} mm between "
            f"{planes[place].name} and {planes[place + 1].name}, {interval:.2f} mm elsewhere"
        )
    return interval


def _hu(plane: DicomPlane) -> NDArray[np.float32]:
    dataset = plane.dataset
    check_codestream(plane.name, dataset)
    try:
        stored = np.asarray(dataset.pixel_array)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError) as wrong:
        syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
        name = getattr(syntax, "name", "unknown")
        reason = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise DicomError(f"{plane.name} ({name}) cannot be decoded: {reason}") from None
    if stored.ndim != 2:
        raise DicomError(f"{plane.name} has pixels of shape {stored.shape}: one slice a file")
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    if not (np.isfinite([slope, intercept]).all() and slope != 0):
        raise DicomError(f"{plane.name} has the rescale slope {slope}, intercept {intercept}")
    hu = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    hu[_padding(dataset, stored)] = AIR_HU
    return hu


def _padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """The pixels that PixelPaddingValue (and its range limit) calls outside the image.

    Compared as the 16 bits that are stored: the tag's own signedness is often written wrongly.
    """
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted(int(np.array(int(v)).astype(stored.dtype)) for v in (value, limit))
    return (stored >= low) & (stored <= high)
