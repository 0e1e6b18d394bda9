"""embedding_map: vectors of any length as points in the plane, near where they were near."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from retrieval.lesion import LesionSearchError

NEIGHBOURS = 15
"""How many nearest vectors UMAP keeps near: its authors' default."""

FEWEST_FOR_UMAP = 10
"""Below this a neighbourhood is the whole set."""


class MapError(LesionSearchError):
    """Vectors or a method of which no map can be made."""


class MapMethod(StrEnum):
    """UMAP keeps neighbours together (McInnes et al. 2018); PCA keeps the largest spread."""

    UMAP = "umap"
    PCA = "pca"


@dataclass(frozen=True)
class EmbeddingMap:
    """A map and how it was made.

    Attributes:
        points: (n, 2), float32, in the order of the vectors. Axes have no unit.
        method: the one that made it, which need not be the one asked for.
        note: why another method was taken; empty where none was.
    """

    points: NDArray[np.float32]
    method: MapMethod
    note: str = ""


def embedding_map(
    vectors: NDArray[np.floating[Any]], *, seed: int, method: str = MapMethod.UMAP
) -> EmbeddingMap:
    """Points in the plane for (n, d) vectors; equal seeds give equal maps on one machine.

    UMAP needs the extra ``notebooks`` and at least ``FEWEST_FOR_UMAP`` vectors; without either the
    map is PCA's and says so. The first UMAP map of a process takes about half a minute to compile.

    Raises:
        MapError: vectors that are not (n, d) or not finite, or an unknown method.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise MapError(f"vectors of shape {vectors.shape}: (n, d) finite numbers are needed")
    if method not in list(MapMethod):
        raise MapError(f"map method {method!r} is unknown: one of {', '.join(MapMethod)}")
    if method == MapMethod.PCA:
        return EmbeddingMap(_pca(vectors), MapMethod.PCA)
    if len(vectors) < FEWEST_FOR_UMAP:
        note = f"UMAP needs {FEWEST_FOR_UMAP} vectors, here are {len(vectors)}: this is PCA"
        return EmbeddingMap(_pca(vectors), MapMethod.PCA, note)
    points = _umap(vectors, seed)
    if points is None:
        note = "umap-learn is not installed (pip install 'lesion-search[notebooks]'): this is PCA"
        return EmbeddingMap(_pca(vectors), MapMethod.PCA, note)
    return EmbeddingMap(points, MapMethod.UMAP)


def _pca(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    points = np.zeros((len(vectors), 2), np.float32)
    count = min(2, *vectors.shape)
    if len(vectors) > 1:
        points[:, :count] = PCA(count, svd_solver="full").fit_transform(vectors)
    return points


def _umap(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32] | None:
    """The points, or None where umap-learn is not installed."""
    with warnings.catch_warnings():
        # Said at import: TensorFlow and notebook widgets, which nothing here uses, are absent.
        warnings.simplefilter("ignore")
        try:
            from umap import UMAP
        except ImportError:
            return None
    # One thread: with several, equal seeds do not give equal maps. The start from PCA, unlike the
    # spectral one, also works where the neighbourhood graph falls into parts.
    reducer = UMAP(
        n_neighbors=min(NEIGHBOURS, len(vectors) - 1),
        metric="cosine",
        init="pca",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(reducer.fit_transform(vectors), np.float32)
