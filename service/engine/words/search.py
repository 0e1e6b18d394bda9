"""Lesions that fit words: found by their tags, their type, and the direction the words point in.

A search by words is one or two searches of the index: first of the lesions that carry every term
that must hold, nearest first to the direction of the terms; if these are too few, of the others.
The candidates are then put in order by what is known of each term (``retrieval.labels.words``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from index.filters.lesion_filter import LesionFilter
from index.filters.ranges import DateRange, LocationBox, NumberRange
from index.lesion_index import LesionIndex
from index.reports import Neighbour
from retrieval.labels.text.reading import TextReader, text_reader
from retrieval.labels.words.limits import Limit, LimitField
from retrieval.labels.words.parsing import WordQuery, parse_words
from retrieval.labels.words.scoring import (
    TYPE_TERMS,
    Belief,
    Known,
    WordReason,
    is_denied,
    is_known,
    match,
    reasons,
    score,
)
from retrieval.lesion import LesionType
from retrieval.tag import TagSource
from service.engine.query import QueryError
from service.engine.results import Hit

Vector = NDArray[np.float32]

CANDIDATES = 3
"""So many times the wanted hits are put in order by what is known of the terms ..."""

LEAST_CANDIDATES = 30
"""... and at least this many."""

PROTOTYPE_LESIONS = 200
"""Lesions of a term whose mean is its prototype, at most."""

LEAST_LABELLED = 3
"""A prototype needs this many."""

KEPT = 512
"""Prototypes and counts that are kept for the next search."""

SIMILARITY_SCALE = 0.25
"""Beside an example lesion: so much cosine weighs as one unit of log-odds."""

STATED = frozenset({TagSource.GIVEN, TagSource.TEXT, TagSource.READER})
_MIDDLE_X = 0.5


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


class WordSearch:
    """Searches one index by words; safe to share between threads."""

    def __init__(self, index: LesionIndex, reader: TextReader | None = None) -> None:
        self._index = index
        self._reader = reader
        self._kept: OrderedDict[tuple[int, str, str], object] = OrderedDict()

    @property
    def reader(self) -> TextReader:
        """What reads the words."""
        return self._reader or text_reader()

    def parse(self, text: str) -> WordQuery:
        """The words understood; raises VocabularyError."""
        return parse_words(text, self.reader)

    def hits(self, words: WordQuery, where: LesionFilter, k: int) -> tuple[Hit, ...]:
        """The lesions that fit the words best."""
        generation = self._index.generation
        where = self.limited(where, words)
        prototypes = self._prototypes(words, generation)
        direction = _direction(words, prototypes)
        tagged = [term for term in words.must if self._count(term, generation)]
        full = replace(where, tags=where.tags | frozenset(tagged))
        found = self._candidates(full, direction, k)
        if len(found) < k and (tagged or words.must):
            known = {one.lesion.lesion_id for one in found}
            others = self._candidates(self._of_types(where, words), direction, k)
            found += [one for one in others if one.lesion.lesion_id not in known]
        return self._ordered(found, words, prototypes, k)

    def reordered(
        self, neighbours: Sequence[Neighbour], words: WordQuery, k: int
    ) -> tuple[Hit, ...]:
        """Neighbours of an example lesion in the order of likeness and words together."""
        prototypes = self._prototypes(words, self._index.generation)
        return self._ordered(neighbours, words, prototypes, k, scale=SIMILARITY_SCALE)

    def _ordered(
        self,
        found: Sequence[Neighbour],
        words: WordQuery,
        prototypes: Mapping[str, Prototype],
        k: int,
        *,
        scale: float | None = None,
    ) -> tuple[Hit, ...]:
        vectors = self._vectors(self._in_doubt(found, words)) if prototypes else {}
        judged: list[tuple[float, Neighbour, tuple[WordReason, ...]]] = []
        for one in found:
            estimates = self._estimates(vectors.get(one.lesion.lesion_id), prototypes)
            told = reasons(one.lesion, words, self.reader.vocabulary, estimates)
            if is_denied(told):
                continue
            own = one.similarity if scale is None else one.similarity / scale
            judged.append((score(told) + own, one, told))
        judged.sort(key=lambda entry: (-entry[0], entry[1].lesion.lesion_id))
        return tuple(
            Hit(rank, one.similarity, one.lesion, match=match(told), words=told)
            for rank, (_, one, told) in enumerate(judged[:k], start=1)
        )

    def _in_doubt(self, found: Sequence[Neighbour], words: WordQuery) -> list[Neighbour]:
        """The lesions of which their tags and their type do not tell every term."""
        terms = (*words.must, *words.should, *words.excluded)
        vocabulary = self.reader.vocabulary
        return [
            one
            for one in found
            if not all(is_known(one.lesion, term, vocabulary) for term in terms)
        ]

    def _estimates(
        self, vector: Vector | None, prototypes: Mapping[str, Prototype]
    ) -> list[Mapping[str, Belief]]:
        if vector is None:
            return []
        return [{term: one.belief(vector) for term, one in prototypes.items() if one.of == term}]

    def _candidates(self, where: LesionFilter, direction: Vector | None, k: int) -> list[Neighbour]:
        wanted = max(CANDIDATES * k, LEAST_CANDIDATES)
        if direction is None:
            return [Neighbour(one, 0.0) for one in self._index.page(limit=wanted, where=where)]
        return self._index.search(direction, k=wanted, where=where)

    def _vectors(self, found: Sequence[Neighbour]) -> dict[str, Vector]:
        if not found:
            return {}
        records = self._index.records([one.lesion.lesion_id for one in found])
        return {one.lesion.lesion_id: one.vector for one in records}

    def _of_types(self, where: LesionFilter, words: WordQuery) -> LesionFilter:
        """The filter with the lesion types in which the terms can be."""
        vocabulary = self.reader.vocabulary
        types = {
            kind
            for kind, name in TYPE_TERMS.items()
            for term in words.must
            if name == term or name in vocabulary.ancestors(term)
        }
        if not types or where.lesion_types:
            return where
        return replace(where, lesion_types=frozenset({*types, LesionType.UNKNOWN}))

    def limited(self, where: LesionFilter, words: WordQuery) -> LesionFilter:
        """The filter with the limits of the words, and without lesions tagged with a `not` term."""
        for limit in words.limits:
            where = _with_limit(where, limit)
        return replace(where, excluded_tags=where.excluded_tags | frozenset(words.excluded))

    def _prototypes(self, words: WordQuery, generation: int) -> dict[str, Prototype]:
        found = {}
        for term in (*words.must, *words.should, *words.excluded):
            prototype = self._prototype(term, generation)
            if prototype is not None:
                found[term] = prototype
        return found

    def _prototype(self, term: str, generation: int) -> Prototype | None:
        """What lesions of a term look like; of the nearest labelled term that it implies."""
        key = (generation, "prototype", term)
        if key not in self._kept:
            self._keep(key, self._made_prototype(term, generation))
        kept = self._kept.get(key)
        return kept if isinstance(kept, Prototype) else None

    def _made_prototype(self, term: str, generation: int) -> Prototype | None:
        vocabulary = self.reader.vocabulary
        wider = sorted(vocabulary.ancestors(term), key=lambda one: len(vocabulary.descendants(one)))
        for name in (term, *wider):
            if self._count(name, generation) < LEAST_LABELLED:
                continue
            inside = self._some(LesionFilter(tags=frozenset({name}), tag_sources=STATED))
            if len(inside) < LEAST_LABELLED:
                inside = self._some(LesionFilter(tags=frozenset({name})))
            outside = self._some(LesionFilter(excluded_tags=frozenset({name})))
            if len(inside) < LEAST_LABELLED:
                continue
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
        ids = [one.lesion_id for one in self._index.page(limit=PROTOTYPE_LESIONS, where=where)]
        records = self._index.records(ids)
        if not records:
            return np.empty((0, self._index.binding.dimension), dtype=np.float32)
        return np.stack([one.vector for one in records])

    def _count(self, term: str, generation: int) -> int:
        key = (generation, "count", term)
        if key not in self._kept:
            self._keep(key, self._index.count(LesionFilter(tags=frozenset({term}))))
        kept = self._kept.get(key)
        return kept if isinstance(kept, int) else 0

    def _keep(self, key: tuple[int, str, str], value: object) -> None:
        self._kept[key] = value
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _direction(words: WordQuery, prototypes: Mapping[str, Prototype]) -> Vector | None:
    """Where the terms point together; None where none of them points anywhere."""
    parts = [prototypes[one].direction for one in words.must if one in prototypes]
    parts += [0.5 * prototypes[one].direction for one in words.should if one in prototypes]
    parts += [-0.5 * prototypes[one].direction for one in words.excluded if one in prototypes]
    if not parts:
        return None
    total = np.sum(parts, axis=0)
    norm = float(np.linalg.norm(total))
    return None if norm < 1e-6 else (total / norm).astype(np.float32)


def _with_limit(where: LesionFilter, limit: Limit) -> LesionFilter:
    low, high = limit.low, limit.high
    if limit.field is LimitField.PATIENT:
        return replace(where, patients=frozenset({limit.name}))
    if limit.field is LimitField.NOT_PATIENT:
        return replace(where, excluded_patients=where.excluded_patients | {limit.name})
    if limit.field is LimitField.SIDE:
        # On the picture the patient's right is on the left.
        is_right = limit.name == "right"
        x = NumberRange(None, _MIDDLE_X) if is_right else NumberRange(_MIDDLE_X)
        return replace(where, location=where.location or LocationBox(x=x))
    if limit.field is LimitField.DAY:
        return replace(where, study_date=where.study_date or DateRange(low, high))  # type: ignore[arg-type]
    name = limit.field.value
    if getattr(where, name) is not None:
        raise QueryError(
            f"the words limit the {limit.words} and the filter limits {name}: give one of them"
        )
    return replace(where, **{name: NumberRange(low, high)})  # type: ignore[arg-type]
