"""What a size may become: median, ranges, chances of growth and shrinkage, doubling time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from retrieval.tracking.growth.courses import Course
from retrieval.tracking.growth.kernels import ChangeDistribution
from retrieval.tracking.growth.laws import LawPosterior

LEVELS = (0.5, 0.8, 0.95)
GROWTH_RATIO, SHRINKAGE_RATIO = 1.2, 0.7
"""Relevant growth and shrinkage of a diameter, RECIST's 20 and 30 %; a volume's third power."""


@dataclass(frozen=True, slots=True)
class SizeRange:
    """A range that holds the size with the probability ``level_pct``.

    Attributes:
        level_pct: 50, 80 or 95.
        low, high: in the unit of the measure.
        low_pct, high_pct: as changes from the last size.
    """

    level_pct: int
    low: float
    high: float
    low_pct: float
    high_pct: float

    def to_json(self) -> dict[str, Any]:
        """The range as JSON values."""
        return {name: round(value, 2) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class SizeOutlook:
    """What the size may be.

    Attributes:
        days: after the last study, None where no dates tell.
        median: the size that is as likely exceeded as not.
        median_pct: the same as a change from the last size.
        ranges: of 50, 80 and 95 %.
        growth_probability: of growth by at least ``growth_pct``.
        growth_pct: 20 for diameters, 73 for volumes.
        shrinkage_probability: of shrinkage by at least ``shrinkage_pct``.
        shrinkage_pct: 30 for diameters, 66 for volumes.
    """

    days: float | None
    median: float
    median_pct: float
    ranges: tuple[SizeRange, ...]
    growth_probability: float
    growth_pct: float
    shrinkage_probability: float
    shrinkage_pct: float

    @classmethod
    def of(cls, course: Course, change: ChangeDistribution, days: float | None) -> Self:
        """The outlook of a course by the distribution of its next log change."""
        last = course.points[-1].size
        power = course.measure.dimensions
        more, less = GROWTH_RATIO**power, SHRINKAGE_RATIO**power

        def ranged(level: float) -> SizeRange:
            low, high = (math.exp(one) for one in change.central_range(level))
            return SizeRange(
                round(100 * level), last * low, last * high, percent(low), percent(high)
            )

        middle = math.exp(change.quantile(0.5))
        return cls(
            days=days,
            median=last * middle,
            median_pct=percent(middle),
            ranges=tuple(ranged(level) for level in LEVELS),
            growth_probability=change.probability_above(math.log(more)),
            growth_pct=round(percent(more)),
            shrinkage_probability=change.probability_below(math.log(less)),
            shrinkage_pct=-round(percent(less)),
        )

    def to_json(self) -> dict[str, Any]:
        """The outlook as JSON values."""
        return {
            "days": rounded(self.days, 1),
            "median": round(self.median, 2),
            "median_pct": round(self.median_pct, 1),
            "ranges": [one.to_json() for one in self.ranges],
            "growth_probability": round(self.growth_probability, 4),
            "growth_pct": self.growth_pct,
            "shrinkage_probability": round(self.shrinkage_probability, 4),
            "shrinkage_pct": self.shrinkage_pct,
        }


@dataclass(frozen=True, slots=True)
class DoublingTime:
    """In how many days the volume doubles at the pace of the last study, from two dated sizes on.

    Attributes:
        days: the median; negative while it halves, None where it does not change.
        fastest_days: the fast end of the 95 % range; None where even that does not grow.
        slowest_days: the slow end; None where the volume may not grow at all.
        growing_probability: that the lesion grows.
        exponential_probability: of exponential growth, the alternative being Gompertz.
        sizes: how many dated sizes it rests on.
    """

    days: float | None
    fastest_days: float | None
    slowest_days: float | None
    growing_probability: float
    exponential_probability: float
    sizes: int

    @classmethod
    def of(cls, course: Course, posterior: LawPosterior) -> Self:
        """The doubling time of a course: ln 2 over the rate of the log volume."""
        rates = posterior.rate()
        reach = float(np.abs(rates.centres).max() + 8 * rates.scales.max())
        grid = np.linspace(-reach, reach, 2001)
        below = rates.cdf(grid)
        volume = 3.0 / course.measure.dimensions
        slow, middle, fast = (
            volume * float(np.interp(share, below, grid)) for share in (0.025, 0.5, 0.975)
        )
        return cls(
            days=None if middle == 0 else math.log(2) / middle,
            fastest_days=math.log(2) / fast if fast > 0 else None,
            slowest_days=math.log(2) / slow if slow > 0 else None,
            growing_probability=float(1 - rates.cdf(0.0)),
            exponential_probability=posterior.exponential_probability,
            sizes=len(course.points),
        )

    def to_json(self) -> dict[str, Any]:
        """The doubling time as JSON values."""
        return {
            "days": rounded(self.days, 1),
            "fastest_days": rounded(self.fastest_days, 1),
            "slowest_days": rounded(self.slowest_days, 1),
            "growing_probability": round(self.growing_probability, 4),
            "exponential_probability": round(self.exponential_probability, 4),
            "sizes": self.sizes,
        }


def percent(ratio: float) -> float:
    """A ratio of two sizes as a change in per cent."""
    return 100.0 * (ratio - 1.0)


def rounded(value: float | None, digits: int) -> float | None:
    """The value with so many digits after the point; None stays."""
    return None if value is None else round(value, digits)
