"""A tag of a lesion: a term of the vocabulary with its probability and its source.

A lesion has at most one tag of a term. Where several sources speak of the same term the strongest
is kept: a reader's correction, then what the archive gives, then what a report says, then what a
model predicts, then what a model holds too unlikely for a tag.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from retrieval.errors import LesionError

UNCERTAIN = 0.5
"""The probability of a term that a report mentions as uncertain."""


class TagSource(StrEnum):
    """Where a tag comes from, weakest first.

    An ``unlikely`` tag is a model's probability below the threshold of its term: the lesion does
    not count as having the term and no answer shows it, but searches by words are ordered by it.
    """

    UNLIKELY = "unlikely"
    PREDICTED = "predicted"
    TEXT = "text"
    GIVEN = "given"
    READER = "reader"

    @classmethod
    def parse(cls, text: str) -> TagSource:
        """A source from its name; raises LesionError naming those there are."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            names = ", ".join(sorted(cls))
            raise LesionError(f"tag source {text[:40]!r} is unknown: one of {names}") from None


_STRENGTH = {source: strength for strength, source in enumerate(TagSource)}


@dataclass(frozen=True, slots=True)
class Tag:
    """One term of one lesion.

    Attributes:
        term: the vocabulary's name of it, or any word that an archive gives.
        probability: in [0, 1]; 1 where a source states the term, 0 where it denies it, 0.5 where
            a report is uncertain; calibrated where a model predicts it.
        source: where it comes from.
        model: which model predicted it; None for every other source.
    """

    term: str
    probability: float = 1.0
    source: TagSource = TagSource.GIVEN
    model: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.probability) and 0.0 <= self.probability <= 1.0):
            raise LesionError(
                f"tag {self.term[:40]!r} has the probability {self.probability}: 0 to 1 is accepted"
            )

    @property
    def holds(self) -> bool:
        """Whether the lesion counts as having the term.

        A model's tag is ``predicted`` only above the threshold of its term, so that it always does.
        """
        if self.source in (TagSource.PREDICTED, TagSource.UNLIKELY):
            return self.source is TagSource.PREDICTED
        return self.probability > UNCERTAIN

    def to_json(self) -> dict[str, Any]:
        """Term, probability and source: what answers say. The model is the index's own."""
        return {"term": self.term, "probability": self.probability, "source": self.source.value}

    @classmethod
    def from_json(cls, found: str | Mapping[str, Any]) -> Self:
        """A tag from its JSON, with a model where one is named; a plain text is a given tag."""
        if isinstance(found, str):
            return cls(found)
        model = found.get("model")
        return cls(
            str(found["term"]),
            float(found.get("probability", 1.0)),
            TagSource.parse(str(found.get("source", "given"))),
            None if model is None else str(model),
        )


def given_tags(*terms: str) -> tuple[Tag, ...]:
    """Tags that an archive or a form states, each term once, in their order."""
    return tuple(Tag(term) for term in dict.fromkeys(terms))


def strongest(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """One tag a term: that of the strongest source, the later one of two of the same source."""
    kept: dict[str, Tag] = {}
    for tag in tags:
        known = kept.get(tag.term)
        if known is None or _STRENGTH[tag.source] >= _STRENGTH[known.source]:
            kept[tag.term] = tag
    return tuple(kept.values())


def terms_held(tags: Iterable[Tag]) -> frozenset[str]:
    """The terms among the tags that a lesion counts as having."""
    return frozenset(tag.term for tag in tags if tag.holds)
