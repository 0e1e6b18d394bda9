"""Scores of forecasts against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrieval.evaluation.growth.scores import (
    PROBABILITIES,
    Resampling,
    StepScores,
    auc_estimate,
    by_patient,
    estimates,
    gain,
    pinball,
    score_distribution,
    score_point,
    verdict_on_coverage,
)
from retrieval.evaluation.stats.intervals import Estimate
from retrieval.tracking.growth.kernels import ChangeDistribution, Kernels


def how():
    return Resampling(np.random.default_rng(0), 200)


def test_the_pinball_loss_is_a_mean_over_the_quantiles():
    quantiles = np.linspace(-1, 1, len(PROBABILITIES))
    losses = [
        p * (0.3 - q) if q <= 0.3 else (1 - p) * (q - 0.3)
        for p, q in zip(PROBABILITIES, quantiles, strict=True)
    ]
    assert pinball(quantiles, 0.3) == pytest.approx(np.mean(losses))


def test_a_distribution_is_scored_where_the_change_came():
    forecast = ChangeDistribution.mixture([Kernels.single(0.0, 0.1)], [1.0])
    scores = score_distribution(forecast, 0.19)
    assert (scores["coverage_50"], scores["coverage_80"], scores["coverage_95"]) == (0, 0, 1)
    chance = forecast.probability_above(math.log(1.2))
    assert scores["brier_growth"] == pytest.approx((1 - chance) ** 2)
    assert scores["width_95"] == pytest.approx(2 * 0.196, rel=0.01)
    assert scores["error"] == pytest.approx(0.19, abs=1e-3)


def test_a_point_has_its_error_for_a_crps_and_no_coverage():
    scores = score_point(0.0, -0.3)
    assert scores["crps"] == scores["error"] == pytest.approx(0.3)
    assert "coverage_50" not in scores
    assert (scores["brier_growth"], score_point(0.0, 0.3)["brier_growth"]) == (0.0, 1.0)


def test_a_true_distribution_beats_narrower_and_wider_ones():
    """The CRPS is proper: nothing is gained by saying what one does not believe."""
    generator = np.random.default_rng(3)
    changes = generator.normal(0, 0.15, 400)
    means = []
    for spread in (0.05, 0.15, 0.5):
        forecast = ChangeDistribution.mixture([Kernels.single(0.0, spread)], [1.0])
        means.append(np.mean([score_distribution(forecast, one)["crps"] for one in changes]))
    assert means[1] < min(means[0], means[2])


def test_steps_that_are_not_answered_are_left_out():
    scores = StepScores.empty(3)
    scores.put(0, score_point(0.0, 0.1))
    scores.put(2, score_point(0.0, 0.5))
    found = estimates(scores, np.array([0.0, 0.0, 1.0]), np.array([0, 1, 2]), how())
    assert found["crps"].value == pytest.approx(0.3)
    assert found["crps"].queries == 2
    assert "coverage_50" not in found


def test_a_gain_is_a_difference_on_the_steps_of_both():
    better, worse = np.array([0.1, 0.2, np.nan]), np.array([0.3, 0.2, 0.9])
    found = gain(better, worse, np.arange(3), how())
    assert found.value == pytest.approx(0.1)
    assert found.queries == 2


def test_the_auc_is_that_of_the_known_steps():
    chance = np.array([0.9, 0.1, np.nan, 0.5])
    grew = np.array([1.0, 0.0, 1.0, 0.0])
    assert auc_estimate(chance, grew, np.arange(4), how()).value == 1.0


def test_the_mean_of_each_patient():
    found = by_patient(np.array([1.0, 3.0, np.nan, 5.0]), np.array([4, 4, 9, 9]))
    assert found.tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.40, 0.35, 0.45, "too narrow"),
        (0.60, 0.55, 0.65, "too wide"),
        (0.52, 0.51, 0.53, None),
        (0.58, 0.45, 0.70, None),
    ],
)
def test_ranges_too_narrow_or_too_wide_are_named(value, low, high, words):
    fine = {"coverage_80": Estimate(0.8, 0.7, 0.9, 9), "coverage_95": Estimate(0.95, 0.9, 1, 9)}
    told = verdict_on_coverage({"coverage_50": Estimate(value, low, high, 9), **fine})
    assert len(told) == (words is not None)
    assert words is None or words in told[0]
