"""SimilarityScale: what a cosine means in one index, by the lesions that it holds itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import CatalogReader
from index.lesion_index import LesionIndex

LEVELS = (*range(100), 99.5, 99.9, 100)
"""The percentiles that are told: finer at the top, where hits are."""

SAMPLE = 400
"""Lesions that are held against all others: of 32,735 this takes a second."""

PARTNERS = 20_000
"""Lesions against which the pairs of each are counted; more would not move a percentile."""

_BLOCK = 50
"""Lesions held against all others at a time: 200 MB of cosines for a million."""


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

    At most ``sample`` lesions, drawn without return, are held against all n for the nearest, and
    against at most ``PARTNERS`` of them, drawn too, for the pairs.
    """
    rows = _drawn(len(vectors), sample, generator)
    partners = _drawn(len(vectors), PARTNERS, generator)
    _, codes = np.unique(patients, return_inverse=True)
    pairs, nearest = [], []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        cosines = vectors[block] @ vectors.T
        cosines[codes[block][:, None] == codes[None, :]] = -np.inf
        best, among = cosines.max(axis=1), cosines[:, partners]
        nearest.append(best[np.isfinite(best)])
        pairs.append(among[np.isfinite(among)])
    closest = np.concatenate([np.empty(0), *nearest])
    counted = np.concatenate([np.empty(0, np.float32), *pairs])
    if len(counted) == 0:
        return EMPTY
    told = np.percentile(counted, LEVELS)
    told[-1] = closest.max()
    return SimilarityScale(
        tuple(float(level) for level in LEVELS),
        tuple(told.tolist()),
        tuple(np.percentile(closest, LEVELS).tolist()),
        len(closest),
    )


def _drawn(count: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` places, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(generator.choice(count, most, replace=False))


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
        known = self._index.read(CatalogReader.patient_of_each)
        kept = [row for row, lesion_id in enumerate(ids) if lesion_id in known]
        patients = np.array([known[ids[row]] for row in kept], np.str_)
        return similarity_scale(vectors[kept], patients, generator=np.random.default_rng(0))
