"""The map of an index: its vectors as points in the plane, the stored ones or PCA's."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.lesion import Lesion, LesionType
from service.figures.map.projection import MapMethod, embedding_map
from service.figures.map.stored import StoredMap

MOST_LESIONS = 100_000
"""Of a larger index every n-th lesion is on the map: a screen cannot show more points."""


@dataclass(frozen=True, slots=True)
class LesionPoint:
    """A lesion on the map."""

    lesion_id: str
    x: float
    y: float
    lesion_type: LesionType
    long_mm: float | None
    patient_id: str
    category: str | None

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "lesion_id": self.lesion_id,
            "x": self.x,
            "y": self.y,
            "lesion_type": self.lesion_type.value,
            "long_mm": self.long_mm,
            "patient_id": self.patient_id,
            "category": self.category,
        }


@dataclass(frozen=True)
class MapDocument:
    """The index as points in the plane, near where their vectors are near.

    Attributes:
        total: lesions that fit the filter; `points` may show fewer
    """

    method: MapMethod
    total: int
    points: tuple[LesionPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        points = [point.to_json() for point in self.points]
        return {"method": self.method.value, "total": self.total, "points": points}


@dataclass(frozen=True)
class MapOfIndex:
    """Lesions of one generation and their points (n, 2) in [0, 1]."""

    generation: int
    method: MapMethod
    lesions: tuple[Lesion, ...]
    points: NDArray[np.float32]

    def shown(self, where: LesionFilter, limit: int, *, total: int) -> MapDocument:
        """The document of ``GET /v1/map``: of more than ``limit`` lesions every n-th is shown.

        ``total`` is how many lesions of the index fit the filter.
        """
        rows = [row for row, lesion in enumerate(self.lesions) if where.accepts(lesion)]
        step = max(1, -(-len(rows) // limit))
        return MapDocument(self.method, total, tuple(self._point(row) for row in rows[::step]))

    def _point(self, row: int) -> LesionPoint:
        lesion = self.lesions[row]
        x, y = (round(float(value), 5) for value in self.points[row])
        return LesionPoint(
            lesion.lesion_id,
            x,
            y,
            lesion.lesion_type,
            lesion.long_mm,
            lesion.patient_id,
            lesion.category,
        )


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
