"""The text form of a LesionFilter, read and written; the rules stand in ``lesion_filter``.

The text comes from strangers. Its length, its clauses and its tags are bounded before anything is
looked at, and it is read from left to right, once: every pattern here is possessive (``++``), so
that what did not match is not tried again from the next character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from index.errors import FilterError
from index.filters.ranges import DateRange, LocationBox, NumberRange
from retrieval.lesion import LesionError, LesionType, Split
from retrieval.tag import TagSource

MAX_CHARACTERS = 4096
"""The longest text of a filter; a filter made in Python may name more."""

MAX_CLAUSES = 100
MAX_TAGS = 32
"""Tags that one text may ask for and exclude, together."""

_SHOWN = 80

_HEAD = re.compile(r"(?P<name>\w++)\s*+(?P<op>!=|>=|<=|=)")
_PART = re.compile(r'"(?:[^"\\]|\\.)*+"|[^"]++', re.DOTALL)
_AND = re.compile(r"\sand\s", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = re.compile(r"[\w.:/ +-]+")
_NEEDS_QUOTES = re.compile(r"^\s|\s$|\band\b|\.\.", re.IGNORECASE)

_CHOICES = {
    "patient": "patients",
    "study": "studies",
    "lesion": "lesions",
    "type": "lesion_types",
    "split": "splits",
    "tag": "tags",
    "category": "categories",
}
_SOURCES = "tag_source"
_SIZES = ("long_mm", "short_mm", "measured_long_mm", "measured_short_mm", "volume_mm3")
_NUMBERS = (*_SIZES, "x", "y", "z")
_ALIASES = {
    "patient_id": "patient",
    "study_id": "study",
    "lesion_id": "lesion",
    "lesion_type": "type",
    "study_date": "date",
    "location_x": "x",
    "location_y": "y",
    "location_z": "z",
    "tags_source": _SOURCES,
    "volume": "volume_mm3",
    "measured_long": "measured_long_mm",
    "measured_short": "measured_short_mm",
}
_NAMES = (*_CHOICES, _SOURCES, *_NUMBERS, "date")


def fields_of(text: str) -> dict[str, Any]:
    """The fields of LesionFilter that a text sets; raises FilterError naming the clause."""
    values: dict[str, Any] = {}
    axes: dict[str, NumberRange] = {}
    _check_text(text)
    if not text.strip():
        return values
    for clause in _clauses(text):
        name, op, value = _split_clause(clause)
        if name in _CHOICES or name == _SOURCES:
            _add_choice(values, clause, (name, op, value))
        elif name == "date":
            limits = _limits(clause, op, value, _day)
            values["study_date"] = _meet(clause, values.get("study_date"), DateRange(*limits))
        elif name in ("x", "y", "z"):
            limits_mm = NumberRange(*_limits(clause, op, value, float))
            axes[name] = _meet(clause, axes.get(name), limits_mm)
        else:
            limits_mm = NumberRange(*_limits(clause, op, value, float))
            values[name] = _meet(clause, values.get(name), limits_mm)
    if axes:
        values["location"] = LocationBox(**axes)
    tags = sum(len(values.get(name, ())) for name in ("tags", "excluded_tags"))
    if tags > MAX_TAGS:
        raise FilterError(f"the filter names {tags} tags: at most {MAX_TAGS} are accepted")
    return values


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise FilterError(
            f"the filter has {len(text)} characters: at most {MAX_CHARACTERS} are accepted; ask "
            "for a range or a type, or in several requests"
        )
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError("the filter holds half a character (a lone surrogate): send valid text")


def text_of(where: Any) -> str:
    """The text of a LesionFilter; ``fields_of`` reads the same filter back."""
    clauses: list[str] = []
    for name, plural in _CHOICES.items():
        clauses += _choice_text(name, "=", sorted(getattr(where, plural)))
        clauses += _choice_text(name, "!=", sorted(getattr(where, f"excluded_{plural}")))
    clauses += _choice_text(_SOURCES, "=", sorted(where.tag_sources))
    clauses += [f"{name}={limits}" for name in _SIZES if (limits := getattr(where, name))]
    if where.location is not None and is_dataclass(where.location):
        axes = ((axis.name, getattr(where.location, axis.name)) for axis in fields(where.location))
        clauses += [f"{name}={limits}" for name, limits in axes if limits is not None]
    if where.study_date is not None:
        clauses.append(f"date={where.study_date}")
    return " and ".join(clauses)


def _choice_text(name: str, op: str, values: Sequence[str]) -> list[str]:
    quoted = [_quoted(str(value)) for value in values]
    if name == "tag" and op == "=":
        return [f"tag={value}" for value in quoted]
    return [f"{name}{op}{','.join(quoted)}"] if quoted else []


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value) and not _NEEDS_QUOTES.search(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _clauses(text: str) -> list[str]:
    """Splits at each ``and`` that stands outside quotes."""
    clauses = [""]
    for part in _parts(text):
        if part.startswith('"'):
            clauses[-1] += part
            continue
        first, *others = _AND.split(part)
        clauses[-1] += first
        clauses += others
    if len(clauses) > MAX_CLAUSES:
        raise FilterError(
            f"the filter has {len(clauses)} clauses: at most {MAX_CLAUSES} are accepted"
        )
    return clauses


def _parts(text: str) -> list[str]:
    """What stands in quotes, quotes included, and what stands between; together the text."""
    parts = []
    place = 0
    while place < len(text):
        found = _PART.match(text, place)
        if found is None:
            raise FilterError(f"filter {_shown(text)} has a quote that is never closed")
        parts.append(found[0])
        place = found.end()
    return parts


def _shown(text: str) -> str:
    """A clause as errors quote it: its beginning alone where it is long."""
    text = text.strip()
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."


def _split_clause(clause: str) -> tuple[str, str, str]:
    clause = clause.strip()
    found = _HEAD.match(clause)
    value = "" if found is None else clause[found.end() :].strip()
    if found is None or not value:
        raise FilterError(
            f"filter clause {_shown(clause)} is not understood: write name=value, such as "
            f"type=liver or long_mm=10..30, joined by `and`; names: {', '.join(_NAMES)}"
        )
    name = found["name"].lower()
    name = _ALIASES.get(name, name)
    if name not in _NAMES:
        raise FilterError(
            f"filter clause {_shown(clause)} names an unknown field {_shown(found['name'])}: "
            f"one of {', '.join(_NAMES)}"
        )
    return name, found["op"], value


def _add_choice(values: dict[str, Any], clause: str, parts: tuple[str, str, str]) -> None:
    name, op, text = parts
    if name == _SOURCES and op != "=":
        raise FilterError(f"filter clause {_shown(clause)}: {name} takes = only")
    if op not in ("=", "!="):
        raise FilterError(f"filter clause {_shown(clause)}: {name} takes = or != only")
    choice = frozenset(_one_of(name, value, clause) for value in _choices(clause, text))
    plural = "tag_sources" if name == _SOURCES else _CHOICES[name]
    plural = plural if op == "=" else f"excluded_{plural}"
    if op == "=" and name == "tag" and len(choice) > 1:
        raise FilterError(
            f"filter clause {_shown(clause)} lists several tags: write tag=a and tag=b, both "
            "must be present"
        )
    if op == "=" and name != "tag" and plural in values:
        raise FilterError(
            f"filter asks for {name} twice: write {name}=a,b to accept either of them"
        )
    values[plural] = values.get(plural, frozenset()) | choice


def _choices(clause: str, text: str) -> list[str]:
    choices: list[str] = [""]
    quoted = [False]
    for part in _parts(text):
        if part.startswith('"'):
            choices[-1] = _ESCAPED.sub(r"\1", part[1:-1])
            quoted[-1] = True
            continue
        first, *others = part.split(",")
        if quoted[-1] and first.strip():
            raise FilterError(f"filter clause {_shown(clause)} has text after a closing quote")
        choices[-1] += first
        choices += others
        quoted += [False] * len(others)
    cleaned = [
        value if is_quoted else value.strip()
        for value, is_quoted in zip(choices, quoted, strict=True)
    ]
    if not all(cleaned):
        raise FilterError(f"filter clause {_shown(clause)} has an empty value")
    return cleaned


def _one_of(name: str, value: str, clause: str) -> str:
    if name == "type":
        try:
            return LesionType.parse(value)
        except LesionError as error:
            raise FilterError(f"filter clause {_shown(clause)}: {error}") from None
    if name == "split":
        try:
            return Split(value.lower())
        except ValueError:
            names = ", ".join(split.value for split in Split)
            raise FilterError(
                f"filter clause {_shown(clause)}: split {_shown(value)} is unknown: one of {names}"
            ) from None
    if name == _SOURCES:
        try:
            return TagSource.parse(value)
        except LesionError as error:
            raise FilterError(f"filter clause {_shown(clause)}: {error}") from None
    return value


def _limits(clause: str, op: str, text: str, convert: Callable[[str], Any]) -> tuple[Any, Any]:
    if op == "!=":
        raise FilterError(
            f"filter clause {_shown(clause)}: a range cannot be excluded; write the range wanted"
        )
    if op == "=":
        low, dots, high = text.partition("..")
        ends = (low, high) if dots else (text, text)
    else:
        ends = (text, "") if op == ">=" else ("", text)
    try:
        first, last = (convert(end.strip()) if end.strip() else None for end in ends)
    except ValueError:
        form = "2019-01-31 or 2019-01-01..2019-12-31" if convert is _day else "10, 10..30 or 10.."
        raise FilterError(
            f"filter clause {_shown(clause)}: {_shown(text)} is not understood: write {form}"
        ) from None
    return first, last


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _meet(clause: str, known: Any, found: Any) -> Any:
    """The overlap of two ranges of one field."""
    if known is None:
        return found
    low_name, high_name = (field.name for field in fields(found))
    lows = [end for end in (getattr(known, low_name), getattr(found, low_name)) if end is not None]
    highs = [
        end for end in (getattr(known, high_name), getattr(found, high_name)) if end is not None
    ]
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low > high:
        raise FilterError(f"filter clause {_shown(clause)} leaves nothing of an earlier one")
    return type(found)(low, high)
