"""Lesions that fit words: found by their tags, their type, and the direction the words point in.

Lesions that carry every term that must hold are put in order by what is known of each term
(``retrieval.labels.words``). Only where these are too few, or their tags do not tell a term of the
words, are the vectors asked: lesions of the fitting type, nearest first to the direction in which
the terms point, and put in order by what is known, too. Answers are kept until the index changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

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
    WordReason,
    is_denied,
    is_known,
    match,
    reasons,
    score,
)
from retrieval.lesion import LesionType
from service.engine.query import QueryError
from service.engine.results import Hit
from service.engine.words.kept import Kept
from service.engine.words.prototypes import (
    STATED,
    Prototype,
    Prototypes,
    Vector,
    direction_of,
)

CANDIDATES = 3
"""So many times the wanted hits are put in order by what is known of the terms ..."""

LEAST_CANDIDATES = 30
"""... and at least this many."""

MOST_CARRYING = 5_000
"""Lesions that carry every term, of which some are predicted, that are put in order at most."""

SIMILARITY_SCALE = 0.25
"""Beside an example lesion: so much cosine weighs as one unit of log-odds."""

KEPT_HITS = (10, 40, 160)
"""So many hits are found at once and kept; a search for fewer is a part of them, for more is not
kept."""

Judged = tuple[float | None, tuple[WordReason, ...]]
"""The log-odds of a lesion, None where something is known not to fit; and the reasons."""

_MIDDLE_X = 0.5


class WordSearch:
    """Searches one index by words; safe to share between threads."""

    def __init__(self, index: LesionIndex, vocabulary: Path | None = None) -> None:
        """Words are read by the bundled terms and those of the file ``vocabulary``."""
        self._index = index
        self._file = vocabulary
        if vocabulary is not None:
            text_reader(vocabulary)
        self._kept = Kept()
        self._prototypes = Prototypes(index, self._kept)

    @property
    def reader(self) -> TextReader:
        """What reads the words."""
        return text_reader(self._file)

    def parse(self, text: str) -> WordQuery:
        """The words understood; raises VocabularyError."""
        return self._kept.get(("words", text), lambda: parse_words(text, self.reader))

    def hits(self, words: WordQuery, where: LesionFilter, k: int) -> tuple[Hit, ...]:
        """The lesions that fit the words best."""
        generation = self._index.generation
        most = next((one for one in KEPT_HITS if k <= one), None)
        if most is None:
            return self._found(words, where, k, generation)
        key = (generation, "hits", words, where, most)
        return self._kept.get(key, lambda: self._found(words, where, most, generation))[:k]

    def reordered(
        self, neighbours: Sequence[Neighbour], words: WordQuery, k: int
    ) -> tuple[Hit, ...]:
        """Neighbours of an example lesion in the order of likeness and words together."""
        prototypes = self._prototypes.of(words, self.reader.vocabulary, self._index.generation)
        return self._ordered(neighbours, words, prototypes, k, scale=SIMILARITY_SCALE)

    def limited(self, where: LesionFilter, words: WordQuery) -> LesionFilter:
        """The filter with the limits of the words, and without lesions tagged with a `not` term."""
        for limit in words.limits:
            where = _with_limit(where, limit)
        return replace(where, excluded_tags=where.excluded_tags | frozenset(words.excluded))

    def _found(
        self, words: WordQuery, where: LesionFilter, k: int, generation: int
    ) -> tuple[Hit, ...]:
        where = self.limited(where, words)
        stated = self._stated(words, where, k)
        if len(stated) == k:
            return self._ordered(stated, words, {}, k)
        tagged = [term for term in words.must if self._prototypes.count(term, generation)]
        full = replace(where, tags=where.tags | frozenset(tagged))
        is_told = len(tagged) == len(words.must) and not words.should
        wanted = max(CANDIDATES * k, LEAST_CANDIDATES)
        carrying = self._carrying(full, tagged, k, generation) if is_told else []
        if len(carrying) >= k:
            return self._ordered(carrying, words, {}, k)
        prototypes = self._prototypes.of(words, self.reader.vocabulary, generation)
        direction = direction_of(words, prototypes)
        found = carrying
        if not found and (tagged or not words.must):
            found = self._nearest(full, direction, wanted)
        if len(found) < k and words.must:
            known = {one.lesion.lesion_id for one in found}
            others = self._nearest(self._of_types(where, words), direction, wanted)
            found = [*found, *(one for one in others if one.lesion.lesion_id not in known)]
        return self._ordered(found, words, prototypes, k)

    def _stated(self, words: WordQuery, where: LesionFilter, k: int) -> list[Neighbour]:
        """Lesions of which every term is stated, where nothing else can put them in order.

        They fit equally well, and no lesion better: any k of them do. Those that the store finds
        soonest are taken, as a filter's would be.
        """
        if not words.must or words.should or where.excluded_tags or where.tags or where.tag_sources:
            return []
        full = replace(where, tags=frozenset(words.must), tag_sources=STATED)
        return self._any(full, k)

    def _any(self, where: LesionFilter, k: int) -> list[Neighbour]:
        anywhere = np.ones(self._index.binding.dimension, dtype=np.float32)
        found = self._index.search(anywhere, k=k, where=where)
        return [Neighbour(one.lesion, 0.0) for one in found]

    def _carrying(
        self, full: LesionFilter, terms: Sequence[str], k: int, generation: int
    ) -> list[Neighbour]:
        """Lesions that carry every term; all of them where a model's probabilities order them.

        Without a model's word they all fit equally well, and any k of them do.
        """
        if any(self._prototypes.is_predicted(term, generation) for term in terms):
            page = self._index.page(limit=MOST_CARRYING, where=full)
            return [Neighbour(one, 0.0) for one in page]
        return self._any(full, k)

    def _nearest(
        self, where: LesionFilter, direction: Vector | None, wanted: int
    ) -> list[Neighbour]:
        if direction is None:
            return [Neighbour(one, 0.0) for one in self._index.page(limit=wanted, where=where)]
        return self._index.search(direction, k=wanted, where=where)

    def _ordered(
        self,
        found: Sequence[Neighbour],
        words: WordQuery,
        prototypes: Mapping[str, Prototype],
        k: int,
        *,
        scale: float | None = None,
    ) -> tuple[Hit, ...]:
        judged = self._judged(found, words, prototypes)
        fitting: list[tuple[float, Neighbour, tuple[WordReason, ...]]] = []
        for one in found:
            points, told = judged[one.lesion.lesion_id]
            if points is not None:
                own = one.similarity if scale is None else one.similarity / scale
                fitting.append((points + own, one, told))
        fitting.sort(key=lambda entry: (-entry[0], entry[1].lesion.lesion_id))
        return tuple(
            Hit(rank, one.similarity, one.lesion, match=match(told), words=told)
            for rank, (_, one, told) in enumerate(fitting[:k], start=1)
        )

    def _judged(
        self,
        found: Sequence[Neighbour],
        words: WordQuery,
        prototypes: Mapping[str, Prototype],
    ) -> Mapping[str, Judged]:
        """How well each lesion fits; kept for the next search by these words."""
        key = (self._index.generation, "judged", words, bool(prototypes))
        known: dict[str, Judged] = self._kept.get(key, dict)
        fresh = [one for one in found if one.lesion.lesion_id not in known]
        vectors = self._vectors(self._in_doubt(fresh, words)) if prototypes else {}
        for one in fresh:
            estimates = self._estimates(vectors.get(one.lesion.lesion_id), prototypes)
            told = reasons(one.lesion, words, self.reader.vocabulary, estimates)
            points = None if is_denied(told) else score(told)
            known[one.lesion.lesion_id] = (points, told)
        return known

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

    def _vectors(self, found: Sequence[Neighbour]) -> dict[str, Vector]:
        if not found:
            return {}
        records = self._index.records([one.lesion.lesion_id for one in found])
        return {one.lesion.lesion_id: one.vector for one in records}

    def _of_types(self, where: LesionFilter, words: WordQuery) -> LesionFilter:
        """The filter with the lesion types in which the terms can be, the narrowest of them.

        A kidney lies in the abdomen, but a lesion of type abdomen is none of a kidney.
        """
        vocabulary = self.reader.vocabulary
        named = {
            name: kind
            for kind, name in TYPE_TERMS.items()
            for term in words.must
            if name == term or name in vocabulary.ancestors(term)
        }
        types = {
            kind
            for name, kind in named.items()
            if not (name in vocabulary and vocabulary.descendants(name) & named.keys())
        }
        if not types or where.lesion_types:
            return where
        return replace(where, lesion_types=frozenset({*types, LesionType.UNKNOWN}))


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
