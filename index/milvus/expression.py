"""A LesionFilter as a boolean expression of Milvus, so that the server itself filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from index.filters.lesion_filter import LesionFilter
from index.filters.ranges import DateRange, NumberRange

MISSING_NUMBER = -1e308
"""Stands for an unknown number: Milvus before 2.5 has no null. No range reaches down to it."""

LEAST_NUMBER = -1e307
"""The least number a field may hold; every range begins here or above."""

MISSING_DAY = 0
"""Stands for an unknown day; ``date.toordinal`` begins at 1."""

MISSING_CATEGORY = ""
"""Stands for a lesion that has no category; no category's id is empty."""

OWN_ROWS = 0
"""Rows up to this one are the collection's own, for its sync state; the catalog's begin at 1."""

_EVERY_LESION = f"row > {OWN_ROWS}"


def expression(where: LesionFilter | None) -> str:
    """The expression of the lesions that a filter lets through."""
    if where is None:
        return _EVERY_LESION
    unwanted = [f"not ({part})" for part in _unwanted(where)]
    return " and ".join([_EVERY_LESION, *_wanted(where), *unwanted])


def literal(text: str) -> str:
    """A text in double quotes; quotes, backslashes and control characters escaped."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    return f"\\{code:03o}" if code < 0x20 or code == 0x7F else character


def _wanted(where: LesionFilter) -> list[str]:
    parts = [
        _one_of("patient_id", where.patients),
        _one_of("study_id", where.studies),
        _one_of("lesion_id", where.lesions),
        _one_code_of("lesion_type", [kind.code for kind in where.lesion_types]),
        _one_code_of("split", [split.code for split in where.splits]),
        _within("long_mm", where.long_mm),
        _within("short_mm", where.short_mm),
        _within("measured_long_mm", where.measured_long_mm),
        _within("measured_short_mm", where.measured_short_mm),
        _within("volume_mm3", where.volume_mm3),
        _one_of("category", where.categories),
        *(_tagged(tag, where.tag_sources) for tag in sorted(where.tags)),
    ]
    if where.tag_sources and not where.tags:
        parts.append(_any_of(where.tag_sources))
    if where.location is not None:
        box = where.location
        # An open axis still asks that a location is known at all.
        parts += [
            _between(f"location_{axis}", limits or NumberRange(LEAST_NUMBER))
            for axis, limits in (("x", box.x), ("y", box.y), ("z", box.z))
        ]
    if where.study_date is not None:
        parts.append(_dated(where.study_date))
    return [part for part in parts if part]


def _unwanted(where: LesionFilter) -> list[str]:
    parts = [
        _one_of("patient_id", where.excluded_patients),
        _one_of("study_id", where.excluded_studies),
        _one_of("lesion_id", where.excluded_lesions),
        _one_code_of("lesion_type", [kind.code for kind in where.excluded_lesion_types]),
        _one_code_of("split", [split.code for split in where.excluded_splits]),
        _one_of("category", where.excluded_categories),
        *(_tagged(tag, where.tag_sources) for tag in sorted(where.excluded_tags)),
    ]
    return [part for part in parts if part]


def _one_of(field: str, choice: Collection[str]) -> str:
    return f"{field} in [{', '.join(literal(value) for value in sorted(choice))}]" if choice else ""


def _one_code_of(field: str, codes: Collection[int]) -> str:
    return f"{field} in [{', '.join(str(code) for code in sorted(codes))}]" if codes else ""


def sourced(source: str, term: str | None = None) -> str:
    """The entry of ``tag_sources`` for a tag of that source, or for any of its tags."""
    return source if term is None else f"{source}:{term}"


def _tagged(tag: str, sources: Collection[str]) -> str:
    if not sources:
        return f"array_contains(tags, {literal(tag)})"
    return _any_of(sourced(source, tag) for source in sources)


def _any_of(entries: Iterable[str]) -> str:
    listed = ", ".join(literal(entry) for entry in sorted(entries))
    return f"array_contains_any(tag_sources, [{listed}])"


def _within(field: str, limits: NumberRange | None) -> str:
    return "" if limits is None else _between(field, limits)


def _between(field: str, limits: NumberRange) -> str:
    low = LEAST_NUMBER if limits.low is None else max(float(limits.low), LEAST_NUMBER)
    parts = [f"{field} >= {low!r}"]
    if limits.high is not None:
        parts.append(f"{field} <= {float(limits.high)!r}")
    return " and ".join(parts)


def _dated(days: DateRange) -> str:
    first = date.min if days.first is None else days.first
    last = date.max if days.last is None else days.last
    return f"study_day >= {first.toordinal()} and study_day <= {last.toordinal()}"
