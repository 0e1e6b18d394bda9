"""The map of an index: its vectors as points in the plane, the stored ones or PCA's."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.lesion import Lesion
from service.figures.map.projection import MapMethod, embedding_map
from service.figures.map.stored import StoredMap

MOST_LESIONS = 100_000
"""Of a larger index every n-th lesion is on the map: a screen cannot show more points."""


@dataclass(frozen=True)
class MapOfIndex:
    """Lesions of one generation and their points (n, 2) in [0, 1]."""

    generation: int
    method: MapMethod
    lesions: tuple[Lesion, ...]
    points: NDArray[np.float32]

    def to_json(self, where: LesionFilter, limit: int, *, total: int) -> dict[str, Any]:
        """The document of ``GET /v1/map``: of more than ``limit`` lesions every n-th is shown.

        ``total`` is how many lesions of the index fit the filter.
        """
        rows = [row for row, lesion in enumerate(self.lesions) if where.accepts(lesion)]
        step = max(1, -(-len(rows) // limit))
        return {
            "method": self.method.value,
            "total": total,
            "points": [self._point(row) for row in rows[::step]],
        }

    def _point(self, row: int) -> dict[str, Any]:
        lesion = self.lesions[row]
        x, y = (round(float(value), 5) for value in self.points[row])
        return {
            "lesion_id": lesion.lesion_id,
            "x": x,
            "y": y,
            "lesion_type": lesion.lesion_type.value,
            "long_mm": lesion.long_mm,
            "patient_id": lesion.patient_id,
            "category": lesion.category,
        }


class IndexMap:
    """Gives the map when it is asked for, and makes it again only when the index has changed.

    `lesion-search index map` keeps a UMAP map with the index. Without one it is PCA's, which takes
    a fraction of a second where UMAP takes minutes: no request waits for long.
    """

    def __init__(self, index: LesionIndex) -> None:
        self._index = index
        self._made: MapOfIndex | None = None
        self._lock = threading.Lock()

    def current(self) -> MapOfIndex:
        """The map of the newest generation; one thread makes it, others wait for it."""
        with self._lock:
            generation = self._index.generation
            if self._made is None or self._made.generation != generation:
                self._made = self._make(generation)
            return self._made

    def _make(self, generation: int) -> MapOfIndex:
        ids, vectors = self._index.vectors()
        step = max(1, -(-len(ids) // MOST_LESIONS))
        ids, vectors = ids[::step], vectors[::step]
        known = {one.lesion.lesion_id: one.lesion for one in self._index.records(ids)}
        kept = [row for row, lesion_id in enumerate(ids) if lesion_id in known]
        vectors = vectors[kept]
        lesions = tuple(known[ids[row]] for row in kept)
        stored = StoredMap.load(self._index.path, self._index.binding.fingerprint)
        if stored is not None:
            points = stored.placed([one.lesion_id for one in lesions], vectors)
            if points is not None:
                return MapOfIndex(generation, stored.method, lesions, _in_unit_square(points))
        made = embedding_map(vectors, seed=0, method=MapMethod.PCA)
        return MapOfIndex(generation, made.method, lesions, _in_unit_square(made.points))


def _in_unit_square(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (n, 2) moved and shrunk into [0, 1], both axes by the same factor, in the middle."""
    if len(points) == 0:
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max()) or 1.0
    middled = (points - (low + high) / 2) / extent + 0.5
    return np.asarray(np.clip(middled, 0, 1), np.float32)
