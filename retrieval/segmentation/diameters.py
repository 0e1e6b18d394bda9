"""RECIST lines from a mask: the farthest pair on its contour, the longest chord across it.

Convention: the contour runs half way between the centres of the last pixel inside and the first
one outside, so that n pixels in a row measure n pixels (edge to edge), as ``recist_of_mask`` does.
Tools that measure from centre to centre give about one pixel less; those that take the corners of
pixels up to 0.41 pixels more along a diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from retrieval.lesion import LesionSearchError, Recist

CONVENTION = (
    "edge to edge: the outline runs half way between the last pixel inside and the first outside"
)
TURN_DEG = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""The short diameter may stand this far off the perpendicular."""

STATIONS = 160
Contour = NDArray[np.float64]
"""(points, 2) as (x, y) in pixels; closed, the last point being the first."""


class EmptyMaskError(LesionSearchError):
    """A mask that holds nothing to measure."""


@dataclass(frozen=True)
class Diameters:
    """The two lines of a slice.

    Attributes:
        recist: their ends in pixels, the long one first.
        long_mm, short_mm: their lengths.
    """

    recist: Recist
    long_mm: float
    short_mm: float

    @property
    def who_mm2(self) -> float:
        """The WHO product of both diameters."""
        return self.long_mm * self.short_mm


def contours_of(values: NDArray[np.floating], level: float = 0.5) -> list[Contour]:
    """The closed contours of a slice at a level, in pixels, the longest first.

    Args:
        values: (rows, columns): probabilities, or a mask of 0 and 1.
        level: what lies above it is inside.
    """
    padded = np.pad(np.asarray(values, np.float64), 1)
    lines = contour_generator(z=padded).lines(level)
    closed = [np.asarray(line, np.float64) - 1 for line in lines if len(line) > 3]
    return sorted(closed, key=len, reverse=True)


def diameters_of(
    values: NDArray[np.floating],
    spacing_mm_px: tuple[float, float],
    *,
    level: float = 0.5,
    long_level: float | None = None,
) -> Diameters:
    """The diameters of a slice's lesion.

    Args:
        values: (rows, columns): probabilities, or a mask of 0 and 1.
        spacing_mm_px: millimetres per pixel along (x, y).
        level: what lies above it is inside.
        long_level: the same for the long diameter, if another.

    Raises:
        EmptyMaskError: nothing lies above the level.
    """
    contours = contours_of(values, level)
    if not contours:
        raise EmptyMaskError("the mask is empty on this slice: no diameter can be measured")
    spacing = np.asarray(spacing_mm_px)
    outer = contours if long_level is None else contours_of(values, long_level)
    points = np.concatenate(outer) * spacing
    start, end = _farthest(points)
    long_mm = float(np.linalg.norm(end - start))
    edges = [np.stack([line[:-1], line[1:]], axis=1) * spacing for line in contours]
    low, high = _widest(np.concatenate(edges), start, (end - start) / long_mm)
    ends = np.stack([start, end, low, high]) / spacing
    mark = Recist(tuple((float(x), float(y)) for x, y in ends))
    return Diameters(mark, long_mm, float(np.linalg.norm(high - low)))


def long_mm_of(
    values: NDArray[np.floating], spacing_mm_px: tuple[float, float], *, level: float = 0.5
) -> float:
    """The long diameter alone, as ``diameters_of`` gives it with that ``long_level``.

    Raises:
        EmptyMaskError: nothing lies above the level.
    """
    contours = contours_of(values, level)
    if not contours:
        raise EmptyMaskError("the mask is empty on this slice: no diameter can be measured")
    start, end = _farthest(np.concatenate(contours) * np.asarray(spacing_mm_px))
    return float(np.linalg.norm(end - start))


def _farthest(points: Contour) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        hull = points
    gaps = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    first, second = np.unravel_index(int(gaps.argmax()), gaps.shape)
    return hull[first], hull[second]


def _widest(
    edges: NDArray[np.float64], start: NDArray[np.float64], along: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the longest chord inside the lesion within two degrees of the perpendicular."""
    best, ends = -1.0, (start, start)
    for turn in TURN_DEG:
        angle = math.atan2(along[1], along[0]) + math.radians(turn)
        forward = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([-forward[1], forward[0]])
        depths, sides = (edges - start) @ forward, (edges - start) @ across
        length, station, low, high = _longest_chord(depths, sides)
        if length > best + 1e-9:
            base = start + station * forward
            best, ends = length, (base + low * across, base + high * across)
    return ends


def _longest_chord(
    depths: NDArray[np.float64], sides: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """(length, station, low, high) of the longest stretch inside, over lines across the lesion.

    Args:
        depths: (edges, 2): where both ends of each edge stand along the long diameter.
        sides: (edges, 2): and across it.
    """
    ends = np.linspace(float(depths.min()), float(depths.max()), STATIONS + 2)
    stations = ends[1:-1]
    crossing = (depths[:, 0] <= stations[:, None]) != (depths[:, 1] <= stations[:, None])
    at, edge = np.nonzero(crossing)
    if not len(at):
        return -1.0, 0.0, 0.0, 0.0
    first, second = depths[edge, 0], depths[edge, 1]
    share = (stations[at] - first) / (second - first)
    met = sides[edge, 0] + share * (sides[edge, 1] - sides[edge, 0])
    # Closed outlines cross each station an even number of times: in, out, in, out.
    order = np.lexsort((met, at))
    at, met = at[order], met[order]
    lengths = met[1::2] - met[0::2]
    longest = int(lengths.argmax())
    low, high = met[2 * longest], met[2 * longest + 1]
    return float(lengths[longest]), float(stations[at[2 * longest]]), float(low), float(high)
