"""The map of an index made as a job, and kept with it."""

from __future__ import annotations

from index.lesion_index import LesionIndex
from service.figures.map.projection import EmbeddingMap, embedding_map
from service.figures.map.stored import StoredMap


def map_index(index: LesionIndex, *, method: str, seed: int) -> EmbeddingMap:
    """Makes the map of every lesion and keeps it in the index's folder.

    Raises:
        MapError: an unknown method, or an index whose vectors give no map.
    """
    ids, vectors = index.vectors()
    made = embedding_map(vectors, seed=seed, method=method)
    StoredMap(tuple(ids), made.points, made.method, index.binding.fingerprint).save(index.path)
    return made
