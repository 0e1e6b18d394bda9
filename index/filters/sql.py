"""A LesionFilter as conditions on the catalog's ``lesions`` table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from index.filters.lesion_filter import LesionFilter

EVERYTHING = "1"
"""The condition every row meets."""

_NAMED_COLUMNS = ("patient_id", "study_id", "lesion_id", "lesion_type", "split")


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
    kinds = (where.lesion_types, where.splits)
    parts = _named((where.patients, where.studies, where.lesions, *kinds), where.tags)
    ranges = [("long_mm", where.long_mm), ("short_mm", where.short_mm)]
    if where.location is not None:
        box = where.location
        # An open axis still asks that a location is known at all.
        parts.append(Condition("location_x IS NOT NULL"))
        ranges += [("location_x", box.x), ("location_y", box.y), ("location_z", box.z)]
    for column, limits in ranges:
        if limits is not None:
            parts += _between(column, limits.low, limits.high)
    if where.study_date is not None:
        days = where.study_date
        parts += _between("study_date", _iso(days.first), _iso(days.last))
    return _join(parts, " AND ") or Condition(EVERYTHING)


def unwanted_part(where: LesionFilter) -> Condition | None:
    """What the filter excludes, or None if it excludes nothing."""
    ids = (where.excluded_patients, where.excluded_studies, where.excluded_lesions)
    kinds = (where.excluded_lesion_types, where.excluded_splits)
    return _join(_named((*ids, *kinds), where.excluded_tags), " OR ")


def _join(parts: list[Condition], word: str) -> Condition | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return Condition(
        word.join(part.sql for part in parts),
        tuple(value for part in parts for value in part.values),
    )


def _named(choices: Sequence[Collection[str]], tags: Collection[str]) -> list[Condition]:
    """What is named in the order of ``_NAMED_COLUMNS``, and the tags."""
    columns = zip(_NAMED_COLUMNS, choices, strict=True)
    parts = [_one_of(column, choice) for column, choice in columns if choice]
    return parts + [_tagged(tag) for tag in sorted(tags)]


def _one_of(column: str, choice: Collection[str]) -> Condition:
    marks = ",".join("?" * len(choice))
    return Condition(f"{column} IN ({marks})", tuple(str(value) for value in sorted(choice)))


def _tagged(tag: str) -> Condition:
    return Condition("row IN (SELECT row FROM lesion_tags WHERE tag = ?)", (tag,))


def _between(column: str, low: Any, high: Any) -> list[Condition]:
    ends = ((f"{column} >= ?", low), (f"{column} <= ?", high))
    return [Condition(sql, (end,)) for sql, end in ends if end is not None]


def _iso(day: Any) -> str | None:
    return None if day is None else day.isoformat()
