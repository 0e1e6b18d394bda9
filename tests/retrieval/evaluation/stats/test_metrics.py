"""Every metric against a naive loop that reads like its definition, or against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, normalized_mutual_info_score, roc_auc_score
from sklearn.metrics.cluster import contingency_matrix

from retrieval.evaluation.stats import metrics


def naive_order(similarity, relevant, excluded):
    """Candidate columns of one query, best first; among ties the irrelevant first."""
    columns = [c for c in range(len(similarity)) if not excluded[c]]

    def key(column):
        value = similarity[column]
        return (-math.inf if math.isnan(value) else value, not relevant[column])

    return sorted(columns, key=key, reverse=True)


def naive_scores(similarity, relevant, excluded, k):
    order = naive_order(similarity, relevant, excluded)
    flags = [bool(relevant[c]) for c in order]
    precision = sum(flags[:k]) / min(k, len(flags)) if flags else math.nan
    precisions = [sum(flags[: i + 1]) / (i + 1) for i, flag in enumerate(flags) if flag]
    average = sum(precisions) / len(precisions) if precisions else math.nan
    first = flags.index(True) + 1 if any(flags) else math.nan
    return precision, average, first


matrices = st.integers(1, 6).flatmap(
    lambda rows: st.integers(1, 9).flatmap(
        lambda columns: st.tuples(
            arrays(
                np.float64,
                (rows, columns),
                # A coarse grid, so that ties are common.
                elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 3.0, math.nan]),
            ),
            arrays(np.bool_, (rows, columns)),
            arrays(np.bool_, (rows, columns)),
        )
    )
)


@settings(max_examples=150, deadline=None)
@given(matrices, st.integers(1, 12))
def test_ranking_metrics_equal_the_naive_loop(matrix, k):
    similarity, relevant, excluded = matrix
    ranked = metrics.ranked_relevance(similarity, relevant, excluded)
    ranks = metrics.first_relevant_rank(similarity, relevant, excluded)
    wanted = [naive_scores(*row, k) for row in zip(similarity, relevant, excluded, strict=True)]
    np.testing.assert_allclose(metrics.precision_at_k(ranked, k), [w[0] for w in wanted])
    np.testing.assert_allclose(metrics.average_precision(ranked), [w[1] for w in wanted])
    np.testing.assert_allclose(ranks, [w[2] for w in wanted])
    found = [math.nan if math.isnan(w[2]) else float(w[2] <= k) for w in wanted]
    np.testing.assert_allclose(metrics.recall_at_k(ranks, k), found)
    np.testing.assert_allclose(metrics.reciprocal_rank(ranks), [1 / w[2] for w in wanted])


@settings(max_examples=60, deadline=None)
@given(matrices, st.integers(1, 5))
def test_nearest_are_the_best_candidates_in_order(matrix, k):
    similarity, relevant, excluded = matrix
    found = metrics.nearest(similarity, excluded, k)
    assert found.shape == (len(similarity), k)
    for row, columns in enumerate(found):
        order = naive_order(similarity[row], relevant[row], excluded[row])[:k]
        present = columns[columns >= 0]
        assert len(present) == len(order)
        assert len(set(present)) == len(present)
        assert not excluded[row][present].any()
        np.testing.assert_array_equal(similarity[row][present], similarity[row][order])


@pytest.mark.parametrize("columns", [639, 640, 1000])
def test_nearest_of_many_are_those_of_a_full_sort(columns):
    rng = np.random.default_rng(columns)
    similarity = rng.standard_normal((30, columns))
    excluded = rng.random((30, columns)) < 0.3
    excluded[0, 3:] = True
    found = metrics.nearest(similarity, excluded, 5)
    order = np.argsort(-np.where(excluded, -np.inf, similarity), axis=1)[:, :5]
    np.testing.assert_array_equal(found[1:], order[1:])
    assert (found[0] >= 0).sum() == (~excluded[0, :3]).sum()


def test_average_precision_equals_sklearn_without_ties():
    rng = np.random.default_rng(0)
    similarity = rng.standard_normal((40, 60))
    relevant = rng.random((40, 60)) < 0.2
    relevant[:, 0] = True
    ranked = metrics.ranked_relevance(similarity, relevant, np.zeros_like(relevant))
    wanted = [average_precision_score(r, s) for r, s in zip(relevant, similarity, strict=True)]
    np.testing.assert_allclose(metrics.average_precision(ranked), wanted)


def test_a_constant_similarity_earns_nothing():
    relevant = np.array([[True, True, False, False]])
    ranked = metrics.ranked_relevance(np.ones((1, 4)), relevant, np.zeros_like(relevant))
    assert ranked.tolist() == [[0, 0, 1, 1]]
    assert metrics.precision_at_k(ranked, 2).tolist() == [0.0]
    constant = metrics.first_relevant_rank(np.ones((1, 4)), relevant, np.zeros_like(relevant))
    assert constant.tolist() == [3.0]


def test_the_order_of_close_numbers_survives_the_packed_keys():
    similarity = np.array([[1.0, 1.0 + 1e-12, -1e-300, -1.0, 1e300, -1e300, np.inf]])
    for column in range(7):
        relevant = np.zeros((1, 7), bool)
        relevant[0, column] = True
        ranked = metrics.ranked_relevance(similarity, relevant, np.zeros_like(relevant))
        rank = int(np.flatnonzero(np.argsort(-similarity[0]) == column)[0])
        assert ranked[0].tolist().index(1) == rank


def test_the_caller_keeps_its_similarities():
    similarity = np.array([[0.5, -0.0, np.nan]])
    before = similarity.copy()
    metrics.ranked_relevance(similarity, np.ones((1, 3), bool), np.zeros((1, 3), bool))
    np.testing.assert_array_equal(similarity, before)


def test_mean_by_class_weighs_rare_classes_alike():
    values = np.array([1.0, 1.0, 1.0, 0.0, np.nan])
    assert metrics.mean_by_class(values, np.array([5, 5, 5, 6, 7])) == pytest.approx(0.5)
    assert math.isnan(metrics.mean_by_class(np.array([np.nan]), np.array([1])))


def test_neighbour_errors_by_hand():
    own = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    near = np.array([[[0.3, 0.4, 0.0], [np.nan] * 3], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.7]]])
    np.testing.assert_allclose(metrics.location_errors(own, near), [0.5, 0.1])
    sizes = metrics.size_errors(np.array([10.0, 8.0]), np.array([[12.0, 4.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(sizes, [4.0, np.nan])


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(labels)
def test_purity_and_nmi_equal_sklearn(pairs):
    clusters, classes = np.array(pairs).T
    table = contingency_matrix(classes, clusters)
    assert metrics.purity(clusters, classes) == pytest.approx(table.max(axis=0).sum() / len(pairs))
    wanted = normalized_mutual_info_score(classes, clusters)
    found = metrics.normalised_mutual_information(clusters, classes)
    assert found == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans()), min_size=1))
def test_auc_equals_sklearn(pairs):
    scores = np.array([score for score, _ in pairs])
    positive = np.array([flag for _, flag in pairs])
    if positive.all() or not positive.any():
        assert math.isnan(metrics.auc(scores, positive))
    else:
        assert metrics.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
