"""A LesionFilter as conditions on the catalog's ``lesions`` table."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from index.filters.lesion_filter import LesionFilter

EVERYTHING = "1"
"""The condition every row meets."""

_MOST_MARKS = 500
"""Longer choices go to SQLite as one JSON list: it takes a bounded number of values."""

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
        excluded_categories=frozenset(),
    )


def wanted_part(where: LesionFilter) -> Condition:
    """What the filter asks for, its exclusions left out."""
    kinds = (where.lesion_types, where.splits)
    parts = _named((where.patients, where.studies, where.lesions, *kinds))
    if where.categories:
        parts.append(_one_of("category", where.categories))
    if where.tags or where.tag_sources:
        parts.append(_tagged(where.tags, where.tag_sources, every=True))
    ranges = [
        ("long_mm", where.long_mm),
        ("short_mm", where.short_mm),
        ("measured_long_mm", where.measured_long_mm),
        ("measured_short_mm", where.measured_short_mm),
        ("volume_mm3", where.volume_mm3),
    ]
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
    parts = _named((*ids, *kinds))
    if where.excluded_categories:
        found = _one_of("category", where.excluded_categories)
        # Without a category the condition is false, not unknown: what is excluded is named.
        parts.append(Condition(f"(category IS NOT NULL AND {found.sql})", found.values))
    if where.excluded_tags:
        parts.append(_tagged(where.excluded_tags, where.tag_sources, every=False))
    return _join(parts, " OR ")


def _join(parts: list[Condition], word: str) -> Condition | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return Condition(
        word.join(part.sql for part in parts),
        tuple(value for part in parts for value in part.values),
    )


def _named(choices: Sequence[Collection[str]]) -> list[Condition]:
    """What is named, in the order of ``_NAMED_COLUMNS``."""
    columns = zip(_NAMED_COLUMNS, choices, strict=True)
    return [_one_of(column, choice) for column, choice in columns if choice]


def _one_of(column: str, choice: Collection[str]) -> Condition:
    values = tuple(str(value) for value in sorted(choice))
    if len(values) > _MOST_MARKS:
        return Condition(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(values),))
    return Condition(f"{column} IN ({','.join('?' * len(values))})", values)


def _tagged(tags: Collection[str], sources: Collection[str], *, every: bool) -> Condition:
    """Rows with every one of the tags, or with any; one condition however many tags there are.

    Only tags of the ``sources`` count, where some are named; without tags any tag of theirs.
    """
    columns = (("tag", tags), ("source", sources))
    parts = [_one_of(column, choice) for column, choice in columns if choice]
    sql = f"SELECT row FROM lesion_tags WHERE {' AND '.join(part.sql for part in parts)}"
    if every and len(tags) > 1:
        sql += f" GROUP BY row HAVING COUNT(*) = {len(tags)}"
    return Condition(f"row IN ({sql})", tuple(value for part in parts for value in part.values))


def _between(column: str, low: Any, high: Any) -> list[Condition]:
    ends = ((f"{column} >= ?", low), (f"{column} <= ?", high))
    return [Condition(sql, (end,)) for sql, end in ends if end is not None]


def _iso(day: Any) -> str | None:
    return None if day is None else day.isoformat()
