"""The loop on made-up lesions whose groups are known: what it finds, and what it may not do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from retrieval.labels.categories.classifier import out_of_fold, patient_folds
from retrieval.labels.categories.clustering import (
    SMALLEST_SHARE,
    balanced_kmeans,
    graph_clusters,
    prediction_strength,
)
from retrieval.labels.categories.features import CategoryError
from retrieval.labels.categories.rounds import (
    LoopOptions,
    Round,
    find_categories,
    has_settled,
    matched,
)


def blobs(generator, *, groups=3, rows=24, width=12, gap=6.0):
    """Rows of well separated groups; each patient has a row in every group."""
    truth = np.tile(np.arange(groups), rows)
    centres = gap * np.eye(groups, width)
    features = centres[truth] + generator.normal(0, 1, (len(truth), width))
    return features, truth, np.repeat(np.arange(rows), groups)


def test_groups_that_are_there_are_found_and_the_loop_settles():
    features, truth, patients = blobs(np.random.default_rng(0))
    found = find_categories(features, patients, LoopOptions(3, seed=1))
    assert adjusted_rand_score(truth, found.labels) == 1.0
    assert found.settled
    assert found.rounds[-1].nmi == pytest.approx(1.0)
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert found.confusion.diagonal() == pytest.approx([1.0, 1.0, 1.0], abs=0.15)


def test_their_number_is_found_by_prediction_strength():
    features, _, patients = blobs(np.random.default_rng(0), rows=16)
    found = find_categories(features, patients, LoopOptions(None, 1), counts=(2, 3, 5))
    assert found.count == 3
    assert found.strengths[3] > 0.9 > 0.8 > found.strengths[5]


def test_noise_has_no_supported_number():
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (120, 10))
    assert prediction_strength(features, np.arange(120), 6, generator) < 0.8


def test_a_head_never_saw_the_patient_it_judges():
    """A patient whose own label is pure chance is foretold no better than chance."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 3)
    # Every patient has a look of its own; its label is drawn: learned only by seeing the patient.
    features = 3 * generator.normal(0, 1, (40, 16))[patients]
    labels = generator.integers(0, 2, 40)[patients].astype(np.int64)
    said = out_of_fold(features, labels, patient_folds(patients, generator), generator)
    right = said[np.arange(len(labels)), labels]
    assert 0.3 < right.mean() < 0.7


def test_folds_keep_patients_whole():
    patients = np.random.default_rng(0).integers(0, 23, 200)
    folds = patient_folds(patients, np.random.default_rng(1))
    assert all(len(set(folds[patients == one])) == 1 for one in set(patients))
    assert len(set(folds)) == 5


def test_no_cluster_is_nearly_empty():
    """Two far outliers would be clusters of their own; they share one with others instead."""
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (200, 4))
    features[:2] = 40.0
    found = balanced_kmeans(features, 4, generator)
    assert np.bincount(found.labels, minlength=4).min() >= SMALLEST_SHARE * 200 / 4


def test_fewer_lesions_than_categories_is_said():
    with pytest.raises(CategoryError, match="8 categories of 3 distinct lesions"):
        graph_clusters(np.repeat(np.eye(3), 5, axis=0), 8, np.random.default_rng(0))


def test_a_large_set_is_clustered_by_a_drawn_part(monkeypatch):
    monkeypatch.setattr("retrieval.labels.categories.clustering.MOST_IN_GRAPH", 60)
    features, truth, _ = blobs(np.random.default_rng(0), rows=40)
    assert adjusted_rand_score(truth, graph_clusters(features, 3, np.random.default_rng(2))) == 1.0


def test_matching_keeps_as_many_numbers_as_any_renaming_could():
    generator = np.random.default_rng(0)
    before, labels = generator.integers(0, 4, (2, 60))
    best = max(
        int((np.array(names)[labels] == before).sum()) for names in itertools.permutations(range(4))
    )
    assert int((matched(labels, before) == before).sum()) == best


@pytest.mark.parametrize(
    ("values", "settled"),
    [
        ([(0.95, 0.97)] * 3, True),
        ([(0.95, 0.97)] * 2, False),
        ([(0.85, 0.97)] * 3, False),
        ([(0.90, 0.97), (0.95, 0.97), (0.95, 0.97)], False),
    ],
)
def test_the_rule_that_ends_the_loop(values, settled):
    assert has_settled([Round(n, *pair) for n, pair in enumerate(values)]) is settled


def test_the_threads_of_others_are_given_back():
    before = torch.get_num_threads()
    features, _, patients = blobs(np.random.default_rng(0), rows=8)
    first = find_categories(features, patients, LoopOptions(3, 2, seed=5))
    again = find_categories(features, patients, LoopOptions(3, 2, seed=5))
    assert torch.get_num_threads() == before
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
