"""Retrieval metrics: pure functions of similarities, ranked relevance, labels and numbers.

Shapes, said once: ``similarity``, ``relevant`` and ``excluded`` are (queries, gallery);
``ranked`` is (queries, gallery) of int8, best first: 1 relevant, 0 not, -1 not a candidate (always
at the end). A query without what a metric needs scores NaN, and means leave it out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

RELEVANT, IRRELEVANT, NO_CANDIDATE = 1, 0, -1
_LARGEST = np.iinfo(np.int64).max
_RUN = 64
"""Columns of which one maximum is taken before the k largest are looked for."""


def ranked_relevance(
    similarity: FloatArray, relevant: BoolArray, excluded: BoolArray
) -> NDArray[np.int8]:
    """Each query's candidates from most to least similar, as relevance codes.

    Ties go against the method: among equal similarities the irrelevant stand first, so a constant
    similarity earns nothing and the order of the table never matters. NaN ranks below every number.
    """
    # One sort of integers instead of an argsort and three gathers: the bits of a float order as
    # its value does once those of negative numbers are flipped; the two lowest carry the code.
    bits = np.add(similarity, 0.0, dtype=np.float64).view(np.int64)
    keys = ~(bits ^ ((bits >> 63) & _LARGEST))
    unknown = np.isnan(similarity)
    if unknown.any():
        keys[unknown] = _LARGEST - 7
    keys &= ~3
    keys |= relevant
    keys[excluded] = _LARGEST
    keys.sort(axis=1)
    keys &= 3
    codes = keys.astype(np.int8)
    codes[codes == 3] = NO_CANDIDATE
    return codes


def first_relevant_rank(
    similarity: FloatArray, relevant: BoolArray, excluded: BoolArray
) -> FloatArray:
    """(queries,) rank of the best relevant candidate, from 1; NaN if there is none.

    Ties and NaN are judged as by ``ranked_relevance``, of which this is the fast form.
    """
    known = np.where(np.isnan(similarity), -np.inf, similarity)
    wanted = relevant & ~excluded
    best = np.where(wanted, known, -np.inf).max(axis=1, keepdims=True)
    ahead = ((known >= best) & ~wanted & ~excluded).sum(axis=1)
    return np.where(wanted.any(axis=1), ahead + 1.0, np.nan)


def nearest(similarity: FloatArray, excluded: BoolArray, k: int) -> IntArray:
    """(queries, k) gallery rows of the k most similar candidates, best first; -1 where too few."""
    clean = np.where(excluded, -np.inf, np.where(np.isnan(similarity), -1e300, similarity))
    k_here = min(k, clean.shape[1])
    top = _largest(clean, k_here)
    values = np.take_along_axis(clean, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    rows = np.take_along_axis(top, order, axis=1)
    rows[np.isneginf(np.take_along_axis(values, order, axis=1))] = -1
    padding = np.full((len(rows), k - k_here), -1)
    return np.concatenate([rows, padding], axis=1).astype(np.int64)


def _largest(values: FloatArray, k: int) -> IntArray:
    """(rows, k) columns of the k largest of each row, in any order.

    The largest of each run of columns are told first: the k largest lie in the k best runs.
    """
    rows, columns = values.shape
    runs = columns // _RUN
    if runs < 2 * k:
        return np.argpartition(-values, k - 1, axis=1)[:, :k]
    best = values[:, : runs * _RUN].reshape(rows, runs, _RUN).max(axis=2)
    held = np.argpartition(-best, k - 1, axis=1)[:, :k]
    inside = (held[:, :, None] * _RUN + np.arange(_RUN)).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(runs * _RUN, columns), (rows, columns - runs * _RUN))
    candidates = np.concatenate([inside, rest], axis=1)
    among = np.take_along_axis(values, candidates, axis=1)
    return np.take_along_axis(candidates, np.argpartition(-among, k - 1, axis=1)[:, :k], axis=1)


def precision_at_k(ranked: NDArray[np.int8], k: int) -> FloatArray:
    """(queries,) share of relevant among the first k candidates, or among all if fewer."""
    first = ranked[:, :k]
    return _ratio((first == RELEVANT).sum(axis=1), (first != NO_CANDIDATE).sum(axis=1))


def average_precision(ranked: NDArray[np.int8]) -> FloatArray:
    """(queries,) mean of the precision at each relevant candidate's rank; NaN if there is none."""
    hits = ranked == RELEVANT
    row, position = np.nonzero(hits)
    counts = hits.sum(axis=1)
    earlier = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    precision = (earlier + 1) / (position + 1)
    return _ratio(np.bincount(row, precision, minlength=len(ranked)), counts)


def recall_at_k(first_ranks: FloatArray, k: int) -> FloatArray:
    """(queries,) 1 if a relevant candidate is among the first k, else 0; NaN stays NaN.

    ``first_ranks`` comes from ``first_relevant_rank``.
    """
    return np.where(np.isnan(first_ranks), np.nan, (first_ranks <= k).astype(np.float64))


def reciprocal_rank(first_ranks: FloatArray) -> FloatArray:
    """(queries,) one over the rank of the first relevant candidate; its mean is the MRR."""
    return 1.0 / first_ranks


def mean_by_class(values: FloatArray, classes: IntArray) -> float:
    """The mean over classes of the mean within each class: every class weighs the same."""
    means = [np.nanmean(values[classes == c]) for c in np.unique(classes[~np.isnan(values)])]
    return float(np.mean(means)) if means else float("nan")


def location_errors(own: FloatArray, neighbours: FloatArray) -> FloatArray:
    """(queries,) mean Euclidean distance in normalised body coordinates.

    ``own`` is (queries, 3), ``neighbours`` (queries, k, 3); unknown (NaN) neighbours are left out.
    """
    return _row_mean(np.linalg.norm(neighbours - own[:, None, :], axis=2))


def size_errors(own: FloatArray, neighbours: FloatArray) -> FloatArray:
    """(queries,) mean absolute difference of the long diameter in mm.

    ``own`` is (queries,), ``neighbours`` (queries, k); unknown (NaN) neighbours are left out.
    """
    return _row_mean(np.abs(neighbours - own[:, None]))


def purity(clusters: IntArray, classes: IntArray) -> float:
    """The share of items that belong to the commonest class of their cluster.

    Clusters and classes are whole numbers from 0, as for ``normalised_mutual_information``.
    """
    return float(_contingency(clusters, classes).max(axis=1).sum() / len(classes))


def normalised_mutual_information(clusters: IntArray, classes: IntArray) -> float:
    """Mutual information over the mean of the two entropies, in [0, 1]; 1 if both are constant."""
    joint = _contingency(clusters, classes) / len(classes)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    mean_entropy = (_entropy(rows) + _entropy(columns)) / 2
    if mean_entropy == 0:
        return 1.0
    return max((_entropy(rows) + _entropy(columns) - _entropy(joint)) / mean_entropy, 0.0)


def auc(scores: FloatArray, positive: BoolArray) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN if one lacks."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    rank_sum = float(rankdata(scores)[positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> FloatArray:
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result


def _row_mean(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def _contingency(clusters: IntArray, classes: IntArray) -> FloatArray:
    """Counts of clusters times classes, both whole numbers from 0."""
    rows, columns = int(clusters.max()) + 1, int(classes.max()) + 1
    counts = np.bincount(clusters * columns + classes, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.float64)


def _entropy(shares: FloatArray) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())
