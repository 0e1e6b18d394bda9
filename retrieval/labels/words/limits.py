"""Sizes, days, patients and sides among the words of a search."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

Ends = tuple[float | date | None, float | date | None]

ABOUT = 1.25
"""A size without ``under`` or ``over`` is meant up to this factor either way."""

CENTIMETRE_MM = 10.0


class LimitField(StrEnum):
    """What of a lesion is limited."""

    LONG_MM = "long_mm"
    SHORT_MM = "short_mm"
    DAY = "date"
    PATIENT = "patient"
    NOT_PATIENT = "not patient"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit; ``start`` and ``end`` are where it stands in the levelled text.

    Attributes:
        field: what is limited.
        low: least mm or first day, null if open.
        high: greatest mm or last day, null if open.
        name: the patient, or the side.
    """

    field: LimitField
    start: int
    end: int
    low: float | date | None = None
    high: float | date | None = None
    name: str = ""

    @property
    def words(self) -> str:
        """The limit for people: ``long diameter under 10 mm``."""
        if self.field in (LimitField.PATIENT, LimitField.NOT_PATIENT):
            return f"{self.field.value} {self.name}"
        if self.field is LimitField.SIDE:
            return f"{self.name} side"
        what = _WORDS[self.field]
        if self.low is not None and self.high is not None:
            return f"{what} {_shown(self.low)} to {_shown(self.high)}"
        if self.high is not None:
            return f"{what} {'under' if _is_open(self.high) else 'up to'} {_shown(self.high)}"
        return f"{what} {'over' if _is_open(self.low) else 'from'} {_shown(self.low)}"


_WORDS = {
    LimitField.LONG_MM: "long diameter",
    LimitField.SHORT_MM: "short diameter",
    LimitField.DAY: "study",
}
_N = r"(\d{1,3}(?:\.\d+)?)"
_U = r"(mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_UNDER = (
    r"(?:under|below|less than|smaller than|up to|at most|no more than|not more than|not larger "
    r"than|no larger than|not over|within|maximum|max|<=|<|\u2264)"
)
_OVER = (
    r"(?:over|above|more than|larger than|greater than|bigger than|at least|not under|not smaller "
    r"than|no less than|exceeding|minimum|min|from|>=|>|\u2265)"
)
_AXIS = r"(?:(?P<short>short(?:est)? (?:axis|diameter))\s*(?:of|is)?\s*)?"
_DAY = r"((?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?)"


def limits_of(level: str) -> list[Limit]:
    """The limits of a levelled text, in their order; no two share a character."""
    found: list[Limit] = []
    for pattern, make in _RULES:
        for match in pattern.finditer(level):
            is_free = all(match.end() <= one.start or one.end <= match.start() for one in found)
            limit = make(match) if is_free else None
            if limit is not None:
                found.append(limit)
    return sorted(found, key=lambda one: one.start)


def side_limit(side: str, start: int, end: int) -> Limit:
    """The limit of a side that belongs to no term."""
    return Limit(LimitField.SIDE, start, end, name=side)


def _mm(number: str, unit: str | None) -> float:
    return float(number) * (CENTIMETRE_MM if (unit or "mm").startswith("c") else 1.0)


def _size(match: re.Match[str], low: float | None, high: float | None) -> Limit | None:
    field = LimitField.SHORT_MM if match.groupdict().get("short") else LimitField.LONG_MM
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Limit(field, match.start(), match.end(), low, high)


def _between(match: re.Match[str]) -> Limit | None:
    _, first, first_unit, second, unit = match.groups()
    return _size(match, _mm(first, first_unit or unit), _mm(second, unit))


def _under(match: re.Match[str]) -> Limit | None:
    _, word, number, unit = match.groups()
    size = _mm(number, unit)
    is_strict = word in ("under", "below", "less than", "smaller than", "<")
    return _size(match, None, math.nextafter(size, 0.0) if is_strict else size)


def _over(match: re.Match[str]) -> Limit | None:
    _, word, number, unit = match.groups()
    size = _mm(number, unit)
    is_strict = word in ("over", "above", "more than", "larger than", "greater than", ">")
    return _size(match, math.nextafter(size, math.inf) if is_strict else size, None)


def _about(match: re.Match[str]) -> Limit | None:
    _, number, unit = match.groups()
    size = _mm(number, unit)
    return _size(match, size / ABOUT, size * ABOUT)


def _subcentimetre(match: re.Match[str]) -> Limit | None:
    return Limit(
        LimitField.LONG_MM,
        match.start(),
        match.end(),
        None,
        math.nextafter(CENTIMETRE_MM, 0.0),
    )


def _days(text: str) -> tuple[date, date] | None:
    """First and last day of a year, a month or a day; None where there is no such day."""
    parts = [int(part) for part in text.split("-")]
    try:
        if len(parts) == 1:
            return date(parts[0], 1, 1), date(parts[0], 12, 31)
        if len(parts) == 2:
            last = monthrange(parts[0], parts[1])[1]
            return date(parts[0], parts[1], 1), date(parts[0], parts[1], last)
        day = date(parts[0], parts[1], parts[2])
        return day, day
    except ValueError:
        return None


def _day_between(match: re.Match[str]) -> Limit | None:
    first, last = _days(match[1]), _days(match[2])
    if first is None or last is None or first[0] > last[1]:
        return None
    return Limit(LimitField.DAY, match.start(), match.end(), first[0], last[1])


def _day(match: re.Match[str]) -> Limit | None:
    days = _days(match[2])
    if days is None:
        return None
    ends: dict[str, Ends] = {
        "since": (days[0], None),
        "from": (days[0], None),
        "after": (date.fromordinal(days[1].toordinal() + 1), None),
        "until": (None, days[1]),
        "before": (None, date.fromordinal(days[0].toordinal() - 1)),
        "in": days,
        "on": days,
    }
    low, high = ends[match[1]]
    return Limit(LimitField.DAY, match.start(), match.end(), low, high)


def _patient(match: re.Match[str]) -> Limit | None:
    field = LimitField.NOT_PATIENT if match[1] else LimitField.PATIENT
    return Limit(field, match.start(), match.end(), name=match[2])


_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Limit | None]]] = [
    (re.compile(r"\b(not |without |excluding )?patient (?:id )?#?([\w.-]*\d[\w.-]*)"), _patient),
    (re.compile(rf"\bbetween {_DAY} and {_DAY}(?!\s*[cm]m)"), _day_between),
    (re.compile(rf"\b(since|from|after|until|before|in|on) {_DAY}(?!\s*[cm]m)\b"), _day),
    (re.compile(rf"{_AXIS}\b(?:between )?{_N}\s*{_U}?\s*(?:-|to|and)\s*{_N}\s*{_U}\b"), _between),
    (re.compile(rf"{_AXIS}({_UNDER})\s*{_N}\s*{_U}\b"), _under),
    (re.compile(rf"{_AXIS}({_OVER})\s*{_N}\s*{_U}\b"), _over),
    (
        re.compile(rf"{_AXIS}(?:(?:about|around|approximately|approx\.?|~)\s*)?{_N}\s*-?{_U}\b"),
        _about,
    ),
    (re.compile(r"\b(?:subcentimet(?:er|re)|subcm)\b"), _subcentimetre),
]


def _is_open(end: float | date | None) -> bool:
    """Whether an end stands just beside the number that was written."""
    return isinstance(end, float) and end != round(end, 6)


def _shown(end: float | date | None) -> str:
    if isinstance(end, date):
        return end.isoformat()
    return f"{0.0 if end is None else end:.4g} mm"
