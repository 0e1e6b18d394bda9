"""SubVolume: the slices about a key slice, in HU and in DeepLesion's own counting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box, Recist
from retrieval.sources.axes import grid_of_steps
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.header import DicomPlane, planes_of
from retrieval.sources.dicom.parts import SeriesPart
from retrieval.sources.dicom.placing import placing_of
from retrieval.sources.dicom.series import grid_of, slab_of
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.stacks import SliceStack

ReadImage = Callable[[ImageHeader], Any]
"""An image's dataset with its pixels; raises LesionSearchError."""


@dataclass(frozen=True)
class SubVolume:
    """Neighbouring slices of a stack.

    Attributes:
        stack: the volume they are of.
        positions: of the slices in the stack, from the feet.
        grid: from the display to the images' own pixels; x and y alone are meant.
        spacing_mm_px: millimetres per pixel along (x, y) of the display.
        size: (rows, columns) of the display.
        slab: the slices in HU on the display grid, feet to head; None where pixels are not read.
    """

    stack: SliceStack
    positions: range
    grid: GridMap
    spacing_mm_px: tuple[float, float]
    size: tuple[int, int]
    slab: Slab | None = None

    @property
    def slice_range(self) -> tuple[int, int]:
        """DeepLesion's numbers of its first and last slice: those of the head and of the feet."""
        return (
            self.stack.number_of(self.positions[-1]),
            self.stack.number_of(self.positions[0]),
        )

    def key_slab(self, position: int) -> Slab | None:
        """The slab with a position of the stack as key slice, None without pixels."""
        if self.slab is None:
            return None
        return self.slab.with_key_slice(position - self.positions.start)

    def displayed(self, recist: Recist, box: Box) -> tuple[Recist, Box]:
        """A mark and box of the images' own pixels on the display."""
        return self.grid.to_display_recist(recist), self.grid.to_display_box(box)


def without_pixels(stack: SliceStack, run: range) -> SubVolume:
    """The slices of a run by their headers alone; raises DicomError."""
    first = stack.headers[run.start].plane
    planes = [header.as_slice() for header in stack.headers]
    planes.sort(key=lambda plane: plane.depth_mm)
    placing = placing_of(planes)
    x_mm, y_mm = planes[0].spacing_mm_px
    steps = placing.axes * np.array([x_mm, y_mm, stack.interval_mm])[:, None]
    grid = grid_of_steps("the series", steps, (first.columns, first.rows, len(planes)))
    spacing, size = (x_mm, y_mm), (first.rows, first.columns)
    if grid.rows_first:
        spacing, size = (y_mm, x_mm), (first.columns, first.rows)
    return SubVolume(stack, run, grid, spacing, size)


def read_sub_volume(stack: SliceStack, run: range, key: int, read: ReadImage) -> SubVolume:
    """The slices of a run about the position ``key``, decoded; evenly spaced ones alone.

    Raises:
        DicomError, NotHounsfieldError: they are no CT with a known geometry.
        LesionSearchError: whatever ``read`` raises.
    """
    planes = _planes(stack, run, read)
    planes.sort(key=lambda found: found[0].depth_mm)
    key_at = next(at for at, (_, position) in enumerate(planes) if position == key)
    grid = grid_of(SeriesPart(tuple(plane for plane, _ in planes)), key_slice=key_at)
    slab = slab_of(grid)
    shown = [planes[slab.grid.to_file_slice(place)][1] for place in range(len(slab.hu))]
    if shown != list(range(shown[0], shown[0] + len(shown))):
        raise DicomError("the slices of the series are not in the order of their positions")
    return SubVolume(
        stack,
        range(shown[0], shown[0] + len(shown)),
        slab.grid,
        slab.spacing_mm_px,
        (slab.rows, slab.columns),
        slab,
    )


def _planes(stack: SliceStack, run: range, read: ReadImage) -> list[tuple[DicomPlane, int]]:
    """Each slice of the run with its position; frames of one file share a dataset."""
    found = []
    held: tuple[str, list[DicomPlane]] = ("", [])
    for position in run:
        header = stack.headers[position]
        if held[0] != header.image.sop_uid or header.image.frame is None:
            held = (header.image.sop_uid, planes_of("an image", read(header)))
        frame = (header.image.frame or 1) - 1
        if frame >= len(held[1]):
            raise DicomError(f"an image holds {len(held[1])} frames: frame {frame + 1} is wanted")
        plane = replace(held[1][frame], name=f"slice {stack.number_of(position)}")
        expected = header.plane.position
        if expected is not None and np.abs(plane.position - expected).max() > 1e-3:
            raise DicomError("an image lies elsewhere than its header said: it has changed")
        found.append((plane, position))
    return found
