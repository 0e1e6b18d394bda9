"""Prompt: a reader's mark as the shape that a mask is looked for about.

A RECIST mark becomes four quarter ellipses about the crossing of its two lines, as the pseudo masks
of MULAN (Yan et al., 2019) are made; a box the ellipse inside it; a point a small circle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import BOX_PADDING_PX, Box, LesionSearchError, Recist

MARK_MARGIN = 2.2
"""Side of the view as a multiple of a RECIST mark's extent."""

BOX_MARGIN = 1.7
"""Side of the view as a multiple of a box's extent: a box stands a little off its lesion."""

SMALLEST_SIDE_MM = 12.0
LEAST_HALF_SHARE = 0.35
"""A half axis is at least this share of the longest one, so that no quarter is empty."""

SHORTEST_LINE_SHARE = 0.04
"""A short line of less than this share of the long one has no direction of its own."""

LEAST_SINE = 0.5
"""Lines that stand less than 30 degrees apart do not cross as a RECIST mark's do."""

BOX_CORE_SHARE = 0.4
"""A box inset by DeepLesion's padding keeps at least this share of its sides."""


class PromptError(LesionSearchError):
    """A mark about which no lesion can be looked for."""


class PromptKind(StrEnum):
    """What the prompt was made of; the network is told."""

    RECIST = "recist"
    BOX = "box"
    POINT = "point"
    SLICE = "neighbouring slice"


@dataclass(frozen=True)
class Prompt:
    """Four quarter ellipses about a centre, in pixels of one slice of the display grid.

    Attributes:
        kind: what it was made of.
        center: (x, y), where the two axes cross.
        first, second: unit directions (x, y) in millimetres of the two axes.
        halves_mm: from the centre along +first, -first, +second, -second.
        side_mm: side of the square view that the network is given.
        view_center: (x, y), middle of that view.
    """

    kind: PromptKind
    center: tuple[float, float]
    first: tuple[float, float]
    second: tuple[float, float]
    halves_mm: tuple[float, float, float, float]
    side_mm: float
    view_center: tuple[float, float]

    @classmethod
    def from_recist(cls, mark: Recist, spacing_mm_px: tuple[float, float]) -> Self:
        """The prompt of a RECIST mark; raises PromptError if both its lines are points."""
        spacing = np.asarray(spacing_mm_px)
        points = np.asarray(mark.points) * spacing
        lines = sorted(
            ((points[0], points[1]), (points[2], points[3])),
            key=lambda line: -float(np.linalg.norm(line[1] - line[0])),
        )
        (a, b), (c, d) = lines
        length = float(np.linalg.norm(b - a))
        if length < 1e-6:
            raise PromptError(f"RECIST mark {mark.points} has no length: draw two lines")
        first = (b - a) / length
        across = np.array([-first[1], first[0]])
        short = d - c
        width = float(np.linalg.norm(short))
        second = short / width if width > SHORTEST_LINE_SHARE * length else across
        if abs(float(second @ across)) < LEAST_SINE:
            # Nearly parallel lines: the short one tells a length and no direction.
            c, d = a + first * length / 2 - across * width / 2, a + first * length / 2
            d, second = d + across * width / 2, across
        center = _crossing(a, first, length, c, second, width)
        halves = [(b - center) @ first, (center - a) @ first]
        halves += _sides(c, d, center, second)
        least = LEAST_HALF_SHARE * length / 2
        low, high = points.min(axis=0), points.max(axis=0)
        extent = max(float((high - low).max()), length)
        return cls(
            PromptKind.RECIST,
            _pair(center / spacing),
            _pair(first),
            _pair(second),
            _four([max(float(half), least) for half in halves]),
            max(MARK_MARGIN * extent, SMALLEST_SIDE_MM),
            _pair((low + high) / 2 / spacing),
        )

    @classmethod
    def from_box(
        cls,
        box: Box,
        spacing_mm_px: tuple[float, float],
        *,
        padding_px: float = BOX_PADDING_PX,
    ) -> Self:
        """The ellipse inside a box that stands ``padding_px`` off its lesion, DeepLesion's way."""
        width, height = box.width, box.height
        half_x = max(width / 2 - padding_px, BOX_CORE_SHARE * width / 2) * spacing_mm_px[0]
        half_y = max(height / 2 - padding_px, BOX_CORE_SHARE * height / 2) * spacing_mm_px[1]
        extent = max(width * spacing_mm_px[0], height * spacing_mm_px[1])
        return cls(
            PromptKind.BOX,
            box.center,
            (1.0, 0.0),
            (0.0, 1.0),
            (half_x, half_x, half_y, half_y),
            max(BOX_MARGIN * extent, SMALLEST_SIDE_MM),
            box.center,
        )

    @classmethod
    def from_point(cls, point: tuple[float, float], *, side_mm: float) -> Self:
        """A circle of an eighth of the view about a point of the lesion, its size unknown."""
        if not all(math.isfinite(value) for value in point):
            raise PromptError(f"point {point} is not two finite numbers: give x,y in pixels")
        radius = side_mm / 8
        halves = (radius, radius, radius, radius)
        return cls(PromptKind.POINT, point, (1.0, 0.0), (0.0, 1.0), halves, side_mm, point)

    def radius_at(
        self, x: NDArray[np.float64], y: NDArray[np.float64], spacing_mm_px: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Distance from the centre in units of the ellipse: 0 at the centre, 1 on its outline.

        Args:
            x: columns, pixels of the slice, broadcast against ``y``.
            y: rows.
            spacing_mm_px: millimetres per pixel along (x, y).
        """
        right = (x - self.center[0]) * spacing_mm_px[0]
        down = (y - self.center[1]) * spacing_mm_px[1]
        (a, b), (c, d) = self.first, self.second
        determinant = a * d - b * c
        along = (right * d - down * c) / determinant
        across = (down * a - right * b) / determinant
        long = np.where(along >= 0, self.halves_mm[0], self.halves_mm[1])
        wide = np.where(across >= 0, self.halves_mm[2], self.halves_mm[3])
        return np.asarray(np.hypot(along / long, across / wide), np.float64)

    def mask(self, shape: tuple[int, int], spacing_mm_px: tuple[float, float]) -> NDArray[np.bool_]:
        """(rows, columns): the ellipse itself on a slice."""
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
        return np.asarray(self.radius_at(x, y, spacing_mm_px) <= 1, np.bool_)

    @property
    def long_mm(self) -> float:
        """The longer axis of the ellipse."""
        return max(self.halves_mm[0] + self.halves_mm[1], self.halves_mm[2] + self.halves_mm[3])

    @property
    def short_mm(self) -> float:
        """The shorter axis of the ellipse."""
        return min(self.halves_mm[0] + self.halves_mm[1], self.halves_mm[2] + self.halves_mm[3])

    def seen_in(self, center: tuple[float, float], side_mm: float) -> Prompt:
        """The same shape looked at in another view."""
        return replace(self, view_center=center, side_mm=side_mm)


def _crossing(
    a: NDArray[np.float64],
    first: NDArray[np.float64],
    length: float,
    c: NDArray[np.float64],
    second: NDArray[np.float64],
    width: float,
) -> NDArray[np.float64]:
    """Where the lines cross inside both; the middle of the long one where they do not."""
    determinant = first[0] * second[1] - first[1] * second[0]
    middle = a + first * length / 2
    offset = c - a
    along = (offset[0] * second[1] - offset[1] * second[0]) / determinant
    across = (offset[0] * first[1] - offset[1] * first[0]) / determinant
    inside = 0 < along < length and 0 < across < width
    return np.asarray(a + first * along if inside else middle)


def _sides(
    c: NDArray[np.float64],
    d: NDArray[np.float64],
    center: NDArray[np.float64],
    second: NDArray[np.float64],
) -> list[float]:
    """The short axis' parts on both sides of the centre; halves where it does not pass it."""
    up, down = float((d - center) @ second), float((center - c) @ second)
    off = abs(float((c - center) @ np.array([-second[1], second[0]])))
    if up <= 0 or down <= 0 or off > 0.25 * (up + down):
        half = float(np.linalg.norm(d - c)) / 2
        return [half, half]
    return [up, down]


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _four(values: list[float]) -> tuple[float, float, float, float]:
    return values[0], values[1], values[2], values[3]
