"""Sizes and image references of a report: ``12 x 8 mm``, ``series 8, image 34``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"\d{1,3}(?:\.\d{1,2})?"
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_SIZE = re.compile(
    rf"(?<![\d.])(?P<a>{_NUMBER})\s*(?P<ua>{_UNIT})?"
    rf"(?:\s*(?:x|by)\s*(?P<b>{_NUMBER})\s*(?P<ub>{_UNIT})?"
    rf"(?:\s*(?:x|by)\s*(?P<c>{_NUMBER})\s*(?P<uc>{_UNIT})?)?)?(?![\d.]*\d)"
)
_REFERENCE = re.compile(
    r"\(?\b(?:(?:series|se|ser)\.?\s*#?(?P<s1>\d{1,4})\s*[,/;]?\s*(?:images?|im|img|ima|slice)\.?"
    r"\s*#?(?P<i1>\d{1,4})|ima\s*(?P<s2>\d{1,4})\s*-\s*(?P<i2>\d{1,4})"
    r"|(?:images?|img|slice)\s*#?(?P<i3>\d{1,4})(?:\s*(?:of|on)?\s*series\s*#?(?P<s3>\d{1,4}))?)"
    r"\b\)?"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A size as written: ``long_mm`` and ``short_mm``, the latter None where one number stands.

    ``start`` and ``end`` are places in the levelled text.
    """

    long_mm: float
    short_mm: float | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NamedImage:
    """The image that a sentence names; ``series`` is None where it names none."""

    series: int | None
    image: int
    start: int
    end: int


def measures_of(text: str) -> list[Measure]:
    """The sizes of a levelled text, in their order; a number without a unit is none."""
    found = []
    for match in _SIZE.finditer(text):
        units = [match[name] for name in ("ua", "ub", "uc") if match[name]]
        if not units:
            continue
        factor = 10.0 if units[-1].startswith("c") else 1.0
        values = sorted((factor * float(match[n]) for n in "abc" if match[n]), reverse=True)
        short_mm = values[1] if len(values) > 1 else None
        found.append(Measure(values[0], short_mm, match.start(), match.end()))
    return found


def references_of(text: str) -> list[NamedImage]:
    """The image references of a levelled text, in their order."""
    found = []
    for match in _REFERENCE.finditer(text):
        series = next((match[name] for name in ("s1", "s2", "s3") if match[name]), None)
        image = next(match[name] for name in ("i1", "i2", "i3") if match[name])
        found.append(
            NamedImage(
                None if series is None else int(series), int(image), match.start(), match.end()
            )
        )
    return found
