"""Draws Deep Lesion Graph sequences: an anchor A with one lesion of each Relation to it.

A sequence stays within one archive and one split. Candidates are a random part of the archive,
judged in one vectorised pass, so that the cost of a sequence does not grow with the archive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.similarity import (
    LesionTable,
    Relation,
    Rows,
    SimilarityThresholds,
    relations,
)
from retrieval.lesion import LesionSearchError

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
        pools = self._pools()
        weights = np.array([self.archive_weights[archive] for archive in pools])
        chosen = rng.choice(len(pools), size=count, p=weights / weights.sum())
        order = list(pools)
        return np.stack([self._sequence(pools[order[choice]], rng) for choice in chosen])

    def _pools(self) -> dict[int, Rows]:
        archives = self.table.archives[self.rows]
        return {
            int(archive): self.rows[archives == archive]
            for archive in np.unique(archives)
            if self.archive_weights[int(archive)] > 0
        }

    def _sequence(self, pool: Rows, rng: np.random.Generator) -> NDArray[np.int64]:
        anchor = int(pool[rng.integers(len(pool))])
        track = pool[self.table.tracks[pool] == self.table.tracks[anchor]]
        track = track[track != anchor]
        sequence = np.full(1 + len(SLOTS), MISSING, np.int64)
        sequence[0] = anchor
        sequence[1] = rng.choice(track) if len(track) else anchor
        drawn = rng.integers(len(pool), size=min(self.candidates, 4 * len(pool)))
        candidates = pool[drawn]
        if rng.random() < self.same_patient:
            candidates = np.concatenate([pool[self._of_patient(pool, anchor)], candidates])
        levels = relations(self.table, anchor, candidates, self.thresholds)
        for column, slot in enumerate(SLOTS[1:], start=2):
            fitting = np.flatnonzero(levels == slot)
            if len(fitting):
                sequence[column] = candidates[fitting[0]]
        return sequence

    def _of_patient(self, pool: Rows, anchor: int) -> NDArray[np.bool_]:
        return np.asarray(self.table.patients[pool] == self.table.patients[anchor])
