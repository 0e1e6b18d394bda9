"""The lesion's own pixels laid on the searched slices: normalised correlation about the place.

An embedding tells what kind of thing a place shows; the pixels tell whether it is the very same
thing, at nearly no cost. Needs the slices about the indexed lesion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.tracking.following.search_area import IN_PLANE_MM

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Point = tuple[float, float]

GRID_MM = 1.5
"""Pixels are compared on a grid of this spacing in the plane."""

MARGIN_MM = 6.0
LEAST_SIDE_MM = 18.0
MOST_SIDE_MM = 90.0
"""The template is the lesion with this margin, its sides within these."""

SLAB_MM = 3.0
"""Slices are averaged over this depth, so that thin and thick ones show alike grain."""

WINDOW_SHARES = (2.0, 98.0)
WINDOW_MARGIN_HU = 60.0
"""Values are cut at these percentiles of the template, and this much beyond."""

GAP_MM = 2.5
"""Slices nearer than this to one that was compared are not compared."""

INSIDE_SHARE, RIM_MM, LEAST_CONTRAST_HU = 0.8, 1.5, 15.0
"""The inside is this share of the lesion's extent, the rim is left out, and less contrast than this
is none to speak of."""

PEAKS = 6
SLACK_MM = 5.0
"""A box stands for the best correlation within this of its middle: the grids differ."""


@dataclass(frozen=True, slots=True)
class PixelTemplate:
    """The lesion with its margin.

    Attributes:
        plane: (rows, columns) HU on GRID_MM, cut at ``window``.
        window: lowest and highest HU.
        inside: (rows, columns), the lesion.
        around: the same, its surroundings.
    """

    plane: Plane
    window: tuple[float, float]
    inside: Mask
    around: Mask

    @classmethod
    def of(cls, own: Slab, file_box: Box) -> Self:
        """Of the key slice of ``own`` about a box of its file grid with DeepLesion's padding."""
        box = own.display_box(file_box)
        sides = [
            float(np.clip(max(side - 2 * BOX_PADDING_PX, 1.0) * mm + 2 * MARGIN_MM, *_SIDES_MM))
            for side, mm in zip((box.width, box.height), own.spacing_mm_px, strict=True)
        ]
        plane = _window_on_grid(_averaged(own, own.key_slice), own.spacing_mm_px, box.center, sides)
        low, high = np.percentile(plane, WINDOW_SHARES)
        window = (float(low) - WINDOW_MARGIN_HU, float(high) + WINDOW_MARGIN_HU)
        bare = [max(side - 2 * BOX_PADDING_PX, 1.0) for side in (box.width, box.height)]
        half = [
            max(side * mm / 2, GRID_MM) for side, mm in zip(bare, own.spacing_mm_px, strict=True)
        ]
        rows, columns = (np.arange(n) - (n - 1) / 2 for n in plane.shape)
        x, y = columns[None, :] * GRID_MM, rows[:, None] * GRID_MM
        inside = (x / (INSIDE_SHARE * half[0])) ** 2 + (y / (INSIDE_SHARE * half[1])) ** 2 <= 1
        near = (x / (half[0] + RIM_MM)) ** 2 + (y / (half[1] + RIM_MM)) ** 2 <= 1
        return cls(plane.clip(*window), window, inside, ~near)

    @property
    def contrast_hu(self) -> float:
        """How much denser the lesion is than its surroundings."""
        return float(self.plane[self.inside].mean() - np.median(self.plane[self.around]))

    def kept(self, plane: Plane) -> float:
        """The share of the lesion's contrast that a window of another scan still shows, in [0, 1].

        1 where it shows all of it, 0 where nothing or the reverse: the lesion's inside against its
        surroundings, so that kernel and contrast agent count little.
        """
        own = self.contrast_hu
        there = float(plane[self.inside].mean() - np.median(plane[self.around]))
        return max(1.0 - abs(there - own) / max(abs(own), LEAST_CONTRAST_HU), 0.0)


_SIDES_MM = (LEAST_SIDE_MM, MOST_SIDE_MM)


@dataclass(frozen=True, slots=True)
class PixelFit:
    """How well a place shows the lesion's own pixels.

    Attributes:
        correlation: of the lesion with its margin, in [-1, 1].
        kept: the share of the lesion's contrast that is there, in [0, 1].
    """

    correlation: float
    kept: float


NO_FIT = PixelFit(-1.0, 0.0)


@dataclass(frozen=True)
class PixelMatch:
    """The correlation of a template with the searched slices.

    Attributes:
        template: the lesion.
        planes: the searched slices on GRID_MM, by position.
        maps: (rows, columns) by slice position; each cell is a template centred there.
        origin: the pixel of the display grid under the first cell, by slice position.
        spacing_mm_px: of the display grid.
        interval_mm: between slices.
    """

    template: PixelTemplate
    planes: Mapping[int, Plane]
    maps: Mapping[int, Plane]
    origin: Mapping[int, Point]
    spacing_mm_px: Point
    interval_mm: float

    @classmethod
    def of(cls, template: PixelTemplate, slab: Slab, centres: Mapping[int, Point]) -> Self:
        """On slices of a slab, IN_PLANE_MM about a point (x, y) of each, given by position."""
        maps: dict[int, Plane] = {}
        planes: dict[int, Plane] = {}
        origin: dict[int, Point] = {}
        rows, columns = template.plane.shape
        reach = 2 * IN_PLANE_MM
        for at, (x, y) in centres.items():
            sides = [reach + (count - 1) * GRID_MM for count in (columns, rows)]
            plane = _window_on_grid(_averaged(slab, at), slab.spacing_mm_px, (x, y), sides)
            planes[at] = plane.clip(*template.window)
            found = cv2.matchTemplate(planes[at], template.plane, cv2.TM_CCOEFF_NORMED)
            maps[at] = np.nan_to_num(np.asarray(found, np.float32), posinf=0.0, neginf=0.0)
            half = [(side - 1) / 2 * GRID_MM for side in maps[at].shape[::-1]]
            origin[at] = (
                x - half[0] / slab.spacing_mm_px[0],
                y - half[1] / slab.spacing_mm_px[1],
            )
        return cls(template, planes, maps, origin, slab.spacing_mm_px, slab.slice_interval_mm)

    def at(self, position: int, point: Point) -> PixelFit:
        """The best fit within SLACK_MM of a point of a slice; none at all outside of the maps."""
        if not self.maps:
            return NO_FIT
        near = min(self.maps, key=lambda one: abs(one - position))
        depth = abs(near - position) * self.interval_mm
        if depth > max(GAP_MM, self.interval_mm) + 1e-6:
            return NO_FIT
        (x, y), (left, top) = point, self.origin[near]
        column = (x - left) * self.spacing_mm_px[0] / GRID_MM
        row = (y - top) * self.spacing_mm_px[1] / GRID_MM
        slack = SLACK_MM / GRID_MM
        first_row, first_column = (max(int(np.ceil(v - slack)), 0) for v in (row, column))
        window = self.maps[near][
            first_row : max(int(row + slack) + 1, 0), first_column : max(int(column + slack) + 1, 0)
        ]
        if not window.size:
            return NO_FIT
        down, across = (int(v) for v in np.unravel_index(int(window.argmax()), window.shape))
        rows, columns = self.template.plane.shape
        top_row, left_column = first_row + down, first_column + across
        shown = self.planes[near][top_row : top_row + rows, left_column : left_column + columns]
        return PixelFit(float(window[down, across]), self.template.kept(shown))

    def peaks(self, apart_mm: float) -> list[tuple[int, Point]]:
        """The best places, best first, none nearer than a distance to a better one."""
        found: list[tuple[float, int, Point]] = []
        cells = max(int(apart_mm / GRID_MM), 1)
        for at, plane in self.maps.items():
            rest: Plane = plane.copy()
            for _ in range(2):
                row, column = (int(v) for v in np.unravel_index(int(rest.argmax()), rest.shape))
                value = float(rest[row, column])
                rest[
                    max(row - cells, 0) : row + cells + 1,
                    max(column - cells, 0) : column + cells + 1,
                ] = -1
                x = self.origin[at][0] + column * GRID_MM / self.spacing_mm_px[0]
                y = self.origin[at][1] + row * GRID_MM / self.spacing_mm_px[1]
                found.append((value, at, (x, y)))
        found.sort(key=lambda one: -one[0])
        kept: list[tuple[int, Point]] = []
        for _, at, point in found:
            if all(self._mm(at, point, *other) >= apart_mm for other in kept):
                kept.append((at, point))
        return kept[:PEAKS]

    def _mm(self, at: int, point: Point, other_at: int, other: Point) -> float:
        x_mm, y_mm = self.spacing_mm_px
        return float(
            np.linalg.norm(
                [
                    (point[0] - other[0]) * x_mm,
                    (point[1] - other[1]) * y_mm,
                    (at - other_at) * self.interval_mm,
                ]
            )
        )


def _averaged(slab: Slab, position: int) -> Plane:
    """The mean of the slices within SLAB_MM about a position."""
    reach = int(SLAB_MM / 2 / slab.slice_interval_mm + 1e-6)
    stack = slab.hu[max(position - reach, 0) : position + reach + 1]
    return np.asarray(stack.mean(axis=0) if len(stack) > 1 else stack[0], np.float32)


def _window_on_grid(
    plane: Plane, spacing_mm_px: Point, point: Point, sides_mm: list[float]
) -> Plane:
    """The plane about a point of its pixels on GRID_MM; beyond its edges the edge is repeated."""
    counts = [max(round(side / GRID_MM), 1) + 1 for side in sides_mm]
    x_step, y_step = (GRID_MM / mm for mm in spacing_mm_px)
    smooth: Plane = plane
    # Averages over what one cell of the coarser grid covers, so that nothing is aliased.
    if max(x_step, y_step) > 1.0:
        blurred = cv2.GaussianBlur(plane, (0, 0), sigmaX=0.4 * x_step, sigmaY=0.4 * y_step)
        smooth = np.asarray(blurred, np.float32)
    columns = point[0] + (np.arange(counts[0]) - (counts[0] - 1) / 2) * x_step
    rows = point[1] + (np.arange(counts[1]) - (counts[1] - 1) / 2) * y_step
    across, down = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    found = cv2.remap(smooth, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
