"""Points as carriers store them: checked, told apart by their shape, joined over slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist, squareform

from retrieval.sources.marks.mark import MOST_POINTS, MarkError, MarkKind, MarkOutline
from retrieval.sources.marks.verdicts import Verdict

MOST_PAIRS = 400
"""Outlines of more points are reduced to their convex hull before diameters are compared."""

SAME_PX = 1e-3
"""Corners of a rectangle may differ by this part of its size: writers store float32."""


class GraphicError(MarkError):
    """A graphic that is no geometry; ``verdict`` is the reason in one word."""

    def __init__(self, verdict: Verdict, words: str) -> None:
        super().__init__(words)
        self.verdict = verdict


def checked_points(numbers: Iterable[object], width: int, what: str) -> NDArray[np.float64]:
    """(n, width) finite points of a flat list of numbers.

    Raises GraphicError naming ``what`` for too many, missing, odd or non-finite numbers.
    """
    stored = list(numbers)
    if len(stored) > MOST_POINTS * width:
        raise GraphicError(
            Verdict.TOO_MANY_POINTS,
            f"{what} has {len(stored) // width} points: at most {MOST_POINTS} are read",
        )
    if not stored or len(stored) % width:
        raise GraphicError(
            Verdict.NO_COORDINATES, f"{what} has {len(stored)} numbers: {width} a point are needed"
        )
    try:
        points = np.asarray([float(str(one)) for one in stored], np.float64).reshape(-1, width)
    except ValueError:
        words = f"{what} has a coordinate that is no number"
        raise GraphicError(Verdict.NOT_A_NUMBER, words) from None
    if not np.isfinite(points).all() or np.abs(points).max() > 1e7:
        raise GraphicError(Verdict.NOT_A_NUMBER, f"{what} has a coordinate that is not finite")
    return points


def kind_of_path(points: NDArray[np.float64], *, is_area: bool = False) -> MarkKind:
    """What a path of points is: a line, a closed outline, an upright box, an open line.

    ``is_area``: the carrier says that it encloses something although its ends do not meet.
    """
    distinct = len(np.unique(points, axis=0))
    if distinct == 1:
        return MarkKind.POINT
    if len(points) == 2 or distinct == 2:
        return MarkKind.LINE
    is_closed = bool(np.allclose(points[0], points[-1], atol=SAME_PX))
    if not is_closed and not is_area:
        return MarkKind.POLYLINE
    return MarkKind.BOX if points.shape[1] == 2 and is_upright(points) else MarkKind.POLYGON


def is_upright(points: NDArray[np.float64]) -> bool:
    """Whether a closed path (n, 2) is an upright rectangle of four corners."""
    is_closed = np.allclose(points[0], points[-1], atol=SAME_PX)
    corners = points[:-1] if is_closed else points
    if len(corners) != 4:
        return False
    low, high = corners.min(axis=0), corners.max(axis=0)
    tolerance = SAME_PX * max(float((high - low).max()), 1.0)
    on_edge = np.minimum(np.abs(corners - low), np.abs(corners - high)).max() <= tolerance
    steps = np.abs(np.diff(np.vstack([corners, corners[:1]]), axis=0)) > tolerance
    return bool(on_edge and (steps.sum(axis=1) == 1).all())


def corners_of_box(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) opposite corners of a path."""
    return np.stack([points.min(axis=0), points.max(axis=0)])


def farthest(points: NDArray[np.float64]) -> tuple[int, int, float]:
    """Indices of the two points (n, d) farthest apart, and their distance."""
    kept = np.arange(len(points))
    if len(points) > MOST_PAIRS:
        kept = _hull(points)
    if len(kept) < 2:
        return 0, 0, 0.0
    distances = squareform(pdist(points[kept]))
    first, second = np.unravel_index(int(distances.argmax()), distances.shape)
    return int(kept[first]), int(kept[second]), float(distances[first, second])


def _hull(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the convex hull of points that lie in one plane, whatever its tilt."""
    centred = points - points.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    try:
        return np.asarray(ConvexHull(centred @ axes[:2].T).vertices, np.intp)
    except (QhullError, ValueError):
        along = centred @ axes[0]
        return np.unique([int(along.argmin()), int(along.argmax())])


def key_first(outlines: Sequence[MarkOutline]) -> list[MarkOutline]:
    """The outlines with the one of the longest diameter first (ties: the first one)."""
    sizes = [farthest(_drawn(one))[2] for one in outlines]
    best = int(np.argmax(sizes))
    return [outlines[best], *outlines[:best], *outlines[best + 1 :]]


def without_repeats(rings: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The rings, each once: the same contour stored twice is one contour, not a hole."""
    kept: dict[tuple[int, bytes], NDArray[np.float64]] = {}
    for ring in rings:
        kept.setdefault((len(ring), np.round(ring, 4).tobytes()), ring)
    return list(kept.values())


def _drawn(outline: MarkOutline) -> NDArray[np.float64]:
    points = outline.points if outline.points_mm is None else outline.points_mm
    return np.zeros((0, 2)) if points is None else points
