"""The approximate form of the store: only on request, always with its measured recall.

Exact search of a million vectors of 256 numbers takes tens of milliseconds; below that there is
little to gain. ``choose`` is the rule, by size and by memory:

* HNSW (32 links) up to ``HNSW_LESIONS`` lesions, if memory holds a second copy of the vectors
  while it is built; afterwards it takes 272 bytes a lesion, for it shares the exact vectors.
* else IVF, 4 sqrt(n) lists of 8-bit codes, dimension + 8 bytes a lesion; it is built several
  times faster, and its candidates are ranked again by the exact vectors.
* if memory does not hold that either, none: StoreError says how much is needed.

How far a search walks (efSearch, nprobe) is the smallest setting that reaches ``WANTED_RECALL``
on a sample; what it does reach stands in ``index info``. Lesions added since are searched
exactly, and so is any filter that lets through less than ``MASKED_SHARE`` of the lesions: a graph
walked under a narrow filter finds too little. A wider filter goes to FAISS as an id selector in
SearchParameters (with ``bounded_queue`` left on, without which HNSW ignores it).
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index.errors import StoreError
from index.faiss_store import exact
from index.faiss_store.exact import Hits, Scope
from index.faiss_store.segments import Approximate, StoreState
from index.reports import ApproximateKind

HNSW_LESIONS = 2_000_000
HNSW_LINKS = 32
HNSW_BYTES = 272
WANTED_RECALL = 0.99
RECALL_QUERIES = 200
RECALL_AT = 10
MASKED_SHARE = 0.2
_RERANKED = 4
_EFFORTS = {"hnsw": (32, 64, 128, 256, 512), "ivf": (4, 8, 16, 32, 64, 128)}


def choose(count: int, *, dimension: int, memory_bytes: int) -> ApproximateKind:
    """The form for so many lesions in so much memory; raises StoreError if none fits."""
    if count <= HNSW_LESIONS and count * (4 * dimension + HNSW_BYTES) <= memory_bytes:
        return ApproximateKind.HNSW
    needed = count * (dimension + 8)
    if needed <= memory_bytes:
        return ApproximateKind.IVF
    raise StoreError(
        f"an approximate form of {count} lesions needs {needed >> 20} MiB, {memory_bytes >> 20} "
        "MiB are free: search exactly, or move to a machine with more memory"
    )


def free_memory() -> int:
    """Bytes of memory nobody uses."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def build(state: StoreState, kind: ApproximateKind) -> Approximate:
    """The approximate form of a compacted state (one part, nothing removed), its recall measured.

    Raises:
        StoreError: the state holds too few lesions for it to mean anything.
    """
    if len(state.parts) != 1 or state.total <= RECALL_AT:
        raise StoreError(f"{state.total} lesions are too few for an approximate form")
    matrix = state.parts[0].matrix
    if kind is ApproximateKind.HNSW:
        index: Any = faiss.IndexHNSWFlat(state.dimension, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 80
    else:
        lists = max(1, min(int(4 * np.sqrt(state.total)), state.total // 39))
        index = faiss.index_factory(state.dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.train(matrix)
    index.add(matrix)
    checksum = _rows_checksum(state.parts[0].rows, state.total)
    facts = {"kind": kind.value, "rows_checksum": checksum}
    return _with_measured_recall(Approximate(index, state.total, facts), state)


def attach(approximate: Approximate, state: StoreState) -> Approximate:
    """The form, as read from its file, on the state's own vectors.

    Raises:
        StoreError: they are not the vectors it was built of.
    """
    part = state.parts[0] if state.parts else None
    if part is None or approximate.index.ntotal != approximate.count:
        raise StoreError("the approximate form is damaged")
    if approximate.facts["rows_checksum"] != _rows_checksum(part.rows, approximate.count):
        raise StoreError("the approximate form is of other lesions than the exact snapshot")
    if approximate.facts["kind"] != ApproximateKind.HNSW:
        return approximate
    # The graph walks the flat index's vectors, so that they are in memory once. ``owner`` keeps
    # that index alive also when a later compaction has moved the state on to another.
    approximate.index.storage = faiss.downcast_index(part.segment.owner.index)
    approximate.index.own_fields = False
    return replace(approximate, owner=part.segment.owner)


def _rows_checksum(rows: NDArray[np.int64], count: int) -> int:
    return zlib.crc32(rows[:count].tobytes(), count)


def search(
    approximate: Approximate,
    state: StoreState,
    queries: NDArray[np.float32],
    *,
    k: int,
    scope: Scope,
) -> list[Hits]:
    """As ``exact.search``, by the approximate form where that is worth it."""
    wanted = scope.wanted
    if wanted is not None and len(wanted) < MASKED_SHARE * state.total:
        return exact.search(state, queries, k=k, scope=scope)
    start = approximate.count
    tail_wanted = None if wanted is None else wanted[wanted >= start]
    tail_scope = Scope(tail_wanted, scope.unwanted[scope.unwanted >= start])
    walked = _walk(approximate, state, queries, k=k, scope=scope)
    if state.total == start:
        return walked
    tail = exact.search(state.tail(start), queries, k=k, scope=tail_scope)
    return [
        exact.top(
            np.concatenate([first.positions, last.positions]),
            np.concatenate([first.similarities, last.similarities]),
            k,
        )
        for first, last in zip(walked, tail, strict=True)
    ]


def _walk(
    approximate: Approximate,
    state: StoreState,
    queries: NDArray[np.float32],
    *,
    k: int,
    scope: Scope,
) -> list[Hits]:
    unwanted = scope.unwanted[scope.unwanted < approximate.count]
    is_masked = scope.wanted is not None or len(unwanted) > exact.OVERFETCH_LIMIT
    bits: NDArray[np.uint8] | None = None
    if is_masked:
        mask = np.full(approximate.count, scope.wanted is None)
        if scope.wanted is not None:
            mask[scope.wanted[scope.wanted < approximate.count]] = True
        mask[unwanted] = False
        bits = np.packbits(mask, bitorder="little")
    is_ivf = approximate.facts["kind"] == ApproximateKind.IVF
    asked = k * (_RERANKED if is_ivf else 1) + (0 if is_masked else len(unwanted))
    parameters = _parameters(approximate, asked, bits)
    with exact.openmp_threads(len(queries)):
        similarities, labels = approximate.index.search(
            queries, min(asked, approximate.count), params=parameters
        )
    hits = []
    for query, positions, values in zip(queries, labels, similarities, strict=True):
        keep = (positions >= 0) & ~np.isin(positions, unwanted)
        found, cosines = positions[keep], values[keep]
        if is_ivf:
            found = np.sort(found)
            cosines = state.vectors_at(found) @ query
        hits.append(exact.top(found, cosines, k))
    return hits


def _parameters(approximate: Approximate, asked: int, bits: NDArray[np.uint8] | None) -> Any:
    effort = int(approximate.facts["effort"])
    library: Any = faiss  # its type hints lack these constructors
    # Given to the constructor, a selector is kept alive by the parameters; set later, it is not.
    selector = None
    if bits is not None:
        selector = faiss.IDSelectorBitmap(approximate.count, faiss.swig_ptr(bits))
    if approximate.facts["kind"] == ApproximateKind.HNSW:
        return library.SearchParametersHNSW(efSearch=max(effort, asked), sel=selector)
    return library.SearchParametersIVF(nprobe=effort, sel=selector)


def _with_measured_recall(approximate: Approximate, state: StoreState) -> Approximate:
    """Sets the effort by a sample of the state's own vectors, each left out of its answer."""
    count = min(RECALL_QUERIES, state.total)
    chosen = np.random.default_rng(0).choice(state.total, size=count, replace=False)
    queries = np.ascontiguousarray(state.parts[0].matrix[chosen])
    nothing = Scope(None, np.empty(0, dtype=np.int64))
    truth = exact.search(state, queries, k=RECALL_AT + 1, scope=nothing)
    facts = dict(approximate.facts)
    for effort in _EFFORTS[facts["kind"]]:
        facts["effort"] = effort
        trial = replace(approximate, facts=facts)
        found = _walk(trial, state, queries, k=RECALL_AT + 1, scope=nothing)
        facts["recall_at_10"] = _recall(truth, found, chosen)
        if facts["recall_at_10"] >= WANTED_RECALL:
            break
    facts["recall_queries"] = count
    facts["lesions"] = approximate.count
    return replace(approximate, facts=facts)


def _recall(truth: list[Hits], found: list[Hits], selves: NDArray[np.int64]) -> float:
    shares = []
    for right, got, own in zip(truth, found, selves, strict=True):
        wanted = set(right.positions.tolist()) - {int(own)}
        shares.append(len(wanted & set(got.positions.tolist())) / len(wanted))
    return round(float(np.mean(shares)), 4)
