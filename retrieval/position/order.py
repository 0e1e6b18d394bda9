"""Does a series run the way it says, evenly and as far as it says?

The scores of a sound series rise with the millimetres by one for one, whatever the patient. A
series in the other order falls; one put together from two scans, or with slices out of place,
jumps; a wrong slice interval has another slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

LEAST_SPAN_MM = 25.0
"""Over a shorter series the slope is noise."""

CLEAR_SLOPE, CLEAR_MM = 0.35, 60.0
"""A slope nearer to 0, or a climb of fewer millimetres from end to end, tells no order: over a
few centimetres an unusual body may seem to run the other way."""

SHORT_MM = 150.0
"""A shorter series takes its slope from the interval it states, not from its scores."""

SOUND_SLOPES = (0.55, 1.7)
"""Of small and large bodies; outside, the slice interval is in doubt."""

JUMP_MM = 70.0
"""Neighbouring runs of slices farther off each other than this do not follow on each other."""

RUN = 3
MOST_SLICES = 200
"""Slopes of all pairs of so many slices are computed; longer series are thinned out."""


class SliceOrder(StrEnum):
    """Which way slices run."""

    FEET_FIRST = "feet to head"
    HEAD_FIRST = "head to feet"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class SeriesCheck:
    """What the scores of a series say of it.

    Attributes:
        order: which way its slices run.
        slope: score in mm for each mm of the series' own, positive from feet to head; NaN for a
            series too short to tell.
        jumps: positions of slices before which the series breaks.
        interval_doubtful: whether the slice interval it states cannot be right.
    """

    order: SliceOrder
    slope: float
    jumps: tuple[int, ...] = ()
    interval_doubtful: bool = False

    @property
    def is_sound(self) -> bool:
        """One even run, in either order; unclear order alone is no fault."""
        return not self.jumps and not self.interval_doubtful


def check_series(scores_mm: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> SeriesCheck:
    """Order, slope and breaks of (slices,) scores in mm at rising heights of the series' own."""
    heights = heights_mm
    if len(scores_mm) < 2 or heights[-1] - heights[0] < LEAST_SPAN_MM:
        return SeriesCheck(SliceOrder.UNCLEAR, float("nan"))
    thin = np.unique(np.linspace(0, len(heights) - 1, MOST_SLICES).round().astype(int))
    slope = _median_slope(scores_mm[thin], heights[thin])
    climb = abs(slope) * (heights[-1] - heights[0])
    if abs(slope) < CLEAR_SLOPE or climb < CLEAR_MM:
        order = SliceOrder.UNCLEAR
    else:
        order = SliceOrder.FEET_FIRST if slope > 0 else SliceOrder.HEAD_FIRST
    long_enough = bool(heights[-1] - heights[0] >= 4 * LEAST_SPAN_MM)
    low, high = SOUND_SLOPES
    doubtful = long_enough and not low <= abs(slope) <= high
    return SeriesCheck(order, slope, _jumps(scores_mm, heights, order), doubtful)


def _median_slope(scores_mm: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> float:
    """The median of the slopes of all pairs (Theil, 1950; Sen, 1968): a few outliers do not count.

    Written out, because scipy.stats takes half a second to load and a query waits for it.
    """
    rises = heights_mm[:, None] - heights_mm
    is_later = rises > 0
    return float(np.median((scores_mm[:, None] - scores_mm)[is_later] / rises[is_later]))


def level_scores(
    scores_mm: NDArray[np.float64], heights_mm: NDArray[np.float64], check: SeriesCheck
) -> NDArray[np.float64]:
    """Scores moved onto the series' own line, where the series is sound.

    One slice alone is off by centimetres; the line takes the median of all. It climbs as the
    scores do, or over a short series as the stated interval does.
    """
    if not check.is_sound or len(scores_mm) == 0:
        return scores_mm
    if heights_mm[-1] - heights_mm[0] < SHORT_MM:
        slope = -1.0 if check.order is SliceOrder.HEAD_FIRST else 1.0
    elif check.order is SliceOrder.UNCLEAR:
        return scores_mm
    else:
        slope = check.slope
    line = slope * heights_mm
    return np.asarray(line + np.median(scores_mm - line))


def _jumps(
    scores_mm: NDArray[np.float64], heights_mm: NDArray[np.float64], order: SliceOrder
) -> tuple[int, ...]:
    """Where the median of the next slices does not follow on that of the last ones."""
    sign = {SliceOrder.FEET_FIRST: 1.0, SliceOrder.HEAD_FIRST: -1.0, SliceOrder.UNCLEAR: 0.0}[order]
    level = scores_mm - sign * heights_mm
    steps = [
        float(np.median(level[at : at + RUN]) - np.median(level[at - RUN : at]))
        for at in range(RUN, len(level) - RUN + 1)
    ]
    found: list[int] = []
    for number in np.argsort(-np.abs(steps)) if steps else []:
        at = int(number) + RUN
        if abs(steps[number]) < JUMP_MM:
            break
        if all(abs(at - other) > RUN for other in found):
            found.append(at)
    return tuple(sorted(found))
