"""What a search answers: frozen dataclasses whose ``to_json`` has the product's stable names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from retrieval.detection.proposals import Proposal, estimated_long_mm
from retrieval.grid import Grid, GridMap
from retrieval.labels.words.parsing import WordQuery
from retrieval.labels.words.scoring import WordReason
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.track_types import FollowUp
from service.engine.recognition import RecognisedMark

Triple = tuple[float, float, float]


class BoxSource(StrEnum):
    """Where the box of a query came from."""

    GIVEN = "given"
    RECIST = "recist"
    DETECTED = "detected"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box a detector proposes, with its score in [0, 1] and its estimated long diameter.

    ``category`` is the mined category it is taken for; None where the detector has learnt none.
    """

    box: Box
    score: float
    long_mm: float | None = None
    category: str | None = None

    @classmethod
    def of(cls, proposal: Proposal, spacing_mm_px: tuple[float, float]) -> Self:
        """The candidate of a proposal; a diameter the detector left open is that of its box."""
        long_mm = proposal.long_mm
        if long_mm is None:
            long_mm = estimated_long_mm(proposal.box, spacing_mm_px)
        return cls(proposal.box, proposal.score, long_mm, proposal.category)

    def to_json(self) -> dict[str, Any]:
        """``box``, ``score``, ``long_mm`` and ``category``."""
        return {
            "box": self.box.to_list(),
            "score": self.score,
            "long_mm": self.long_mm,
            "category": self.category,
        }

    def on_display(self, grid: GridMap) -> Candidate:
        """The candidate with its box in the display grid; ``grid`` is its slab's."""
        return replace(self, box=grid.to_display_box(self.box))


@dataclass(frozen=True, slots=True)
class DetectorIdentity:
    """Which detector answered."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class HitTerms:
    """What a reader can compare of a query and a hit; None where either side is not known.

    The search ranks by similarity alone: these terms explain a hit, they do not order it.

    Attributes:
        same_type: whether both have the same known lesion type.
        size_ratio: the hit's long diameter over the query's. Where the query has no RECIST mark,
            its diameter is estimated from its box.
        location_distance: between the two body positions, in the units of ``Lesion.location``;
            the encoder's estimate stands in where the query's position is not known.
    """

    same_type: bool | None = None
    size_ratio: float | None = None
    location_distance: float | None = None

    @classmethod
    def between(
        cls, query: Lesion, location: tuple[float, float, float] | None, hit: Lesion
    ) -> Self:
        """The terms of a hit; ``location`` is the query's body position, given or estimated."""
        types = (query.lesion_type, hit.lesion_type)
        known_types = LesionType.UNKNOWN not in types
        ratio = hit.long_mm / query.long_mm if query.long_mm and hit.long_mm else None
        known_places = location is not None and hit.location is not None
        return cls(
            same_type=types[0] is types[1] if known_types else None,
            size_ratio=ratio,
            location_distance=math.dist(location or (), hit.location or ())
            if known_places
            else None,
        )

    def to_json(self) -> dict[str, Any]:
        """``same_type``, ``size_ratio`` and ``location_distance``, to four decimals."""
        ratio, distance = self.size_ratio, self.location_distance
        return {
            "same_type": self.same_type,
            "size_ratio": None if ratio is None else round(ratio, 4),
            "location_distance": None if distance is None else round(distance, 4),
        }


@dataclass(frozen=True, slots=True)
class Hit:
    """A similar lesion: its rank from 1, the cosine in [-1, 1], and what explains it.

    Attributes:
        rank: from 1.
        similarity: the cosine to the query lesion; of a search by words alone the cosine to the
            direction in which the words point, 0 where they point nowhere.
        lesion: the lesion.
        terms: what can be compared of the query lesion and the hit.
        match: how well the hit fits the words, in [0, 1]; null without words.
        words: why, a reason for each term of the words.
    """

    rank: int
    similarity: float
    lesion: Lesion
    terms: HitTerms = HitTerms()
    match: float | None = None
    words: tuple[WordReason, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """``rank``, ``similarity``, ``terms``, ``lesion``; with words ``match`` and ``words``."""
        plain = {
            "rank": self.rank,
            "similarity": self.similarity,
            "terms": self.terms.to_json(),
            "lesion": self.lesion.to_json(),
        }
        if self.match is None:
            return plain
        told = [reason.to_json() for reason in self.words]
        return {**plain, "match": round(self.match, 4), "words": told}


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent in each step of one query."""

    read: float = 0.0
    detect: float = 0.0
    patch: float = 0.0
    encode: float = 0.0
    search: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the steps."""
        return self.read + self.detect + self.patch + self.encode + self.search

    def to_json(self) -> dict[str, float]:
        """``read``, ``detect``, ``patch``, ``encode``, ``search`` and ``total`` in ms."""
        steps = {
            "read": self.read,
            "detect": self.detect,
            "patch": self.patch,
            "encode": self.encode,
            "search": self.search,
            "total": self.total,
        }
        return {step: round(milliseconds, 3) for step, milliseconds in steps.items()}


@dataclass(frozen=True, slots=True)
class DetectedLesions:
    """Where lesions may be on one slice.

    Attributes:
        grid: what boxes and key slice are in.
        candidates: best first.
        warnings: what to know of how the files were read.
    """

    grid: Grid
    candidates: tuple[Candidate, ...]
    detector: DetectorIdentity
    key_slice_index: int
    timing_ms: Timing
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "grid": self.grid.value,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "detector": {"name": self.detector.name, "fingerprint": self.detector.fingerprint},
            "key_slice_index": self.key_slice_index,
            "timing_ms": self.timing_ms.to_json(),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        box: the lesion searched for, in pixels of ``grid``; None for a bare vector.
        box_source: where that box came from; None for a bare vector.
        candidates: every box the detector proposed, best first, in pixels of ``grid``; empty when
            a box was given.
        hits: similar lesions of other patients, most similar first.
        follow_ups: what became of it in each other study of its patient, in order of study.
        encoder: name, fingerprint and dimension of the encoder that made the query vector.
        index: how many lesions and patients were searched.
        timing_ms: where the time went.
        warnings: what a reader should know before trusting the numbers.
        grid: what the boxes of the query are in.
        recognised: the indexed lesion that the query image and box are, None if they are none.
        location: the body position that the lesion was searched with, None if none is known.
        location_error: the standard error of each coordinate; None where it counts as exact.
        words: the words that were searched with, as they were understood; None without words.
    """

    box: Box | None
    box_source: BoxSource | None
    hits: tuple[Hit, ...]
    follow_ups: tuple[FollowUp, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    encoder: dict[str, Any] = field(default_factory=dict)
    index: dict[str, Any] = field(default_factory=dict)
    timing_ms: Timing = field(default_factory=Timing)
    warnings: tuple[str, ...] = ()
    grid: Grid = Grid.FILE
    recognised: RecognisedMark | None = None
    location: Triple | None = None
    location_error: Triple | None = None
    words: WordQuery | None = None

    def to_json(self) -> dict[str, Any]:
        """The result under DESIGN.md's names; ``words`` only where words were searched with."""
        words = {} if self.words is None else {"words": self.words.to_json()}
        return {
            "box": None if self.box is None else self.box.to_list(),
            "box_source": None if self.box_source is None else self.box_source.value,
            "grid": self.grid.value,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "hits": [hit.to_json() for hit in self.hits],
            "follow_ups": [follow_up.to_json() for follow_up in self.follow_ups],
            "encoder": dict(self.encoder),
            "index": dict(self.index),
            "timing_ms": self.timing_ms.to_json(),
            "warnings": list(self.warnings),
            "recognised": None if self.recognised is None else self.recognised.to_json(),
            "location": None if self.location is None else list(self.location),
            "location_error": None if self.location_error is None else list(self.location_error),
            **words,
        }

    def on_display(self, grid: GridMap) -> SearchResult:
        """The same result with the query's boxes in the display grid; ``grid`` is its slab's."""
        return replace(
            self,
            box=None if self.box is None else grid.to_display_box(self.box),
            candidates=tuple(candidate.on_display(grid) for candidate in self.candidates),
            grid=Grid.DISPLAY,
        )

    def with_read_time(self, milliseconds: float) -> SearchResult:
        """The same result, with the time it took to read the image, which the engine never saw."""
        return replace(self, timing_ms=replace(self.timing_ms, read=milliseconds))
