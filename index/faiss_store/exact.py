"""Exact search of a StoreState by inner product, with FAISS's own kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from index.faiss_store.segments import Part, StoreState

GATHER_LIMIT = 2_000
"""Subsets up to this size are copied out and multiplied by NumPy; larger ones are walked."""

OVERFETCH_LIMIT = 128
"""Up to this many unwanted vectors are fetched in addition and dropped; more are masked."""


@dataclass(frozen=True)
class Scope:
    """Which positions may be returned: ``wanted`` ascending (None: all), less ``unwanted``."""

    wanted: NDArray[np.int64] | None
    unwanted: NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Positions and similarities of one query, best first."""

    positions: NDArray[np.int64]
    similarities: NDArray[np.float32]


def search(state: StoreState, queries: NDArray[np.float32], *, k: int, scope: Scope) -> list[Hits]:
    """The ``k`` nearest of the scope for each query (q, dimension), fewer if it holds fewer."""
    if scope.wanted is None:
        return _search_all(state, queries, k=k, unwanted=scope.unwanted)
    wanted = scope.wanted
    if len(scope.unwanted):
        wanted = np.setdiff1d(wanted, scope.unwanted, assume_unique=True)
    if len(wanted) <= GATHER_LIMIT:
        return _search_gathered(state, queries, k=k, wanted=wanted)
    return _search_masked(state, queries, k=k, wanted=wanted)


@contextmanager
def openmp_threads(queries: int) -> Iterator[None]:
    """One OpenMP thread for one query, all there are for a batch; the setting is restored.

    Threads that wait by spinning make one query on two threads eight times slower than on one.
    OpenMP keeps the number per calling thread, so that it is set at each search.
    """
    before = faiss.omp_get_max_threads()
    if queries > 1 or before == 1:
        yield
        return
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def top(positions: NDArray[np.int64], similarities: NDArray[np.float32], k: int) -> Hits:
    """The ``k`` best; of equal similarities the lower position first."""
    if len(positions) > 4 * k:
        kept = np.argpartition(similarities, -k)[-k:]
        positions, similarities = positions[kept], similarities[kept]
    order = np.lexsort((positions, -similarities))[:k]
    return Hits(positions[order], similarities[order])


def _search_all(
    state: StoreState, queries: NDArray[np.float32], *, k: int, unwanted: NDArray[np.int64]
) -> list[Hits]:
    if len(unwanted) > max(OVERFETCH_LIMIT, k):
        mask = np.ones(state.total, dtype=bool)
        mask[unwanted] = False
        return _search_masked(state, queries, k=k, wanted=np.flatnonzero(mask))
    found = [
        _kernel(part, queries, k=min(k + len(unwanted), part.count))
        for part in state.parts
        if part.count
    ]
    return _merged(found, queries=len(queries), k=k, unwanted=unwanted)


def _search_gathered(
    state: StoreState, queries: NDArray[np.float32], *, k: int, wanted: NDArray[np.int64]
) -> list[Hits]:
    similarities = queries @ state.vectors_at(wanted).T
    return [top(wanted, row, k) for row in similarities]


def _search_masked(
    state: StoreState, queries: NDArray[np.float32], *, k: int, wanted: NDArray[np.int64]
) -> list[Hits]:
    found = []
    for part in state.parts:
        low, high = np.searchsorted(wanted, (part.start, part.start + part.count))
        if high == low:
            continue
        mask = np.zeros(part.count, dtype=bool)
        mask[wanted[low:high] - part.start] = True
        bits = np.packbits(mask, bitorder="little")
        selector = faiss.IDSelectorBitmap(part.count, faiss.swig_ptr(bits))
        found.append(_kernel(part, queries, k=min(k, int(high - low)), selector=selector))
    nothing = np.empty(0, dtype=np.int64)
    return _merged(found, queries=len(queries), k=k, unwanted=nothing)


def _kernel(
    part: Part,
    queries: NDArray[np.float32],
    *,
    k: int,
    selector: faiss.IDSelector | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions (q, k) and similarities (q, k) by the kernel of IndexFlatIP itself."""
    matrix = part.matrix
    similarities = np.empty((len(queries), k), dtype=np.float32)
    labels = np.empty((len(queries), k), dtype=np.int64)
    with openmp_threads(len(queries)):
        faiss.knn_inner_product(
            faiss.swig_ptr(queries),
            faiss.swig_ptr(matrix),
            matrix.shape[1],
            len(queries),
            len(matrix),
            k,
            faiss.swig_ptr(similarities),
            faiss.swig_ptr(labels),
            selector,
        )
    labels[labels >= 0] += part.start
    return labels, similarities


def _merged(
    found: list[tuple[NDArray[np.int64], NDArray[np.float32]]],
    *,
    queries: int,
    k: int,
    unwanted: NDArray[np.int64],
) -> list[Hits]:
    if not found:
        nothing = Hits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        return [nothing] * queries
    labels = np.concatenate([part for part, _ in found], axis=1)
    similarities = np.concatenate([part for _, part in found], axis=1)
    merged = []
    for positions, values in zip(labels, similarities, strict=True):
        keep = positions >= 0
        if len(unwanted):
            keep &= ~np.isin(positions, unwanted)
        merged.append(top(positions[keep], values[keep], k))
    return merged
