"""What a search answers: frozen dataclasses whose ``to_json`` has the product's stable names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from index.track_types import FollowUp
from retrieval.lesion import Box, Lesion


class BoxSource(StrEnum):
    """Where the box of a query came from."""

    GIVEN = "given"
    RECIST = "recist"
    DETECTED = "detected"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box a detector proposes, with its score in [0, 1]."""

    box: Box
    score: float

    def to_json(self) -> dict[str, Any]:
        """``box`` and ``score``."""
        return {"box": self.box.to_list(), "score": self.score}


@dataclass(frozen=True, slots=True)
class Hit:
    """A similar lesion: its rank from 1, and the cosine in [-1, 1]."""

    rank: int
    similarity: float
    lesion: Lesion

    def to_json(self) -> dict[str, Any]:
        """``rank``, ``similarity`` and ``lesion``."""
        return {
            "rank": self.rank,
            "similarity": self.similarity,
            "lesion": self.lesion.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent in each step of one query."""

    read: float = 0.0
    patch: float = 0.0
    encode: float = 0.0
    search: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the steps."""
        return self.read + self.patch + self.encode + self.search

    def to_json(self) -> dict[str, float]:
        """``read``, ``patch``, ``encode``, ``search`` and ``total`` in ms."""
        steps = {
            "read": self.read,
            "patch": self.patch,
            "encode": self.encode,
            "search": self.search,
            "total": self.total,
        }
        return {step: round(milliseconds, 3) for step, milliseconds in steps.items()}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        box: the lesion searched for, in pixels of the query image; None for a bare vector.
        box_source: where that box came from; None for a bare vector.
        candidates: every box the detector proposed, best first; empty when a box was given.
        hits: similar lesions of other patients, most similar first.
        follow_ups: what became of it in each other study of its patient, in order of study.
        encoder: name, fingerprint and dimension of the encoder that made the query vector.
        index: how many lesions and patients were searched.
        timing_ms: where the time went.
        warnings: what a reader should know before trusting the numbers.
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

    def to_json(self) -> dict[str, Any]:
        """The result under DESIGN.md's names."""
        return {
            "box": None if self.box is None else self.box.to_list(),
            "box_source": None if self.box_source is None else self.box_source.value,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "hits": [hit.to_json() for hit in self.hits],
            "follow_ups": [follow_up.to_json() for follow_up in self.follow_ups],
            "encoder": dict(self.encoder),
            "index": dict(self.index),
            "timing_ms": self.timing_ms.to_json(),
            "warnings": list(self.warnings),
        }

    def with_read_time(self, milliseconds: float) -> SearchResult:
        """The same result, with the time it took to read the image, which the engine never saw."""
        return replace(self, timing_ms=replace(self.timing_ms, read=milliseconds))
