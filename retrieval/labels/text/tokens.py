"""Words of a text with their places; inflections and spellings are levelled."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
_PREFIX = re.compile(
    r"\b(non|pre|para|peri|sub|retro|juxta|inter|intra|extra|epi|supra|infra|hyper|hypo|inter)-"
    r"(?=[a-z])"
)
_IRREGULAR = {
    "metastases": "metastasis",
    "vertebrae": "vertebra",
    "diverticula": "diverticulum",
    "bronchi": "bronchus",
    "hila": "hilum",
    "calculi": "calculus",
    "thrombi": "thrombus",
    "ovaries": "ovary",
    "opacified": "opacity",
    "oesophagus": "esophagus",
    "oesophageal": "esophageal",
    "haemorrhage": "hemorrhage",
    "haemorrhagic": "hemorrhagic",
    "haemangioma": "hemangioma",
    "centimeter": "cm",
    "centimeters": "cm",
    "millimeter": "mm",
    "millimeters": "mm",
    "centimetre": "cm",
    "millimetre": "mm",
    "millimetres": "mm",
    "centimetres": "cm",
}
_KEPT = ("ss", "us", "is")


@dataclass(frozen=True, slots=True)
class Token:
    """One word or mark of punctuation: as written in lower case, levelled, and its place.

    ``start`` and ``end`` are places in the text of ``levelled``.
    """

    word: str
    stem: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether it is a word or number, not punctuation."""
        return self.word.isalnum()


def levelled(text: str) -> str:
    """The text in lower case with plain spaces; prefixes with a hyphen are joined to their word."""
    folded = unicodedata.normalize("NFKC", text).replace("\u00d7", "x").lower()
    folded = folded.replace("\u2010", "-").replace("\u2011", "-").replace("\u2013", "-")
    return _PREFIX.sub(r"\1", folded)


def tokenise(text: str) -> list[Token]:
    """The words and punctuation of a text that was levelled."""
    return [
        Token(found[0], stem(found[0]), found.start(), found.end())
        for found in _WORD.finditer(text)
    ]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without plural and adverb ending."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 7 and word.endswith("ly"):
        return word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(_KEPT):
        return word[:-1]
    return word
