"""Votes of neighbours and the linear classifier, by hand."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from retrieval.evaluation.retrieval.baselines import MethodVectors
from retrieval.evaluation.retrieval.classification import (
    K_CHOICES,
    knn_correct,
    linear_correct,
    vote,
)
from retrieval.evaluation.retrieval.splits import SplitProtocol, split_rows
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import toy_archive


def test_votes_by_hand():
    types = np.array([[3, 5, 5, 3], [2, 7, 7, -1], [-1, -1, -1, -1], [8, 1, 1, 1]])
    assert vote(types, 4).tolist() == [3, 7, -1, 1]
    assert vote(types, 1).tolist() == [3, 2, -1, 8]


def test_knn_equals_sklearn_with_k_chosen_on_validation():
    table = LesionTable.of(toy_archive(60))
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(table), 3)) + table.types[:, None]
    parts = split_rows(table, SplitProtocol.PAPER, seed=0)
    seeds = vectors[parts.gallery], table.types[parts.gallery]
    accuracy = {}
    for k in K_CHOICES:
        if k <= len(parts.gallery):
            classifier = KNeighborsClassifier(k).fit(*seeds)
            part = parts.validation
            accuracy[k] = (classifier.predict(vectors[part]) == table.types[part]).mean()
    best = max(accuracy, key=lambda k: (accuracy[k], -k))
    predicted = KNeighborsClassifier(best).fit(*seeds).predict(vectors[parts.queries])
    wanted = (predicted == table.types[parts.queries]).mean()
    found = knn_correct(table, MethodVectors("m", (vectors,)), parts)
    assert abs(found.mean() - wanted) < 0.05
    assert 0.4 < found.mean() < 1


def test_what_a_method_does_not_know_counts_as_wrong():
    table = LesionTable.of(toy_archive(24))
    parts = split_rows(table, SplitProtocol.PAPER, seed=0)
    perfect = np.stack([np.cos(table.types), np.sin(table.types)], axis=1)
    perfect += np.random.default_rng(1).normal(0, 1e-3, perfect.shape)
    assert linear_correct(table, MethodVectors("m", (perfect,)), parts).mean() == 1
    blind = perfect.copy()
    blind[parts.queries[:9]] = np.nan
    found = linear_correct(table, MethodVectors("m", (blind,)), parts)
    assert found[:9].tolist() == [0.0] * 9
    assert found[9:].mean() == 1
    half_known = MethodVectors("m", (perfect, blind))
    assert linear_correct(table, half_known, parts)[0] == 0.5
