"""CT from DICOM: one file, or a folder with the series in it.

The file grid of a series is its columns, its rows and its images in the order of their positions
along the normal of ImageOrientationPatient (row direction times column direction), from 0: feet to
head for a usual series, as SimpleITK sorts them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.sources.axes import to_display
from retrieval.sources.dicom.contents import read_contents
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.header import DicomPlane
from retrieval.sources.dicom.parts import SeriesPart, chosen_part
from retrieval.sources.dicom.placing import EvenRun, SlicePlacing, even_run, placing_of
from retrieval.sources.dicom.values import declared_of, forget_pixels, notes_of, write_hu
from retrieval.sources.intensity.declared import UNDECLARED, DeclaredIntensity
from retrieval.sources.intensity.judgement import require_hu

ALONE_MM = 5.0
"""Stands for the interval of a slice that has no neighbours and no thickness; nothing is drawn from
it, since planes beyond the only slice repeat it."""


@dataclass(frozen=True)
class DicomGrid:
    """Slices of a series in order, at even distances.

    Attributes:
        hu: (slices, rows, columns), float32, as the files store them.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: from the positions, never from SliceThickness where there are two.
        orientation: six cosines, row direction first.
        positions: (slices, 3), mm, the centre of each slice's top-left pixel.
        axes: (3, 3): directions of columns, rows and slices by which the picture is turned.
        first_slice: position of the first slice among all of the series.
        key_slice: the key slice in the file grid; None for the middle one.
        notes: what a reader should know of how the files were read.
        declared: what the files say of their values.
    """

    hu: NDArray[np.float32]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    orientation: NDArray[np.float64]
    positions: NDArray[np.float64]
    axes: NDArray[np.float64]
    first_slice: int
    key_slice: int | None
    notes: tuple[str, ...] = ()
    declared: DeclaredIntensity = UNDECLARED

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """(3, 3): the steps along columns, rows and slices in patient coordinates."""
        lengths = np.array([*self.spacing_mm_px, self.slice_interval_mm])
        return np.asarray(self.axes * lengths[:, None], np.float64)


def read_dicom(
    path: Path,
    *,
    key_slice: int | None = None,
    series: str | None = None,
    assume_hu: bool = False,
) -> Slab:
    """A file, or one series of a folder and its folders, as CT.

    Args:
        path: the file or folder.
        key_slice: position in the sorted series, from 0; the default is the middle. Of a series
            that is not axial, the row or column that an axial slice runs along.
        series: which one of several: its number in the list that the error shows, or its UID.

    Raises:
        DicomError: whatever keeps the files from being CT with a known geometry, in one line;
            several series and none named, listed.
        NotHounsfieldError: its values are no HU, unless ``assume_hu``.
    """
    grid = read_dicom_grid(path, key_slice=key_slice, series=series)
    return slab_of(grid, path.resolve().name, assume_hu=assume_hu)


def slab_of(grid: DicomGrid, name: str = "the series", *, assume_hu: bool = False) -> Slab:
    """The slices as CT on their key slice, under the name that errors call them by.

    Raises NotHounsfieldError unless ``assume_hu``.
    """
    volume = to_display(name, grid.hu, grid.steps_mm)
    volume = replace(volume, grid=volume.grid.with_slices_from(grid.first_slice))
    slab = volume.slab(name, key_slice=grid.key_slice, notes=grid.notes)
    return require_hu(slab, name, declared=grid.declared, assume_hu=assume_hu)


def read_dicom_grid(
    path: Path, *, key_slice: int | None = None, series: str | None = None
) -> DicomGrid:
    """``read_dicom`` before the slices are turned into the display grid; raises DicomError."""
    contents = read_contents(path)
    part = chosen_part(contents.planes, series)
    grid = grid_of(part, key_slice=key_slice)
    return replace(grid, notes=(*contents.notes, *grid.notes))


def grid_of(part: SeriesPart, *, key_slice: int | None = None) -> DicomGrid:
    """The part of a series around its key slice in which slices lie evenly; raises DicomError."""
    planes = sorted(part.planes, key=lambda plane: plane.depth_mm)
    placing = placing_of(planes)
    is_axial = int(np.abs(placing.axes[2]).argmax()) == 2
    key = key_slice if is_axial and key_slice is not None else len(planes) // 2
    if not 0 <= key < len(planes):
        raise DicomError(f"key slice {key} is not in the series: 0 to {len(planes) - 1}")
    depths = np.array([plane.depth_mm for plane in planes])
    run = even_run(depths, key)
    if run.count < len(planes) and not is_axial:
        raise DicomError(
            f"the {len(planes)} slices are not axial and lie {np.diff(depths).min():.2f} to "
            f"{np.diff(depths).max():.2f} mm apart: axial slices cannot be made of them"
        )
    used = planes[run.first : run.first + run.count]
    interval, alone = _interval(used, run, placing)
    hu = np.empty((len(used), *used[0].size), np.float32)
    for position, plane in enumerate(used):
        write_hu(plane, hu[position])
        if position + 1 == len(used) or used[position + 1].dataset is not plane.dataset:
            forget_pixels(plane)
    return DicomGrid(
        hu,
        used[0].spacing_mm_px,
        interval,
        used[0].orientation,
        np.stack([plane.position for plane in used]),
        placing.axes,
        run.first,
        key if is_axial else key_slice,
        (*part.notes, *placing.notes, *_run_notes(planes, run, depths), *alone, *notes_of(used)),
        declared_of(used),
    )


def _interval(
    planes: Sequence[DicomPlane], run: EvenRun, placing: SlicePlacing
) -> tuple[float, tuple[str, ...]]:
    if run.count > 1:
        return run.interval_mm * placing.step_share, ()
    thickness = planes[0].thickness_mm
    if thickness is not None:
        return thickness, ()
    return ALONE_MM, (
        f"{planes[0].name} stands alone and does not say how thick it is: it is searched in its "
        "plane, without depth",
    )


def _run_notes(
    planes: Sequence[DicomPlane], run: EvenRun, depths: NDArray[np.float64]
) -> tuple[str, ...]:
    notes = []
    if run.count < len(planes):
        gaps = np.diff(depths)
        notes.append(
            f"slices lie {gaps.min():.2f} to {gaps.max():.2f} mm apart: of {len(planes)}, the "
            f"{run.count} even ones around the key slice were used ({planes[run.first].name} to "
            f"{planes[run.first + run.count - 1].name})"
        )
    if run.off_mm > max(0.01, 1e-3 * run.interval_mm):
        notes.append(
            f"slices lie up to {run.off_mm:.3f} mm off their even places, {run.interval_mm:.4g} mm "
            "apart"
        )
    return tuple(notes)
