"""One lesion track over time: diameters, growth rate, volume doubling time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from retrieval.lesion import Lesion
from retrieval.tracking.track_types import Track

DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True, slots=True)
class DiameterPoint:
    """The diameters of a lesion track in one study; None where never measured."""

    study_id: str
    study_date: date | None
    lesion_id: str
    long_mm: float | None
    short_mm: float | None

    def to_json(self) -> dict[str, Any]:
        """The point as JSON values."""
        return {
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "lesion_id": self.lesion_id,
            "long_mm": self.long_mm,
            "short_mm": self.short_mm,
        }


@dataclass(frozen=True, slots=True)
class TrackGrowth:
    """How one lesion track grew from its first measured study to its last.

    ``growth_mm_per_month`` and ``volume_doubling_days`` need dates and are None without them. The
    doubling time is negative while a lesion shrinks (days to half its volume) and None where the
    diameter did not change.
    """

    track_id: str
    points: tuple[DiameterPoint, ...]
    change_mm: float | None
    change_pct: float | None
    growth_mm_per_month: float | None
    volume_doubling_days: float | None

    def to_json(self) -> dict[str, Any]:
        """The course as JSON values."""
        return {
            "track_id": self.track_id,
            "points": [point.to_json() for point in self.points],
            "change_mm": _rounded(self.change_mm, 2),
            "change_pct": _rounded(self.change_pct, 1),
            "growth_mm_per_month": _rounded(self.growth_mm_per_month, 3),
            "volume_doubling_days": _rounded(self.volume_doubling_days, 1),
        }


def track_growth(track: Track) -> TrackGrowth:
    """The track's diameters in study order, and the change of the long diameter over them."""
    points = tuple(_point(lesion) for lesion in track.lesions)
    change_mm, change_pct = _change(points)
    return TrackGrowth(
        track_id=track.track_id,
        points=points,
        change_mm=change_mm,
        change_pct=change_pct,
        growth_mm_per_month=_monthly_growth_mm(points),
        volume_doubling_days=_doubling_over(points),
    )


def volume_doubling_days(first_mm: float, last_mm: float, days: float) -> float | None:
    """Days in which a sphere growing from one diameter to the other doubles its volume.

    ``days * ln 2 / (3 ln(last / first))`` (Schwartz, Cancer 1961;14:1272): volume goes with the
    third power of the diameter. Negative for a shrinking lesion; None for an unchanged diameter or
    no time between.
    """
    if days <= 0 or first_mm <= 0 or last_mm <= 0 or first_mm == last_mm:
        return None
    return days * math.log(2.0) / (3.0 * math.log(last_mm / first_mm))


def _point(lesion: Lesion) -> DiameterPoint:
    return DiameterPoint(
        lesion.study_id, lesion.study_date, lesion.lesion_id, lesion.long_mm, lesion.short_mm
    )


def _measured(points: Sequence[DiameterPoint]) -> list[tuple[DiameterPoint, float]]:
    return [(point, point.long_mm) for point in points if point.long_mm is not None]


def _change(points: Sequence[DiameterPoint]) -> tuple[float | None, float | None]:
    measured = _measured(points)
    if len(measured) < 2:
        return None, None
    first_mm, last_mm = measured[0][1], measured[-1][1]
    change = last_mm - first_mm
    return change, 100.0 * change / first_mm if first_mm > 0 else None


def _dated_ends(points: Sequence[DiameterPoint]) -> tuple[float, float, int] | None:
    """First and last long diameter and the days between them; None without two dates."""
    dated = [(p.study_date, mm) for p, mm in _measured(points) if p.study_date is not None]
    if len(dated) < 2:
        return None
    (first_day, first_mm), (last_day, last_mm) = dated[0], dated[-1]
    days = (last_day - first_day).days
    return (first_mm, last_mm, days) if days > 0 else None


def _monthly_growth_mm(points: Sequence[DiameterPoint]) -> float | None:
    ends = _dated_ends(points)
    return None if ends is None else (ends[1] - ends[0]) / ends[2] * DAYS_PER_MONTH


def _doubling_over(points: Sequence[DiameterPoint]) -> float | None:
    ends = _dated_ends(points)
    return None if ends is None else volume_doubling_days(*ends)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
