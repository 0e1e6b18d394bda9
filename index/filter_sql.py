"""A LesionFilter as conditions on the catalog's ``lesions`` table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from index.filter_ranges import NumberRange
from index.filters import LesionFilter

EVERYTHING = "1"
"""The condition every row meets."""


@dataclass(frozen=True)
class Condition:
    """An SQL expression and the values of its marks."""

    sql: str
    values: tuple[Any, ...] = ()


def accepted(where: LesionFilter | None) -> Condition:
    """The condition of every row that the filter lets through."""
    if where is None:
        return Condition(EVERYTHING)
    wanted, unwanted = wanted_part(where), unwanted_part(where)
    if unwanted is None:
        return wanted
    return Condition(f"{wanted.sql} AND NOT ({unwanted.sql})", wanted.values + unwanted.values)


def without_exclusions(where: LesionFilter) -> LesionFilter:
    """The filter less everything it excludes: what a cached selection is kept under."""
    return replace(
        where,
        excluded_patients=frozenset(),
        excluded_studies=frozenset(),
        excluded_lesions=frozenset(),
        excluded_lesion_types=frozenset(),
        excluded_splits=frozenset(),
        excluded_tags=frozenset(),
    )


def wanted_part(where: LesionFilter) -> Condition:
    """What the filter asks for, its exclusions left out."""
    parts = [
        _one_of("patient_id", where.patients),
        _one_of("study_id", where.studies),
        _one_of("lesion_id", where.lesions),
        _one_of("lesion_type", where.lesion_types),
        _one_of("split", where.splits),
        _within("long_mm", where.long_mm),
        _within("short_mm", where.short_mm),
        *(_tagged(tag) for tag in sorted(where.tags)),
    ]
    if where.location is not None:
        box = where.location
        # An open axis still asks that a location is known at all.
        parts.append(Condition("location_x IS NOT NULL"))
        for axis, limits in (("x", box.x), ("y", box.y), ("z", box.z)):
            parts.append(_within(f"location_{axis}", limits))
    if where.study_date is not None:
        days = where.study_date
        parts.append(_between("study_date", _iso(days.first), _iso(days.last)))
    return _join(parts, " AND ") or Condition(EVERYTHING)


def unwanted_part(where: LesionFilter) -> Condition | None:
    """What the filter excludes, or None if it excludes nothing."""
    parts = [
        _one_of("patient_id", where.excluded_patients),
        _one_of("study_id", where.excluded_studies),
        _one_of("lesion_id", where.excluded_lesions),
        _one_of("lesion_type", where.excluded_lesion_types),
        _one_of("split", where.excluded_splits),
        *(_tagged(tag) for tag in sorted(where.excluded_tags)),
    ]
    return _join(parts, " OR ")


def _join(parts: list[Condition | None], word: str) -> Condition | None:
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return Condition(
        word.join(part.sql for part in present),
        tuple(value for part in present for value in part.values),
    )


def _one_of(column: str, choice: Collection[str]) -> Condition | None:
    if not choice:
        return None
    marks = ",".join("?" * len(choice))
    return Condition(f"{column} IN ({marks})", tuple(str(value) for value in sorted(choice)))


def _tagged(tag: str) -> Condition:
    return Condition("row IN (SELECT row FROM lesion_tags WHERE tag = ?)", (tag,))


def _within(column: str, limits: NumberRange | None) -> Condition | None:
    return None if limits is None else _between(column, limits.low, limits.high)


def _between(column: str, low: Any, high: Any) -> Condition | None:
    ends = [(f"{column} >= ?", low), (f"{column} <= ?", high)]
    return _join([Condition(sql, (end,)) for sql, end in ends if end is not None], " AND ")


def _iso(day: Any) -> str | None:
    return None if day is None else day.isoformat()
