"""Draws Deep Lesion Graph sequences: an anchor A with one lesion of each Relation to it.

A sequence stays within one archive and one split. Candidates are a random part of the archive,
judged in one vectorised pass, so that the cost of a sequence does not grow with the archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.similarity import Relation, SimilarityThresholds, relations
from retrieval.lesion import LesionSearchError
from retrieval.sources.lesion_table import LesionTable, Rows

SLOTS = (
    Relation.SAME,
    Relation.ALIKE,
    Relation.OTHER_SIZE,
    Relation.OTHER_LOCATION,
    Relation.OTHER_TYPE,
)
"""What follows the anchor in a sequence, in the order of its columns 1 to 5."""

MISSING = -1


class SamplingError(LesionSearchError):
    """Lesions from which no sequence can be drawn."""


@dataclass(frozen=True)
class SequenceSampler:
    """Sequences over the given rows of a table.

    Attributes:
        table: all lesions.
        rows: those that may be drawn (one split).
        archive_weights: how often an anchor comes from each archive, by its number.
        thresholds: what counts as similar.
        candidates: how many random lesions are judged for each anchor.
        same_patient: share of sequences whose B or C is sought in the anchor's own patient
            first: the confuser that a follow-up query meets.
    """

    table: LesionTable
    rows: Rows
    archive_weights: tuple[float, ...]
    thresholds: SimilarityThresholds
    candidates: int = 512
    same_patient: float = 0.25

    def __post_init__(self) -> None:
        splits = np.unique(self.table.splits[self.rows])
        if len(self.rows) == 0 or len(splits) != 1:
            raise SamplingError(
                f"{len(self.rows)} lesions of the splits {splits.tolist()}: sequences need "
                "lesions of exactly one split"
            )

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(count, 6) rows: A, then one lesion for each of SLOTS; MISSING where there is none.

        The SAME slot is the anchor's own row when no other study or slice shows the lesion: the
        caller's augmentation then gives another view of it.
        """
        archives = list(self._by_archive)
        weights = np.array([self.archive_weights[archive] for archive in archives])
        chosen = rng.choice(archives, size=count, p=weights / weights.sum())
        return np.stack([self._sequence(self._by_archive[int(n)], rng) for n in chosen])

    @cached_property
    def _by_archive(self) -> dict[int, Rows]:
        return _grouped(self.rows, self.table.archives)

    @cached_property
    def _by_patient(self) -> dict[int, Rows]:
        return _grouped(self.rows, self.table.patients)

    @cached_property
    def _by_track(self) -> dict[int, Rows]:
        return _grouped(self.rows, self.table.own_tracks)

    def _sequence(self, pool: Rows, rng: np.random.Generator) -> NDArray[np.int64]:
        anchor = int(pool[rng.integers(len(pool))])
        track = self._by_track[int(self.table.own_tracks[anchor])]
        track = track[track != anchor]
        sequence = np.full(1 + len(SLOTS), MISSING, np.int64)
        sequence[0] = anchor
        sequence[1] = rng.choice(track) if len(track) else anchor
        drawn = rng.integers(len(pool), size=min(self.candidates, 4 * len(pool)))
        candidates = pool[drawn]
        if rng.random() < self.same_patient:
            own = self._by_patient[int(self.table.patients[anchor])]
            candidates = np.concatenate([rng.permutation(own), candidates])
        levels = relations(self.table, anchor, candidates, self.thresholds)
        for column, slot in enumerate(SLOTS[1:], start=2):
            fitting = np.flatnonzero(levels == slot)
            if len(fitting):
                sequence[column] = candidates[fitting[0]]
        return sequence


def _grouped(rows: Rows, codes: NDArray[np.int64]) -> dict[int, Rows]:
    """The rows of each code."""
    ordered = rows[np.argsort(codes[rows], kind="stable")]
    values, starts = np.unique(codes[ordered], return_index=True)
    return dict(zip(values.tolist(), np.split(ordered, starts[1:]), strict=True))
