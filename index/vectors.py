"""Vectors: what they must be before they are stored or searched with; queries and hits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.errors import LesionIndexError
from index.filters.lesion_filter import LesionFilter
from retrieval.lesion import Lesion

NORM_TOLERANCE = 1e-3
"""How far a stored vector's length may be from 1: far above float32, far below a mistake."""


Float32 = NDArray[np.float32]


class VectorError(LesionIndexError):
    """A vector of the wrong length, or not finite, or not of unit norm."""


@dataclass(frozen=True)
class VectorQuery:
    """What is asked of a storage: unit vectors (q, dimension), how many hits, and of which."""

    vectors: Float32
    k: int
    where: LesionFilter | None = None
    approximate: bool = False


@dataclass(frozen=True)
class RowHits:
    """Row numbers and similarities of one query, best first."""

    rows: NDArray[np.int64]
    similarities: Float32


def stored_vector(
    vector: NDArray[np.floating[Any]], dimension: int, lesion: Lesion
) -> NDArray[np.float32]:
    """The vector as float32 (dimension,); raises VectorError unless it is finite and of norm 1."""
    checked = np.ascontiguousarray(vector, dtype=np.float32)
    if checked.shape != (dimension,):
        raise VectorError(
            f"the vector of lesion {lesion.lesion_id!r} has shape {checked.shape}: the index "
            f"holds vectors of {dimension} numbers"
        )
    # In float64: the square of a hostile float32 is beyond float32.
    norm = float(np.linalg.norm(checked.astype(np.float64)))
    if not abs(norm - 1.0) <= NORM_TOLERANCE:
        raise VectorError(
            f"the vector of lesion {lesion.lesion_id!r} has norm {norm:.6g}: divide it by its norm"
        )
    return checked


def query_matrix(
    vectors: NDArray[np.floating[Any]], dimension: int, *, k: int
) -> NDArray[np.float32]:
    """Queries (q, dimension) as float32 of norm 1.

    Raises:
        VectorError: wrong length, not finite, all zero, or ``k`` below 1.
    """
    if k < 1:
        raise VectorError(f"k is {k}: ask for at least 1 neighbour")
    queries = np.ascontiguousarray(vectors, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise VectorError(
            f"the query has shape {queries.shape[1:]}: the index holds vectors of {dimension} "
            "numbers"
        )
    norms = np.sqrt(np.vecdot(queries, queries))
    if not all(0.0 < norm < math.inf for norm in norms.tolist()):
        raise VectorError("the query holds a number that is not finite, or nothing but zeros")
    unit: NDArray[np.float32] = queries / norms[:, np.newaxis]
    return unit
