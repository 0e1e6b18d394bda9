"""What lesions of a term look like: where words ask for terms that a lesion's tags do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.filters.lesion_filter import LesionFilter
from index.filters.sql import accepted
from index.lesion_index import LesionIndex
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.labels.words.parsing import WordQuery
from retrieval.labels.words.scoring import Belief, Known
from retrieval.tag import TagSource
from service.engine.words.kept import Kept

Vector = NDArray[np.float32]

PROTOTYPE_LESIONS = 200
"""Lesions of a term whose mean is its prototype, at most."""

LEAST_LABELLED = 3
"""A prototype needs this many."""

MODELS = frozenset({TagSource.PREDICTED})
STATED = frozenset({TagSource.GIVEN, TagSource.TEXT, TagSource.READER})


@dataclass(frozen=True)
class Prototype:
    """What lesions of a term look like: a direction, and cosines of lesions with it and without.

    Lesions that somebody tagged make it; those that a model did where nobody has.

    ``of`` is the term whose lesions these are: the one asked, or the nearest that it implies.
    """

    of: str
    direction: Vector
    inside: float
    outside: float

    def belief(self, vector: Vector) -> Belief:
        """The probability of a lesion's vector; from likeness alone it is never sure."""
        gap = max(self.inside - self.outside, 0.05)
        place = (float(vector @ self.direction) - (self.inside + self.outside) / 2) / gap
        return 0.1 + 0.7 / (1.0 + float(np.exp(-4.0 * place))), Known.LIKENESS


class Prototypes:
    """The prototypes of one index's terms, kept until the index changes."""

    def __init__(self, index: LesionIndex, kept: Kept) -> None:
        self._index = index
        self._kept = kept

    def of(self, words: WordQuery, vocabulary: Vocabulary, generation: int) -> dict[str, Prototype]:
        """The prototype of each term of the words that has one."""
        found = {}
        for term in (*words.must, *words.should, *words.excluded):
            prototype = self._kept.get(
                (generation, "prototype", term, id(vocabulary)),
                lambda term=term: self._made(term, vocabulary),  # type: ignore[misc]
            )
            if prototype is not None:
                found[term] = prototype
        return found

    def count(self, term: str, generation: int) -> int:
        """How many lesions have a tag of the term that holds."""
        return self._kept.get(
            (generation, "count", term),
            lambda: self._index.count(LesionFilter(tags=frozenset({term}))),
        )

    def is_predicted(self, term: str, generation: int) -> bool:
        """Whether a model's tag says that a lesion has the term."""
        where = LesionFilter(tags=frozenset({term}), tag_sources=MODELS)
        return self._kept.get((generation, "predicted", term), lambda: self._index.count(where) > 0)

    def _made(self, term: str, vocabulary: Vocabulary) -> Prototype | None:
        """What lesions of a term look like; of the nearest labelled term that it implies."""
        wider = sorted(vocabulary.ancestors(term), key=lambda one: len(vocabulary.descendants(one)))
        for name in (term, *wider):
            inside = self._some(LesionFilter(tags=frozenset({name}), tag_sources=STATED))
            if len(inside) < LEAST_LABELLED:
                inside = self._some(LesionFilter(tags=frozenset({name})))
            if len(inside) < LEAST_LABELLED:
                continue
            outside = self._some(LesionFilter(excluded_tags=frozenset({name})))
            direction = inside.mean(axis=0)
            if len(outside):
                direction = direction - outside.mean(axis=0)
            norm = float(np.linalg.norm(direction))
            if norm < 1e-6:
                continue
            direction = (direction / norm).astype(np.float32)
            others = float((outside @ direction).mean()) if len(outside) else 0.0
            return Prototype(name, direction, float((inside @ direction).mean()), others)
        return None

    def _some(self, where: LesionFilter) -> Vector:
        condition, dimension = accepted(where), self._index.binding.dimension
        return self._index.read(
            lambda reader: reader.some_vectors(
                condition.sql, condition.values, limit=PROTOTYPE_LESIONS, dimension=dimension
            )
        )


def direction_of(words: WordQuery, prototypes: Mapping[str, Prototype]) -> Vector | None:
    """Where the terms point together; None where none of them points anywhere."""
    parts = [prototypes[one].direction for one in words.must if one in prototypes]
    parts += [0.5 * prototypes[one].direction for one in words.should if one in prototypes]
    parts += [-0.5 * prototypes[one].direction for one in words.excluded if one in prototypes]
    if not parts:
        return None
    total = np.sum(parts, axis=0)
    norm = float(np.linalg.norm(total))
    return None if norm < 1e-6 else (total / norm).astype(np.float32)
