"""Lengths and images that a reader wrote in words: "12 x 8 mm", "68 x 40 mm (IMA 8-34)"."""

from __future__ import annotations

import re

from retrieval.sources.marks.content.concepts import MM_OF_UNIT
from retrieval.sources.marks.mark import ImageReference, LengthRole, StatedLength

MOST_MM = 500.0
"""A longer length in words is a dose, a distance to the scanner or a mistake."""

_NUMBER = r"(?<![\d.,])\d{1,4}(?:[.,]\d{1,3})?(?![\d])"
_UNIT = r"(?P<unit{n}>mm|cm)\b"
_TWO = re.compile(
    rf"(?P<a>{_NUMBER})\s{{0,3}}(?:{_UNIT.format(n=1)})?\s{{0,3}}(?:x|×|\*|by|maal)\s{{0,3}}"
    rf"(?P<b>{_NUMBER})(?:\s{{0,3}}(?:mm|cm)?\s{{0,3}}(?:x|×|\*|by|maal)\s{{0,3}}(?P<c>{_NUMBER}))?"
    rf"\s{{0,3}}{_UNIT.format(n=2)}",
    re.IGNORECASE,
)
_ONE = re.compile(rf"(?P<a>{_NUMBER})\s*{_UNIT.format(n=2)}", re.IGNORECASE)
_IMAGE = re.compile(
    r"\b(?:im(?:a|g|age)?|se(?:r|ries)?)\.?\s*#?\s*(?P<series>\d{1,5})\s*[-/:,]\s*"
    r"(?:im(?:a|g|age)?\.?\s*#?\s*)?(?P<image>\d{1,5})\b",
    re.IGNORECASE,
)
_ONLY_IMAGE = re.compile(r"\b(?:im|ima|img|image)\.?\s*#?\s*(?P<image>\d{1,5})\b", re.IGNORECASE)


def lengths_of_words(text: str) -> tuple[StatedLength, ...]:
    """The diameters that a text names, the longest two of "a x b (x c)"; empty where none.

    Only the first measurement of a text is taken; areas (mm2), densities and numbers without a
    unit are none.
    """
    found = _TWO.search(text)
    if found is not None:
        last = found["unit2"].lower()
        named = [(found["a"], (found["unit1"] or last).lower()), (found["b"], last)]
        named += [(found["c"], last)] if found["c"] else []
        roles = (LengthRole.LONG, LengthRole.SHORT)
    else:
        found = _ONE.search(text)
        if found is None or text[found.end() : found.end() + 1] in {"2", "3", "²", "³", "^"}:
            return ()
        named, roles = [(found["a"], found["unit2"].lower())], (LengthRole.LENGTH,) * 2
    lengths = [
        (_number(number), unit, _number(number) * MM_OF_UNIT[unit]) for number, unit in named
    ]
    if not all(0 < mm <= MOST_MM for *_, mm in lengths):
        return ()
    lengths.sort(key=lambda one: -one[2])
    return tuple(
        StatedLength(value, unit, mm, role, "in words")
        for (value, unit, mm), role in zip(lengths, roles, strict=False)
    )


def image_of_words(text: str) -> ImageReference | None:
    """The series and image number that a text names ("IMA 8-34", "series 8, image 34")."""
    found = _IMAGE.search(text)
    if found is not None:
        return ImageReference(
            series_number=int(found["series"]), instance_number=int(found["image"])
        )
    found = _ONLY_IMAGE.search(text)
    return None if found is None else ImageReference(instance_number=int(found["image"]))


def measured_images(text: str) -> list[tuple[str, tuple[StatedLength, ...], ImageReference]]:
    """Every image that a report's text names beside a length: the words, the lengths, the image.

    The lengths are those of the words between the image named before and this one.
    """
    found = []
    start = 0
    for named in _IMAGE.finditer(text):
        words = text[start : named.end()]
        start = named.end()
        lengths = lengths_of_words(re.split(r"[;\n]|\.\s", words)[-1])
        image = image_of_words(named.group())
        if lengths and image is not None:
            found.append((words.strip(), lengths, image))
    return found


def _number(text: str) -> float:
    return float(text.replace(",", "."))
