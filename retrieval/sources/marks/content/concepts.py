"""The codes and words of diameters and units: current codes beside the older ones of SRT."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from retrieval.sources.marks.mark import Concept, LengthRole, StatedLength, short_text

_ROLE_OF_CODE: Mapping[str, LengthRole] = {
    **dict.fromkeys(("103339001", "G-A185", "131187009", "G-A193"), LengthRole.LONG),
    **dict.fromkeys(("103340004", "G-A186", "131188004", "G-A194"), LengthRole.SHORT),
    **dict.fromkeys(("410668003", "G-D7FE"), LengthRole.LENGTH),
    **dict.fromkeys(("81827009", "M-02550", "397443006", "G-A22A"), LengthRole.DIAMETER),
}
"""Long and major axis, short and minor axis, length, diameter and width, in SCT and in SRT."""

_ROLE_OF_WORDS: tuple[tuple[re.Pattern[str], LengthRole], ...] = (
    (re.compile(r"\b(short|shortest|minor|perpendicular)\b"), LengthRole.SHORT),
    (re.compile(r"\b(long|longest|major|greatest|maximum|max)\b"), LengthRole.LONG),
    (re.compile(r"\b(diameter)\b"), LengthRole.DIAMETER),
    (re.compile(r"(length|distance|linelength)\b"), LengthRole.LENGTH),
)
_LENGTH_WORDS = re.compile(r"axis|diameter|length|distance|linear|extent")

MM_OF_UNIT: Mapping[str, float] = {
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 10.0),
    **dict.fromkeys(("um", "micrometer", "micrometre"), 0.001),
    **dict.fromkeys(("m", "meter", "metre"), 1000.0),
}
"""Millimetres of one unit; any other unit tells no length in mm."""

NOT_LENGTHS = frozenset({"deg", "mm2", "cm2", "mm3", "cm3", "ml", "[hnsf'u]", "{pixels}2", "%"})


def role_of(concept: Concept) -> LengthRole | None:
    """Which diameter a concept names, None where it names no length."""
    role = _ROLE_OF_CODE.get(concept.value)
    if role is not None:
        return role
    words = concept.meaning.lower()
    if not _LENGTH_WORDS.search(words):
        return None
    return next((role for pattern, role in _ROLE_OF_WORDS if pattern.search(words)), None)


def is_angle(concept: Concept) -> bool:
    """Whether a concept names an angle."""
    return concept.value in {"1483009", "M-01490"} or "angle" in concept.meaning.lower()


def stated(value: object, unit: str, concept: Concept) -> StatedLength | None:
    """A stated length, None where the concept names none or the number is not above 0."""
    role = role_of(concept)
    if role is None or unit.lower() in NOT_LENGTHS:
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number) or number <= 0:
        return None
    factor = MM_OF_UNIT.get(unit.strip().lower())
    mm = None if factor is None else number * factor
    return StatedLength(number, short_text(unit), mm, role, concept.meaning or concept.value)
