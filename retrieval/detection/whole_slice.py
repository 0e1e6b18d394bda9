"""A whole slice on a detector's grid: the one preprocessing path of patches, made as wide as the
image, then cropped to the body."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.body import BodyInterior
from retrieval.grid import AS_DISPLAYED, GridMap
from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.patch import CANONICAL_PADDING_MM, PatchSpec, extract_patch

BODY_HU = -400.0
BODY_MARGIN_PX = 12


@dataclass(frozen=True)
class WholeSlice:
    """A slice with its neighbours on a grid of ``mm_px``, and the way back to the image.

    Attributes:
        hu: (slices, rows, columns), float32, HU in [-1024, 3071].
        mm_px: millimetres per grid pixel.
        origin_px: the display grid's coordinates (x, y) of this grid's first pixel.
        spacing_mm_px: the slab's millimetres per pixel along (x, y).
        image: the way from the display grid to the file's.
    """

    hu: NDArray[np.float32]
    mm_px: float
    origin_px: tuple[float, float]
    spacing_mm_px: tuple[float, float]
    image: GridMap = AS_DISPLAYED

    def to_grid(self, box: Box) -> Box:
        """A file's box, padded as DeepLesion pads, as this grid's box with canonical padding."""
        box = self.image.to_display_box(box)
        x_scale, y_scale = (spacing / self.mm_px for spacing in self.spacing_mm_px)
        moved = box.shifted(-self.origin_px[0], -self.origin_px[1]).scaled(x_scale, y_scale)
        canonical = CANONICAL_PADDING_MM / self.mm_px
        return _grown(
            moved, canonical - BOX_PADDING_PX * x_scale, canonical - BOX_PADDING_PX * y_scale
        )

    def to_image(self, box: Box) -> Box:
        """The inverse of ``to_grid``."""
        x_scale, y_scale = (self.mm_px / spacing for spacing in self.spacing_mm_px)
        canonical = CANONICAL_PADDING_MM / self.mm_px
        scaled = box.scaled(x_scale, y_scale)
        padded = _grown(
            scaled, BOX_PADDING_PX - canonical * x_scale, BOX_PADDING_PX - canonical * y_scale
        )
        return self.image.to_file_box(padded.shifted(*self.origin_px))


def whole_slice(slab: Slab, spec: PatchSpec, interior: BodyInterior | None = None) -> WholeSlice:
    """The slab's key slice and its neighbours on the spec's grid, cropped to the body.

    ``spec.size_px`` does not count: the grid is as wide as the image. An image without anything
    denser than fat stays whole. With ``interior``, of the key slice, the couch is cropped too.

    Raises:
        PatchError: the slab holds values that are not numbers.
    """
    center = ((slab.columns - 1) / 2, (slab.rows - 1) / 2)
    width_mm = slab.columns * slab.spacing_mm_px[0]
    height_mm = slab.rows * slab.spacing_mm_px[1]
    size = max(8, math.ceil(max(width_mm, height_mm) / spec.mm_px))
    middle = slab.grid.to_file_box(Box.around(center, 1.0))
    patch = extract_patch(slab, middle, replace(spec, size_px=size))
    rows, columns = _body(patch.hu[spec.slices // 2])
    steps = (spec.mm_px / slab.spacing_mm_px[0], spec.mm_px / slab.spacing_mm_px[1])
    half = (size - 1) / 2
    if interior is not None and (extent := interior.extent()) is not None:
        columns = _within(columns, extent.x1, extent.x2, (center[0], steps[0], half))
        rows = _within(rows, extent.y1, extent.y2, (center[1], steps[1], half))
    origin = (
        center[0] + (columns.start - half) * steps[0],
        center[1] + (rows.start - half) * steps[1],
    )
    hu = np.ascontiguousarray(patch.hu[:, rows, columns])
    return WholeSlice(hu, spec.mm_px, origin, slab.spacing_mm_px, slab.grid)


def _body(hu: NDArray[np.float32]) -> tuple[slice, slice]:
    """Rows and columns that hold the body; every one where there is none."""
    dense = hu > BODY_HU
    return _extent(dense.sum(axis=1)), _extent(dense.sum(axis=0))


def _extent(counts: NDArray[np.int64]) -> slice:
    held = np.flatnonzero(counts > 3)
    if len(held) == 0:
        return slice(0, len(counts))
    start, stop = int(held[0]) - BODY_MARGIN_PX, int(held[-1]) + BODY_MARGIN_PX + 1
    return slice(max(start, 0), min(stop, len(counts)))


def _within(held: slice, first: float, last: float, axis: tuple[float, float, float]) -> slice:
    """What of ``held`` lies within a margin of (first, last), which are in slab pixels.

    ``axis`` is the slab's middle, slab pixels per grid pixel, and the grid's middle.
    """
    middle, step, half = axis
    start = math.floor((first - middle) / step + half) - BODY_MARGIN_PX
    stop = math.ceil((last - middle) / step + half) + BODY_MARGIN_PX + 1
    return slice(max(held.start, start), min(held.stop, stop))


def _grown(box: Box, x: float, y: float) -> Box:
    """The box grown by (x, y) on either side; shrunk to a sliver rather than inverted."""
    (cx, cy), width, height = box.center, box.width + 2 * x, box.height + 2 * y
    half = (max(width, 1e-3) / 2, max(height, 1e-3) / 2)
    return Box(cx - half[0], cy - half[1], cx + half[0], cy + half[1])
