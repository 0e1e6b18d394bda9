"""Type accuracy as published: seeds of known type classify the lesions of other patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from retrieval.evaluation.retrieval.baselines import MethodVectors, Vectors
from retrieval.evaluation.retrieval.ranking import RankingTask, nearest_rows
from retrieval.evaluation.retrieval.relations import same_type_elsewhere
from retrieval.evaluation.retrieval.splits import SplitRows
from retrieval.evaluation.stats.metrics import FloatArray, IntArray
from retrieval.sources.lesion_table import LesionTable

K_CHOICES = (1, 3, 5, 10, 20, 50)
"""Neighbours that may vote; the best on validation lesions is used."""


def vote(neighbour_types: IntArray, k: int) -> IntArray:
    """(queries,) the commonest type among the first k of (queries, neighbours); -1 for none.

    A negative neighbour does not vote. Equal counts are settled by the nearer neighbours.
    """
    first = neighbour_types[:, :k]
    # Far smaller than one vote even when all are added up, and larger for nearer neighbours.
    weights = 1 + 1e-6 * np.arange(first.shape[1], 0, -1)
    votes = np.zeros((len(first), 9))
    for code in range(1, 9):
        votes[:, code] = ((first == code) * weights).sum(axis=1)
    winners = votes.argmax(axis=1)
    return np.where(votes.max(axis=1) > 0, winners, -1)


def knn_correct(table: LesionTable, method: MethodVectors, parts: SplitRows) -> FloatArray:
    """(queries,) share of draws in which the seeds' vote is right, k chosen on validation."""
    draws = []
    for vectors in method.draws:
        types = {
            "validation": _neighbour_types(table, vectors, parts.gallery, parts.validation),
            "queries": _neighbour_types(table, vectors, parts.gallery, parts.queries),
        }
        truth = table.types[parts.validation]
        accuracy = [float((vote(types["validation"], k) == truth).mean()) for k in K_CHOICES]
        k = K_CHOICES[int(np.argmax(accuracy))]
        draws.append(vote(types["queries"], k) == table.types[parts.queries])
    return np.asarray(np.mean(draws, axis=0), np.float64)


def linear_correct(table: LesionTable, method: MethodVectors, parts: SplitRows) -> FloatArray:
    """(queries,) share of draws in which a linear discriminant fitted on the seeds is right.

    A lesion that the method knows nothing of counts as wrong.
    """
    draws = []
    for vectors in method.draws:
        known = np.asarray(~np.isnan(vectors).any(axis=1))
        seeds = parts.gallery[known[parts.gallery]]
        correct = np.zeros(len(parts.queries))
        asked = known[parts.queries]
        if len(np.unique(table.types[seeds])) > 1 and asked.any():
            classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            classifier.fit(np.asarray(vectors[seeds], np.float64), table.types[seeds])
            rows = parts.queries[asked]
            predicted: NDArray[np.int64] = classifier.predict(np.asarray(vectors[rows], np.float64))
            correct[asked] = predicted == table.types[rows]
        draws.append(correct)
    return np.asarray(np.mean(draws, axis=0), np.float64)


def _neighbour_types(
    table: LesionTable, vectors: Vectors, gallery: IntArray, queries: IntArray
) -> IntArray:
    task = RankingTask(queries, gallery, same_type_elsewhere)
    rows = nearest_rows(table, vectors, task, K_CHOICES[-1])
    return np.where(rows < 0, -1, table.types[rows])
