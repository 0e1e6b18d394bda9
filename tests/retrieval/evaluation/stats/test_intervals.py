"""Bootstrap intervals: against a naive resampling, and that patients are the unit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrieval.evaluation.stats.intervals import mean_estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import mean_by_class


def sample(patients=12, each=5):
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(patients), each)
    values = (rng.random(patients)[owners] + 0.2 * rng.random(len(owners))).clip(0, 1)
    return values, owners, rng.integers(0, 3, len(owners))


@pytest.mark.parametrize("macro", [False, True])
def test_mean_interval_agrees_with_resampling_rows_of_drawn_patients(macro):
    values, patients, classes = sample()
    labels = classes if macro else np.zeros(len(values), int)
    rng = np.random.default_rng(2)
    naive = []
    for _ in range(4000):
        rows = np.concatenate(
            [np.flatnonzero(patients == p) for p in rng.choice(12, 12, replace=True)]
        )
        naive.append(mean_by_class(values[rows], labels[rows]))
    found = mean_estimate(
        values,
        patients,
        np.random.default_rng(3),
        resamples=4000,
        classes=classes if macro else None,
    )
    assert found.value == pytest.approx(mean_by_class(values, labels))
    np.testing.assert_allclose(
        [found.low, found.high], np.percentile(naive, [2.5, 97.5]), atol=0.015
    )


def test_statistic_interval_of_a_mean_equals_the_fast_one():
    values, patients, _ = sample()
    fast = mean_estimate(values, patients, np.random.default_rng(0), resamples=3000)
    slow = statistic_estimate(
        lambda rows: float(values[rows].mean()),
        patients,
        np.random.default_rng(0),
        resamples=3000,
    )
    assert slow.value == pytest.approx(fast.value)
    np.testing.assert_allclose([slow.low, slow.high], [fast.low, fast.high], atol=0.015)


def test_lesions_of_few_patients_promise_less_than_as_many_patients():
    values, patients, _ = sample(patients=6, each=30)
    by_patient = mean_estimate(values, patients, np.random.default_rng(0), resamples=500)
    by_lesion = mean_estimate(
        values, np.arange(len(values)), np.random.default_rng(0), resamples=500
    )
    assert by_patient.high - by_patient.low > 2 * (by_lesion.high - by_lesion.low)


def test_unknown_values_and_single_patients():
    one = mean_estimate(
        np.array([0.5, np.nan, 1.0]), np.array([4, 4, 4]), np.random.default_rng(0), resamples=9
    )
    assert (one.value, one.low, one.high, one.queries) == (0.75, None, None, 2)
    assert one.text() == "0.750"
    none = mean_estimate(np.array([np.nan]), np.array([1]), np.random.default_rng(0), resamples=9)
    assert math.isnan(none.value)
    assert none.to_json()["value"] is None
    assert none.text() == "-"


def test_bias_correction_puts_the_value_inside_its_interval():
    # The number of distinct rows: drawing patients twice can only lower it.
    patients = np.arange(40)

    def distinct(rows):
        return len(set(rows.tolist())) / 40

    raw = statistic_estimate(distinct, patients, np.random.default_rng(0), resamples=200)
    moved = statistic_estimate(
        distinct, patients, np.random.default_rng(0), resamples=200, correct_bias=True
    )
    assert raw.high < raw.value
    assert moved.low <= moved.value <= moved.high <= 1.0


def test_the_same_generator_gives_the_same_interval():
    values, patients, _ = sample()
    first, second = (
        mean_estimate(values, patients, np.random.default_rng(7), resamples=100) for _ in range(2)
    )
    assert first == second
