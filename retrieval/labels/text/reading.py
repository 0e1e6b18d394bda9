"""A text of a report into the terms that it says of a lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrieval.labels.text.assertion import Assertions
from retrieval.labels.text.composing import Composer, TextRules
from retrieval.labels.text.measures import (
    Measure,
    NamedImage,
    measures_of,
    references_of,
)
from retrieval.labels.text.phrases import Mention, PhraseMatcher
from retrieval.labels.text.tokens import Token, levelled, tokenise
from retrieval.labels.text.triggers import Status
from retrieval.labels.vocabulary.bundled import vocabulary as bundled_vocabulary
from retrieval.labels.vocabulary.terms import TermKind, Vocabulary, VocabularyError

MOST_CHARACTERS = 10_000
"""The longest text of one reading: a report is some thousand characters."""


@dataclass(frozen=True)
class Measurement:
    """A size that a text gives, with its image and the terms said of it."""

    long_mm: float
    short_mm: float | None
    series: int | None
    image: int | None
    terms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "long_mm": self.long_mm,
            "short_mm": self.short_mm,
            "series": self.series,
            "image": self.image,
            "terms": list(self.terms),
        }


@dataclass(frozen=True, slots=True)
class SaidTerm:
    """A term as a text says it: how, and by which characters of the levelled text."""

    term: str
    status: Status
    start: int
    end: int
    words: frozenset[int]
    """Places of its words' first characters."""


@dataclass(frozen=True)
class ReportTags:
    """What a text says of a lesion.

    ``relevant`` and ``uncertain`` are closed: what a term implies is among them. ``negated`` and
    ``past`` are the terms that the text itself names. A term is in one of the four only.
    """

    text: str
    relevant: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    negated: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """DESIGN.md's names; ``past`` and ``measurements`` beside them."""
        named = {name: getattr(self, name) for name in ("relevant", "uncertain", "negated", "past")}
        return {
            "text": self.text,
            **{name: [{"term": term} for term in terms] for name, terms in named.items()},
            "measurements": [one.to_json() for one in self.measurements],
        }


class TextReader:
    """Reads texts with one vocabulary; safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary, rules: TextRules | None = None) -> None:
        self.vocabulary = vocabulary
        self.matcher = PhraseMatcher(vocabulary)
        self._composer = Composer(vocabulary, rules or TextRules())

    def read(self, text: str) -> ReportTags:
        """The terms of a phrase, a sentence or a report; raises VocabularyError if too long."""
        if len(text) > MOST_CHARACTERS:
            raise VocabularyError(
                f"the text has {len(text)} characters: at most {MOST_CHARACTERS} are read at once; "
                "give it a sentence or a report at a time"
            )
        level = levelled(text)
        tokens = self._tokens(level)
        status = self._status(tokens)
        return ReportTags(
            text, **self._listed(status), measurements=self._measured(level, tokens, status)
        )

    def said(self, level: str) -> list[SaidTerm]:
        """Every term that a levelled text says, implied ones left out, in their order."""
        tokens = self._tokens(level)
        found = [
            SaidTerm(
                one.term,
                how,
                tokens[one.first].start,
                tokens[one.last - 1].end,
                frozenset(
                    tokens[place].start for first, last in one.spans for place in range(first, last)
                ),
            )
            for one, how in self._status(tokens).items()
        ]
        return sorted(found, key=lambda one: (one.start, one.end))

    def _tokens(self, level: str) -> list[Token]:
        tokens = _outside(tokenise(level), [*measures_of(level), *references_of(level)])
        return self.matcher.corrected(tokens)

    def _status(self, tokens: Sequence[Token]) -> dict[Mention, Status]:
        said = self.matcher.mentions(tokens)
        mentions = [*said, *self._composer.composed(tokens, said)]
        assertions = Assertions(tokens)
        return self._at_the_lesion(
            {one: assertions.status(one.spans, is_place=self._is_place(one)) for one in mentions}
        )

    def _is_place(self, mention: Mention) -> bool:
        return self.vocabulary.terms[mention.term].kind is TermKind.BODY_PART

    def _at_the_lesion(self, status: dict[Mention, Status]) -> dict[Mention, Status]:
        """Without the places that lie beside the lesion.

        What it displaces is beside it. What it is ``medial to`` is only where the lesion cannot be
        in both places.
        """
        places = {one.term for one, how in status.items() if how is Status.RELEVANT}
        return {
            one: Status.RELEVANT if how is Status.NEXT_TO else how
            for one, how in status.items()
            if how is not Status.BESIDE
            and not (how is Status.NEXT_TO and self.vocabulary.exclusive(one.term) & places)
        }

    def _listed(self, status: dict[Mention, Status]) -> dict[str, tuple[str, ...]]:
        named = {how: _terms(one.term for one in status if status[one] is how) for how in Status}
        relevant = self._closed(named[Status.RELEVANT], ())
        uncertain = self._closed(named[Status.UNCERTAIN], relevant)
        known = {*relevant, *uncertain}
        negated = tuple(one for one in named[Status.NEGATED] if one not in known)
        past = tuple(one for one in named[Status.PAST] if one not in {*known, *negated})
        return {"relevant": relevant, "uncertain": uncertain, "negated": negated, "past": past}

    def _closed(self, terms: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
        implied = sorted(self.vocabulary.expand(terms) - set(terms))
        return tuple(one for one in (*terms, *implied) if one not in known)

    def _measured(
        self, level: str, tokens: Sequence[Token], status: dict[Mention, Status]
    ) -> tuple[Measurement, ...]:
        measures, references = measures_of(level), references_of(level)
        found = []
        for measure in measures:
            own = _own_reference(level, measure, references)
            terms = _terms(
                mention.term
                for mention, how in status.items()
                if how is not Status.NEGATED
                and _nearest_measure(level, tokens, mention, measures) is measure
            )
            series, image = (None, None) if own is None else (own.series, own.image)
            found.append(Measurement(measure.long_mm, measure.short_mm, series, image, terms))
        return tuple(found)


@lru_cache(maxsize=4)
def text_reader(user_file: Path | None = None) -> TextReader:
    """The reader of the bundled vocabulary, with a user's terms where a file is named.

    Raises VocabularyError naming the entry of the user's file that cannot be.
    """
    return TextReader(bundled_vocabulary(user_file))


def _outside(tokens: Sequence[Token], spans: Sequence[Measure | NamedImage]) -> list[Token]:
    """The tokens that are no part of a size or an image reference."""
    return [
        token for token in tokens if not any(span.start <= token.start < span.end for span in spans)
    ]


def _terms(terms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))


def _own_reference(
    level: str, measure: Measure, references: Sequence[NamedImage]
) -> NamedImage | None:
    """The reference of the measure's own sentence that stands nearest to it."""
    own = [one for one in references if not _is_apart(level, measure.end, one.start)]
    return min(own, key=lambda one: abs(one.start - measure.end), default=None)


def _nearest_measure(
    level: str, tokens: Sequence[Token], mention: Mention, measures: Sequence[Measure]
) -> Measure | None:
    """The measure of the mention's own sentence that stands nearest to it."""
    start, end = tokens[mention.first].start, tokens[mention.last - 1].end
    own = [one for one in measures if not _is_apart(level, end, one.start)]

    def distance(one: Measure) -> int:
        low, high = sorted((end, one.start)) if one.start >= end else sorted((one.end, start))
        between = level[low:high]
        return len(between) + 40 * (between.count(",") + between.count(" and "))

    return min(own, key=distance, default=None)


def _is_apart(level: str, first: int, second: int) -> bool:
    """Whether a sentence ends between two places."""
    low, high = sorted((first, second))
    between = level[low:high]
    return ";" in between or ". " in between or "\n" in between
