"""Ranges of a filter: numbers, days, and a box of body positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from index.errors import FilterError


@dataclass(frozen=True, slots=True)
class NumberRange:
    """``low`` to ``high``, ends included; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if end is not None and not math.isfinite(end):
                raise FilterError(f"range {self} has an end that is not a finite number")
        if self.low is None and self.high is None:
            raise FilterError("a range needs at least one end: write 10..30, 10.. or ..30")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise FilterError(f"range {self} is empty: the first number must not be the greater")

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        return f"{_number(self.low)}..{_number(self.high)}"


@dataclass(frozen=True, slots=True)
class DateRange:
    """From ``first`` to ``last`` day, both included; None leaves an end open."""

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first is None and self.last is None:
            raise FilterError("a date range needs at least one end: write 2019-01-01..2019-12-31")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise FilterError(f"date range {self} is empty: the first day must not be the later")

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, date):
            return False
        return (self.first is None or value >= self.first) and (
            self.last is None or value <= self.last
        )

    def __str__(self) -> str:
        return f"{self.first or ''}..{self.last or ''}"


@dataclass(frozen=True, slots=True)
class LocationBox:
    """A box of DeepLesion's normalised body position; None leaves an axis open."""

    x: NumberRange | None = None
    y: NumberRange | None = None
    z: NumberRange | None = None

    def __contains__(self, location: object) -> bool:
        if not isinstance(location, tuple):
            return False
        axes = (self.x, self.y, self.z)
        return all(
            axis is None or value in axis for axis, value in zip(axes, location, strict=True)
        )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
