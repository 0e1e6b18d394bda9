"""What a placed mark measures: its four ends, its extent, its diameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Box, Recist
from retrieval.sources.importers.mask_marks import recist_of_outline
from retrieval.sources.marks.content.graphics import farthest
from retrieval.sources.marks.mark import MarkKind
from retrieval.sources.marks.meaning.pairing import PARALLEL_DEG, MarkLine, relation

SHORT_OF_LONG = 0.75
"""Median short / long diameter of DeepLesion's 9,816 validation and test rows."""

RECTANGLE_MM, RECTANGLE_PART, SQUARE_DEG = 0.01, 0.001, 89.0
"""Four corners whose diagonals halve each other and are equal are a rectangle, a square apart."""

UPRIGHT_DEG = 85.0
"""Diagonals that cross at this angle were drawn as diameters, though a side be longer than both."""

MOST_CUTS = 2000
"""An outline of more corners is cut at this many of them to find its short diameter."""


@dataclass(frozen=True)
class MarkMeasurement:
    """What a mark measures on its image.

    Attributes:
        extent: of what was drawn, pixels; None where it covers nothing.
        recist: four ends in pixels, the longer line in mm first; None where nothing measures.
        long_mm, short_mm: None where the image has no spacing, or nothing measures.
    """

    extent: Box | None
    recist: Recist | None = None
    long_mm: float | None = None
    short_mm: float | None = None


Spacing = tuple[float, float]


def measured(
    kind: MarkKind,
    points: NDArray[np.float64],
    spacing_mm_px: Spacing | None,
    *,
    ring_sizes: Sequence[int] = (),
    strip_mm: float | None = None,
) -> MarkMeasurement:
    """A mark's measurement from its points (n, 2) in pixels.

    Outlines give their longest diameter and the longest chord perpendicular to it; a circle its
    diameter twice; an ellipse its axes. A box and a single line have no RECIST mark.

    Args:
        kind: what the points are.
        points: (n, 2) pixels.
        spacing_mm_px: millimetres per pixel along (x, y); pixels count as square where unknown.
        ring_sizes: of an outline of several rings.
        strip_mm: size of a mask's own pixels.
    """
    spacing = spacing_mm_px or (1.0, 1.0)
    ends = _ENDS.get(kind)
    if ends is not None:
        recist: Recist | None = _longer_first(ends(points), spacing)
        drawn = np.asarray(recist.points) if recist is not None else points
    elif kind is MarkKind.POLYGON:
        recist, drawn = _of_polygon(points, ring_sizes, spacing), points
    elif kind is MarkKind.MASK:
        recist, drawn = recist_of_outline(points, spacing, strip_mm=strip_mm), points
    else:
        recist, drawn = None, points
    extent = extent_of(drawn)
    if spacing_mm_px is None:
        return MarkMeasurement(extent, recist)
    if recist is not None:
        return MarkMeasurement(extent, recist, *recist.diameters_mm(spacing))
    if kind is MarkKind.LINE:
        return MarkMeasurement(extent, None, float(np.hypot(*((points[1] - points[0]) * spacing))))
    return MarkMeasurement(extent)


def extent_of(points: NDArray[np.float64]) -> Box | None:
    """The points' extent, None where it has no width or no height."""
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    if x2 <= x1 or y2 <= y1:
        return None
    return Box(float(x1), float(y1), float(x2), float(y2))


def _circle_ends(points: NDArray[np.float64]) -> NDArray[np.float64]:
    radius = float(np.hypot(*(points[1] - points[0])))
    steps = np.array([[-radius, 0], [radius, 0], [0, -radius], [0, radius]])
    return np.asarray(points[0] + steps)


def _ellipsoid_ends(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two longest axes as seen on the slice."""
    axes = points[: len(points) // 2 * 2].reshape(-1, 2, 2)
    lengths = np.linalg.norm(axes[:, 1] - axes[:, 0], axis=1)
    return np.asarray(axes[np.argsort(-lengths, kind="stable")[:2]].reshape(-1, 2))


_ENDS: Mapping[MarkKind, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    MarkKind.RECIST: lambda points: points,
    MarkKind.ELLIPSE: lambda points: points,
    MarkKind.CIRCLE: _circle_ends,
    MarkKind.ELLIPSOID: _ellipsoid_ends,
}


def _longer_first(ends: NDArray[np.float64], spacing: Spacing) -> Recist:
    first, second = ends[:2], ends[2:]
    lengths = [np.hypot(*((line[1] - line[0]) * spacing)) for line in (first, second)]
    if lengths[1] > lengths[0]:
        first, second = second, first
    return _recist(first, second)


def _recist(first: NDArray[np.float64], second: NDArray[np.float64]) -> Recist:
    return Recist(tuple((float(x), float(y)) for x, y in (*first, *second)))


def _of_polygon(
    points: NDArray[np.float64], ring_sizes: Sequence[int], spacing: Spacing
) -> Recist | None:
    """The longest diameter of an outline, and the longest chord perpendicular to it.

    Of four corners the diagonals, where they stand as two diameters do: whoever has a RECIST mark
    and no way to store two lines joins their ends.
    """
    in_mm = points * spacing
    if _is_kite(in_mm, ring_sizes):
        return _longer_first(points[[0, 2, 1, 3]], spacing)
    first, second, longest = farthest(in_mm)
    if longest <= 0:
        return None
    along = (in_mm[second] - in_mm[first]) / longest
    across = np.array([-along[1], along[0]])
    depth, side = in_mm @ along, in_mm @ across
    cuts = np.unique(depth)
    if len(cuts) > MOST_CUTS:
        cuts = cuts[np.linspace(0, len(cuts) - 1, MOST_CUTS).astype(int)]
    low, high = _chords(depth, side, ring_sizes, cuts)
    best = int((high - low).argmax())
    chord = cuts[best] * along + np.outer([low[best], high[best]], across)
    return _recist(points[[first, second]], chord / spacing)


def _is_kite(in_mm: NDArray[np.float64], ring_sizes: Sequence[int]) -> bool:
    """Whether an outline is the ends of two diameters, joined; a rectangle is a drawn box."""
    if len(in_mm) != 4 or len(ring_sizes) > 1:
        return False
    first, second = MarkLine(in_mm[[0, 2]]), MarkLine(in_mm[[1, 3]])
    longest = max(first.length, second.length)
    stands = relation(first, second)
    is_rectangle = stands.middles * longest < RECTANGLE_MM and (1 - stands.ratio) < RECTANGLE_PART
    if is_rectangle and stands.angle_deg < SQUARE_DEG:
        return False
    sides = np.linalg.norm(in_mm - np.roll(in_mm, 1, axis=0), axis=1)
    is_widest = bool(sides.max() <= longest + RECTANGLE_MM)
    crosses = stands.gap_px <= 0
    is_upright = crosses and stands.angle_deg >= UPRIGHT_DEG
    stands_so = is_widest and (crosses or stands.is_close) and stands.angle_deg >= PARALLEL_DEG
    return is_upright or stands_so


def _chords(
    depth: NDArray[np.float64],
    side: NDArray[np.float64],
    ring_sizes: Sequence[int],
    cuts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest side of the outline's edges at each cut through the depth.

    The width between corners is piecewise linear, so that the longest chord passes a corner.
    """
    low, high = np.full(len(cuts), np.inf), np.full(len(cuts), -np.inf)
    start = 0
    for size in ring_sizes or (len(depth),):
        ring = np.arange(start, start + size)
        start += size
        for one, other in zip(ring, np.roll(ring, -1), strict=True):
            a, b = (one, other) if depth[one] <= depth[other] else (other, one)
            left, right = np.searchsorted(cuts, (depth[a], depth[b]), side="left")
            right = np.searchsorted(cuts, depth[b], side="right")
            here = slice(left, right)
            run = depth[b] - depth[a]
            part = (cuts[here] - depth[a]) / run if run > 0 else np.zeros(right - left)
            sides = side[a] + part * (side[b] - side[a])
            ends = (sides, np.full_like(sides, side[b])) if run == 0 else (sides,)
            for values in ends:
                low[here] = np.minimum(low[here], values)
                high[here] = np.maximum(high[here], values)
    return low, high
