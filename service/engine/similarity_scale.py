"""SimilarityScale: what a cosine means in one index, by the lesions that it holds itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.lesion_index import LesionIndex

LEVELS = (*range(100), 99.5, 99.9, 100)
"""The percentiles that are told: finer at the top, where hits are."""

SAMPLE = 400
"""Lesions that are held against all others: of 32,735 this takes a third of a second."""


@dataclass(frozen=True)
class SimilarityScale:
    """Percentiles of the cosine between lesions of different patients.

    Attributes:
        levels: the percentiles in [0, 100], ascending.
        pairs: the cosine at each level over all pairs of different patients.
        nearest: the cosine at each level over the most similar lesion of another patient that
            each lesion has: below its low end an image has nothing alike here.
        lesions: how many lesions were held against all others.
    """

    levels: tuple[float, ...]
    pairs: tuple[float, ...]
    nearest: tuple[float, ...]
    lesions: int

    def to_json(self) -> dict[str, Any]:
        """``levels``, ``pairs``, ``nearest`` and ``lesions``; cosines to four decimals."""
        return {
            "levels": list(self.levels),
            "pairs": [round(value, 4) for value in self.pairs],
            "nearest": [round(value, 4) for value in self.nearest],
            "lesions": self.lesions,
        }


EMPTY = SimilarityScale((), (), (), 0)


def similarity_scale(
    vectors: NDArray[np.float32],
    patients: NDArray[np.str_],
    *,
    generator: np.random.Generator,
    sample: int = SAMPLE,
) -> SimilarityScale:
    """The scale of (n, d) vectors of unit norm with the patient of each; empty for one patient.

    At most ``sample`` lesions, drawn without return, are held against all n.
    """
    rows = np.arange(len(vectors))
    if len(rows) > sample:
        rows = np.sort(generator.choice(rows, sample, replace=False))
    pairs, nearest = [], []
    for row in rows:
        others = vectors[patients != patients[row]]
        if len(others) == 0:
            continue
        cosines = others @ vectors[row]
        pairs.append(cosines)
        nearest.append(cosines.max())
    if not pairs:
        return EMPTY
    return SimilarityScale(
        tuple(float(level) for level in LEVELS),
        tuple(np.percentile(np.concatenate(pairs), LEVELS).tolist()),
        tuple(np.percentile(np.array(nearest), LEVELS).tolist()),
        len(nearest),
    )


class IndexScale:
    """The scale of an index, made when it is asked for, and again when the index has changed."""

    def __init__(self, index: LesionIndex) -> None:
        self._index = index
        self._made: tuple[int, SimilarityScale] | None = None
        self._lock = threading.Lock()

    def current(self) -> SimilarityScale:
        """The scale of the newest generation; one thread makes it, others wait for it."""
        with self._lock:
            generation = self._index.generation
            if self._made is None or self._made[0] != generation:
                self._made = (generation, self._make())
            return self._made[1]

    def _make(self) -> SimilarityScale:
        ids, vectors = self._index.vectors()
        known = {one.lesion.lesion_id: one.lesion.patient_id for one in self._index.records(ids)}
        kept = [row for row, lesion_id in enumerate(ids) if lesion_id in known]
        patients = np.array([known[ids[row]] for row in kept], np.str_)
        return similarity_scale(vectors[kept], patients, generator=np.random.default_rng(0))
