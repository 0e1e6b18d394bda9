"""Fits a height calibration without any image that evaluates it.

The curve's shape needs no pixels: two lesions of one series, a known number of millimetres apart,
give the local slope of DeepLesion's z, and official rows hold thousands of such pairs. What is
left is a straight line through anatomical landmarks, whose z is the median of the lesions that
reports place there, and whose score the network gives on real series in which the landmark was
found. Between the landmarks the line alone is nearer to the truth than the curve laid through them
(``docs/position.md``), so that the curve serves beyond them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from retrieval.position.calibration import CalibrationError

KNOT_STEP = 0.05
NEAR_MM, FAR_MM = 30.0, 120.0
"""Pairs nearer than this are noise, pairs farther apart say little of the local slope."""

LEAST_PAIRS = 10


@dataclass(frozen=True)
class HeightCurve:
    """z at knots and the millimetres below the first knot: falling towards the feet.

    Attributes:
        z: rising knots.
        below_mm: millimetres from the first knot down to each knot, rising.
    """

    z: NDArray[np.float64]
    below_mm: NDArray[np.float64]

    def below(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Millimetres below the first knot at ``z``."""
        return np.interp(z, self.z, self.below_mm)


@dataclass(frozen=True)
class SeriesHeights:
    """Lesions of one series: their heights in mm (rising with z) and DeepLesion's z."""

    depth_mm: NDArray[np.float64]
    z: NDArray[np.float64]


def height_curve(series: Sequence[SeriesHeights]) -> HeightCurve:
    """Median local slopes of z over pairs 30 to 120 mm apart, summed up from knot to knot.

    A knot interval with fewer than 10 pairs takes the slope of its nearest neighbour that has
    them.
    """
    middles, slopes = _local_slopes(series)
    edges = np.arange(0.0, 1.0 + KNOT_STEP / 2, KNOT_STEP)
    place = np.digitize(middles, edges) - 1
    medians = np.full(len(edges) - 1, np.nan)
    for interval in range(len(medians)):
        inside = slopes[place == interval]
        if len(inside) >= LEAST_PAIRS:
            medians[interval] = np.median(inside)
    known = np.flatnonzero(np.isfinite(medians))
    nearest = known[np.abs(np.arange(len(medians))[:, None] - known[None, :]).argmin(axis=1)]
    steps_mm = KNOT_STEP / medians[nearest]
    return HeightCurve(edges, np.concatenate([[0.0], np.cumsum(steps_mm)]))


def score_knots(
    curve: HeightCurve, landmark_z: NDArray[np.float64], landmark_scores_mm: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(scores in mm rising, z falling) through the landmarks, and by the curve beyond them.

    As far as landmarks reach, z falls along a straight line of least squares over the score: two
    numbers, whatever the number of landmarks. Above and below it goes on as the curve does, whose
    millimetres count as those of the landmarks do (Theil-Sen slope of score over millimetres).
    """
    slope, start = np.polyfit(landmark_scores_mm, landmark_z, 1)
    if slope >= 0:
        raise CalibrationError("z rises with the score over the landmarks: their table is wrong")
    ends = np.array([landmark_z.min(), landmark_z.max()])
    outside = (curve.z < ends[0]) | (curve.z > ends[1])
    z = np.sort(np.unique(np.concatenate([curve.z[outside], ends])))
    score_a_mm = float(theilslopes(landmark_scores_mm, curve.below(landmark_z))[0])
    nearest = np.clip(z, *ends)
    beyond_mm = curve.below(z) - curve.below(nearest)
    scores = (nearest - start) / slope + score_a_mm * beyond_mm
    return tuple(scores[::-1].tolist()), tuple(z[::-1].tolist())


def _local_slopes(
    series: Sequence[SeriesHeights],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle z and slope per mm of every pair of lesions of one series at a useful distance."""
    middles, slopes = [], []
    for one in series:
        apart = one.depth_mm[None, :] - one.depth_mm[:, None]
        first, second = np.nonzero((apart >= NEAR_MM) & (apart <= FAR_MM))
        middles.append((one.z[first] + one.z[second]) / 2)
        slopes.append((one.z[second] - one.z[first]) / apart[first, second])
    return np.concatenate(middles), np.concatenate(slopes)
