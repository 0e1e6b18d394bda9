"""Kernels, mixtures, calibration and weights against what they are by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from retrieval.tracking.growth.conformal import SIBLINGS_CORRELATION, Calibration
from retrieval.tracking.growth.kernels import ChangeDistribution, Kernels, student_cdf
from retrieval.tracking.growth.mixing import UNFITTED, Component, fit_weights, mixed

SPREAD = Kernels(np.array([-0.1, 0.3]), np.array([0.1, 0.2]), np.array([0.25, 0.75]))


@pytest.mark.parametrize("freedom", [3.0, 5.0, np.inf])
def test_a_kernel_is_scipys_distribution(freedom):
    kernel = Kernels.single(0.1, 0.2, freedom)
    known = stats.norm(0.1, 0.2) if np.isinf(freedom) else stats.t(freedom, 0.1, 0.2)
    at = np.linspace(-1, 1, 21)
    assert kernel.cdf(at) == pytest.approx(known.cdf(at))
    assert kernel.density(at) == pytest.approx(known.pdf(at))


def test_many_values_are_those_of_few():
    at = np.linspace(-60, 60, 9001)
    assert student_cdf(at, 5.0) == pytest.approx(stats.t(5).cdf(at), abs=1e-6)


def test_the_density_of_a_mixture_integrates_to_its_distribution_function():
    area, _ = integrate.quad(lambda x: float(SPREAD.density(x)), -3, 0.2)
    assert area == pytest.approx(float(SPREAD.cdf(0.2)), abs=1e-6)


def test_quantiles_and_chances_are_those_of_the_kernels():
    made = ChangeDistribution.mixture([SPREAD], [1.0])
    assert float(SPREAD.cdf(made.quantile(0.8))) == pytest.approx(0.8, abs=1e-3)
    low, high = made.central_range(0.5)
    assert made.probability_below(high) - made.probability_below(low) == pytest.approx(0.5)
    assert made.probability_above(0.18) == pytest.approx(1 - float(SPREAD.cdf(0.18)), abs=1e-3)


def test_the_crps_of_a_normal_distribution_is_the_closed_form():
    """Gneiting and Raftery 2007, eq. 21."""
    made = ChangeDistribution.mixture([Kernels.single(0.05, 0.2)], [1.0])
    for change in (-0.4, 0.0, 0.051, 0.6):
        z = (change - 0.05) / 0.2
        expected = 0.2 * (
            z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi)
        )
        assert made.crps(change) == pytest.approx(expected, abs=3e-3)


def test_volumes_have_a_wider_grid():
    wide = ChangeDistribution.mixture([Kernels.single(0.0, 1.5)], [1.0], dimensions=3)
    assert wide.central_range(0.95)[1] == pytest.approx(1.5 * 1.96, rel=0.02)


def test_one_step_a_patient_is_calibrated_to_its_own_share():
    below = np.array([0.5, 0.6, 0.7, 0.8, 0.95])
    found = Calibration.fit(below, np.arange(5))
    # Levels are 0, 0.2, 0.4, 0.6, 0.9; of six patients with one beyond all, 4 lie within 0.6.
    assert np.interp(0.6, found.levels, found.shares) == pytest.approx(4 / 6, abs=1e-6)
    assert np.interp(1.0, found.levels, found.shares) == pytest.approx(1.0)


def test_a_patients_lesions_count_as_fewer_than_they_are():
    below = np.array([0.5] * 9 + [0.9])
    found = Calibration.fit(below, np.array([0] * 9 + [1]))
    nine = 9 / (1 + 8 * SIBLINGS_CORRELATION)
    share = nine / (nine + 1 + (nine + 1) / 2)
    assert np.interp(0.5, found.levels, found.shares) < nine / (nine + 1)
    assert np.interp(0.0, found.levels, found.shares) <= share + 1e-6


@pytest.mark.parametrize(("truth", "word"), [(2.0, "wider"), (0.5, "narrower")])
def test_calibrated_ranges_hold_what_they_say(truth, word):
    """Forecasts of half or of twice the true spread, put right on new patients."""
    generator = np.random.default_rng(0)
    said = Kernels.single(0.0, 0.1)
    seen = generator.normal(0, 0.1 * truth, 2000)
    found = Calibration.fit(said.cdf(seen), np.arange(2000))
    raw = ChangeDistribution.mixture([said], [1.0])
    made = found.calibrated(raw)
    fresh = generator.normal(0, 0.1 * truth, 4000)
    for level in (0.5, 0.8, 0.95):
        low, high = made.central_range(level)
        assert ((fresh >= low) & (fresh <= high)).mean() == pytest.approx(level, abs=0.03)
    assert made.quantile(0.5) == pytest.approx(raw.quantile(0.5), abs=5e-3)
    is_wider = made.quantile(0.975) > raw.quantile(0.975)
    assert is_wider is (word == "wider")


def test_no_calibration_changes_nothing():
    raw = ChangeDistribution.mixture([SPREAD], [1.0])
    assert Calibration.none().calibrated(raw).cdf == pytest.approx(raw.cdf)


def test_a_calibration_survives_its_file():
    found = Calibration.fit(np.linspace(0.05, 0.95, 40), np.arange(40))
    read = Calibration.from_json(found.to_json())
    assert read.shares == pytest.approx(found.shares, abs=1e-5)
    with pytest.raises(ValueError, match="rise together"):
        Calibration.from_json({"levels": [0, 1, 0.5], "shares": [0, 0.5, 1], "patients": 3})


def densities(first, second, third=None):
    nothing = np.full(len(first), np.nan)
    return dict(zip(Component, (first, second, nothing if third is None else third), strict=True))


def test_weights_are_those_of_the_best_log_score():
    generator = np.random.default_rng(1)
    change = np.where(generator.random(4000) < 0.7, generator.normal(0, 0.1, 4000), 0.0)
    change = np.where(change == 0.0, generator.normal(1, 0.1, 4000), change)
    table = densities(stats.norm(0, 0.1).pdf(change), stats.norm(1, 0.1).pdf(change))
    found = fit_weights(table)
    both = found[Component.CLIMATOLOGY] + found[Component.NEIGHBOURS]
    best = max(
        np.linspace(0.01, 0.99, 99),
        key=lambda w: np.log(
            w * table[Component.CLIMATOLOGY] + (1 - w) * table[Component.NEIGHBOURS]
        ).sum(),
    )
    assert found[Component.CLIMATOLOGY] / both == pytest.approx(best, abs=0.02)


def test_a_component_that_never_speaks_keeps_its_weight():
    ones = np.ones(100)
    found = fit_weights(densities(ones, ones))
    assert found[Component.LAWS] == pytest.approx(UNFITTED[Component.LAWS], abs=0.01)


def test_where_one_component_alone_speaks_it_is_the_mixture():
    table = densities(np.array([2.0, 2.0]), np.array([4.0, np.nan]))
    weights = {Component.CLIMATOLOGY: 0.25, Component.NEIGHBOURS: 0.75, Component.LAWS: 0.0}
    assert mixed(table, weights) == pytest.approx([3.5, 2.0])
