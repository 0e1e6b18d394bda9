"""How well a lesion fits the words of a search: a sum of log-odds, with a reason for each term.

What is known of a term on a lesion is looked up in this order: a tag (given, of a report, of a
reader, predicted), what a model makes of the lesion's appearance or position, its type, how alike
it is to lesions that carry the term, what is known of a term that this one implies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np

from retrieval.labels.place import MODEL as PLACE_MODEL
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.labels.words.parsing import WordQuery, WordRole
from retrieval.lesion import Lesion, LesionType
from retrieval.tag import UNCERTAIN, Tag, TagSource

STATED = 0.98
"""The probability of a term that somebody stated, and one minus it of one that was denied."""

MODEL_MARGIN = 1e-3
"""How much less sure than a statement a model can be ..."""

MODEL_TAIL = 0.03
"""... whose probabilities are drawn in beyond this, in their order."""

OF_TYPE, NOT_OF_TYPE = 0.95, 0.01
UNKNOWN = 0.1
"""The probability of a term of which nothing is known."""

OF_PARENT = 0.3
"""... and of one of which only something that it implies is known to hold."""

SHOULD_WEIGHT = 0.5

TYPE_TERMS: Mapping[LesionType, str] = {
    kind: kind.value for kind in LesionType if kind is not LesionType.UNKNOWN
}
"""The term that each lesion type is."""


class Known(StrEnum):
    """Where the probability of a term comes from."""

    GIVEN = "given"
    TEXT = "text"
    READER = "reader"
    PREDICTED = "predicted"
    POSITION = "position"
    TYPE = "type"
    LIKENESS = "likeness"
    PARENT = "parent"
    NOTHING = "nothing"


KNOWN_WORDS: Mapping[Known, str] = {
    Known.GIVEN: "tagged in the archive",
    Known.TEXT: "tagged from a report",
    Known.READER: "tagged by a reader",
    Known.PREDICTED: "predicted from the image",
    Known.POSITION: "from type and position",
    Known.TYPE: "from the lesion type",
    Known.LIKENESS: "looks like lesions with this tag",
    Known.PARENT: "only a wider term is known",
    Known.NOTHING: "not known",
}


@dataclass(frozen=True, slots=True)
class WordReason:
    """Why a hit fits one term of the words, or does not.

    Attributes:
        term: the term.
        role: must, should or not.
        probability: that the lesion has the term, in [0, 1].
        source: where that is known from: given, text, reader, predicted, position, type,
            likeness, parent or nothing.
        words: the source for people.
    """

    term: str
    role: WordRole
    probability: float
    source: Known
    words: str

    def to_json(self) -> dict[str, Any]:
        """Plain values; the probability to four decimals."""
        return {
            "term": self.term,
            "role": self.role.value,
            "probability": round(self.probability, 4),
            "source": self.source.value,
            "words": self.words,
        }


_MODELS = (Known.PREDICTED, Known.POSITION)

Belief = tuple[float, Known]
"""A probability, and where it is known from."""


def reasons(
    lesion: Lesion,
    words: WordQuery,
    vocabulary: Vocabulary,
    estimates: Sequence[Mapping[str, Belief]] = (),
) -> tuple[WordReason, ...]:
    """One reason for each term of the words.

    Args:
        lesion: with its tags and its type.
        words: what was asked.
        vocabulary: what terms imply and exclude.
        estimates: what models make of this lesion, by term; the first that has a term counts.
    """
    roles = (
        (words.must, WordRole.MUST),
        (words.should, WordRole.SHOULD),
        (words.excluded, WordRole.NOT),
    )
    found = []
    for terms, role in roles:
        for term in terms:
            probability, source = belief(lesion, term, vocabulary, estimates)
            found.append(WordReason(term, role, probability, source, KNOWN_WORDS[source]))
    return tuple(found)


def belief(
    lesion: Lesion,
    term: str,
    vocabulary: Vocabulary,
    estimates: Sequence[Mapping[str, Belief]] = (),
) -> Belief:
    """The probability of one term on a lesion, and where it is known from."""
    direct = _direct(lesion, term, vocabulary, estimates)
    if direct is not None:
        is_outweighed = direct[1] is Known.LIKENESS and any(
            _is_denied(lesion, parent, vocabulary) for parent in _ancestors(term, vocabulary)
        )
        return (NOT_OF_TYPE, Known.PARENT) if is_outweighed else direct
    opposite = _of_opposite(lesion.tags, term, vocabulary)
    if opposite is not None:
        return opposite
    parents = [
        known
        for parent in _ancestors(term, vocabulary)
        if (known := _direct(lesion, parent, vocabulary, estimates)) is not None
    ]
    if any(probability < UNKNOWN for probability, _ in parents):
        return NOT_OF_TYPE, Known.PARENT
    if any(probability > UNCERTAIN for probability, _ in parents):
        return OF_PARENT, Known.PARENT
    return UNKNOWN, Known.NOTHING


def _ancestors(term: str, vocabulary: Vocabulary) -> frozenset[str]:
    return vocabulary.ancestors(term) if term in vocabulary else frozenset()


def _is_denied(lesion: Lesion, term: str, vocabulary: Vocabulary) -> bool:
    """Whether tags or the type say that a term does not hold: likeness does not outweigh that."""
    told = _direct(lesion, term, vocabulary, ())
    return told is not None and told[0] < UNKNOWN and told[1] not in _MODELS


def is_known(lesion: Lesion, term: str, vocabulary: Vocabulary) -> bool:
    """Whether the lesion's own tags or its type tell of a term."""
    return _direct(lesion, term, vocabulary, ()) is not None


def score(found: Iterable[WordReason]) -> float:
    """The sum of the log-odds: of a term that must hold whole, of one that should by half."""
    total = 0.0
    for one in found:
        odds = math.log(one.probability / (1.0 - one.probability))
        total += {WordRole.MUST: odds, WordRole.SHOULD: SHOULD_WEIGHT * odds, WordRole.NOT: -odds}[
            one.role
        ]
    return total


def is_denied(found: Iterable[WordReason]) -> bool:
    """Whether something that must hold is known not to, or the other way round."""
    wrong = 1.0 - STATED + 1e-9
    return any(
        (one.role is WordRole.MUST and one.probability <= wrong)
        or (one.role is WordRole.NOT and one.probability >= 1.0 - wrong)
        for one in found
    )


def match(found: Sequence[WordReason]) -> float:
    """How well the words are met, in [0, 1]: the mean probability that each is as it was asked."""
    asked = [
        1.0 - one.probability if one.role is WordRole.NOT else one.probability for one in found
    ]
    return sum(asked) / len(asked) if asked else 1.0


def _direct(
    lesion: Lesion, term: str, vocabulary: Vocabulary, estimates: Sequence[Mapping[str, Belief]]
) -> Belief | None:
    tagged = _of_tags(lesion.tags, term, vocabulary)
    if tagged is not None:
        return tagged
    for estimate in estimates:
        if term in estimate:
            probability, source = estimate[term]
            return min(max(probability, 1.0 - STATED), STATED), source
    return _of_type(lesion.lesion_type, term, vocabulary)


def _of_tags(tags: Sequence[Tag], term: str, vocabulary: Vocabulary) -> Belief | None:
    """What the tags say of a term: those of it or of what implies it, else those that exclude it.

    A stated tag that holds comes before a predicted one, and that before one that does not hold.
    """
    if not tags:
        return None
    is_named = term in vocabulary
    below = vocabulary.descendants(term) if is_named else frozenset()
    excluding = vocabulary.exclusive(term) if is_named else frozenset()
    stated = predicted = own = contrary = None
    for tag in tags:
        name = tag.term
        if name == term and not tag.holds:
            own = own or tag
        elif name == term or name in below:
            if not tag.holds:
                continue
            if tag.source is TagSource.PREDICTED:
                predicted = predicted or tag
            else:
                stated = stated or tag
        elif contrary is None and name in excluding and _is_stated(tag):
            contrary = tag
    if own is not None and own.source is TagSource.READER:
        return _belief_of(own)
    found = stated or predicted or own
    if found is not None:
        return _belief_of(found)
    return None if contrary is None else (1.0 - STATED, Known(contrary.source.value))


def _is_stated(tag: Tag) -> bool:
    return tag.source is not TagSource.PREDICTED and tag.holds


def _of_opposite(tags: Sequence[Tag], term: str, vocabulary: Vocabulary) -> Belief | None:
    """Of a term that denies another one (noncalcified), what a model says of that one."""
    denied = term.removeprefix("non")
    if denied == term or term not in vocabulary or denied not in vocabulary.exclusive(term):
        return None
    for tag in tags:
        if tag.term == denied and tag.source in (TagSource.PREDICTED, TagSource.UNLIKELY):
            probability, source = _belief_of(tag)
            return 1.0 - probability, source
    return None


def _belief_of(tag: Tag) -> Belief:
    """What a tag says of its term.

    A model is never as sure as who states or denies a term, and keeps the order of its
    probabilities.
    """
    if tag.source in (TagSource.PREDICTED, TagSource.UNLIKELY):
        source = Known.POSITION if tag.model == PLACE_MODEL else Known.PREDICTED
        known = (0.0, MODEL_TAIL, 1.0 - MODEL_TAIL, 1.0)
        least = 1.0 - STATED + MODEL_MARGIN
        told = (least, MODEL_TAIL, 1.0 - MODEL_TAIL, 1.0 - least)
        return float(np.interp(tag.probability, known, told)), source
    return min(max(tag.probability, 1.0 - STATED), STATED), Known(tag.source.value)


@lru_cache(maxsize=65_536)
def _of_type(kind: LesionType, term: str, vocabulary: Vocabulary) -> Belief | None:
    own = TYPE_TERMS.get(kind)
    if own is None or own not in vocabulary or term not in vocabulary:
        return None
    if term in vocabulary.expand([own]):
        return OF_TYPE, Known.TYPE
    is_other = term in vocabulary.exclusive(own) or term in _OTHER_TYPES - {own}
    return (NOT_OF_TYPE, Known.TYPE) if is_other else None


_OTHER_TYPES = frozenset(TYPE_TERMS.values()) - {"soft tissue"}
