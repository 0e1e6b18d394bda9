"""Climatology, neighbours and growth laws against brute force and against known truth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from retrieval.evaluation.growth.simulated import GrowthLaw, SimulatedGrowth, simulate_courses
from retrieval.lesion import LesionType
from retrieval.tracking.growth.climatology import (
    COMMON,
    ClimatologyPrior,
    as_prior,
    fit_climatology,
)
from retrieval.tracking.growth.courses import Course, CoursePoint, SizeMeasure
from retrieval.tracking.growth.laws import PLATEAUS, LawPriors, fit_laws, fit_priors
from retrieval.tracking.growth.neighbours import (
    KERNEL_FREEDOM,
    NeighbourQuery,
    Neighbours,
    find_neighbours,
    neighbour_distribution,
    usual_distance,
)
from retrieval.tracking.growth.steps import GrowthSteps


def courses(generator, count, *, width=0.1, centre=0.0, by_size=0.0, kinds=(LesionType.LUNG,)):
    """One lesion of two studies for each patient, with changes of known spread."""
    made = []
    for number in range(count):
        size = float(generator.normal(math.log(20), 0.5))
        spread = width * math.exp(by_size * (size - math.log(20)))
        change = centre + spread * float(generator.standard_t(5))
        points = tuple(
            CoursePoint(f"{number}_{at}", None, (f"{number}_{at}",), math.exp(size + at * change))
            for at in range(2)
        )
        kind = kinds[number % len(kinds)]
        made.append(Course(f"{number}", f"{number:05d}", points, lesion_type=kind))
    return made


def test_a_population_is_recovered():
    steps = GrowthSteps.of(courses(np.random.default_rng(0), 4000, centre=0.05, by_size=-0.3))
    found = fit_climatology(steps)
    assert found.common["centre"] == pytest.approx(0.05, abs=0.01)
    assert math.exp(found.common["log_width"]) == pytest.approx(0.1, rel=0.06)
    assert found.common["log_width_by_size"] == pytest.approx(-0.3, abs=0.08)
    assert found.freedom in {4.0, 5.0, 7.0}


def test_the_fit_is_the_mode_that_a_plain_search_finds():
    steps = GrowthSteps.of(courses(np.random.default_rng(1), 60))
    prior = ClimatologyPrior(group_centre=1e-4, group_width=1e-4)
    found = fit_climatology(steps, prior)
    larger = steps.log_size - math.log(20.0)
    means, spreads = np.array([prior.common[name] for name in COMMON]).T

    def loss(theta):
        width = np.exp(theta[2] + theta[3] * larger)
        known = stats.t(found.freedom, theta[0] + theta[1] * larger, width)
        off = (theta - means[:4]) / spreads[:4]
        return (off**2).sum() / 2 - known.logpdf(steps.change).sum()

    start = np.array([0.0, 0.0, -2.0, 0.0])
    searched = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000})
    assert [found.common[name] for name in COMMON[:4]] == pytest.approx(searched.x, abs=0.01)


def test_a_rare_type_shrinks_to_the_others_and_a_common_one_does_not():
    generator = np.random.default_rng(2)
    wide = courses(generator, 400, width=0.3, kinds=(LesionType.LIVER,))
    rare = courses(generator, 3, width=0.3, kinds=(LesionType.BONE,))
    others = courses(generator, 400, width=0.1)
    every = [replace(one, patient_id=f"{at:05d}") for at, one in enumerate(wide + rare + others)]
    found = fit_climatology(GrowthSteps.of(every))
    widths = {name: offset for name, (_, offset) in found.groups.items()}
    assert widths["type: liver"] > 0.25
    assert abs(widths["type: bone"]) < 0.15


def test_a_prior_holds_where_there_are_no_steps_and_gives_way_to_many():
    generator = np.random.default_rng(3)
    before = fit_climatology(GrowthSteps.of(courses(generator, 300)))
    none = fit_climatology(GrowthSteps.of([]), as_prior(before))
    assert none.common == pytest.approx(before.common, abs=1e-3)
    many = fit_climatology(GrowthSteps.of(courses(generator, 2000, width=0.3)), as_prior(before))
    assert math.exp(many.common["log_width"]) == pytest.approx(0.3, rel=0.1)


def test_an_interval_widens_the_change_where_steps_are_dated():
    walk = SimulatedGrowth(
        GrowthLaw.WALK, 0.02, wander_a_day=0.02, interval_days=(30.0, 400.0), studies=(2, 4)
    )
    made = [one.course for one in simulate_courses(walk, 500, np.random.default_rng(4))]
    found = fit_climatology(GrowthSteps.of(made))
    assert found.common["log_width_by_log_days"] == pytest.approx(0.45, abs=0.1)
    near, far = (found.distribution(3.0, (), days).scales[0] for days in (40.0, 360.0))
    assert far > 2 * near


# --- neighbours


def library(sizes, *, kinds=None, vectors=None, changes=None, patients=None):
    made = []
    for number, size in enumerate(sizes):
        change = 0.1 if changes is None else changes[number]
        points = tuple(
            CoursePoint(f"{number}_{at}", None, (f"{number}_{at}",), size * math.exp(at * change))
            for at in range(2)
        )
        own = () if vectors is None else (vectors[number], vectors[number])
        kind = LesionType.LUNG if kinds is None else kinds[number]
        patient = f"{number:03d}" if patients is None else patients[number]
        made.append(Course(f"{number}", patient, points, lesion_type=kind, vectors=own))
    return GrowthSteps.of(made)


def ask(size, kind="lung", *, patient=-1, vector=None):
    return NeighbourQuery(math.log(size), kind, "", patient, vector)


def test_neighbours_are_other_patients_of_the_type_and_at_most_twice_the_size():
    steps = library(
        [20, 20, 41, 9.9, 21, 22],
        kinds=[LesionType.LUNG] * 4 + [LesionType.LIVER, LesionType.UNKNOWN],
    )
    found = find_neighbours(ask(20, patient=0), steps, usual=1.0)
    assert found.steps.tolist() == [1, 5]
    assert found.weights[0] > found.weights[1]
    assert find_neighbours(ask(20, "bone"), steps, usual=1.0).steps.tolist() == [5]


def test_looks_decide_among_lesions_of_one_size():
    vectors = [np.array([math.cos(a), math.sin(a)], np.float32) for a in (0.0, 0.3, 1.5)]
    steps = library([20, 20, 20], vectors=vectors)
    found = find_neighbours(ask(20, vector=vectors[1]), steps, usual=0.5)
    assert found.steps.tolist() == [1, 0, 2]
    assert found.similarity == pytest.approx([1.0, math.cos(0.3), math.cos(1.2)], abs=1e-5)


def test_the_effective_number_is_that_of_equal_weights():
    even = Neighbours(np.arange(12), np.full(12, 1 / 12), np.full(12, np.nan), 12)
    assert even.effective == pytest.approx(12)
    weights = np.array([0.9] + [0.1 / 11] * 11)
    assert Neighbours(np.arange(12), weights, np.full(12, np.nan), 12).effective < 1.3


def test_seven_lesions_are_too_few_and_steps_of_one_lesion_count_once():
    steps = library([20.0] * 8)
    assert neighbour_distribution(find_neighbours(ask(20), steps, usual=1.0), steps) is not None
    seven = steps.chosen(np.arange(7))
    assert neighbour_distribution(find_neighbours(ask(20), seven, usual=1.0), seven) is None
    twice = steps.chosen(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]))
    assert not find_neighbours(ask(20), twice, usual=1.0).are_enough


def test_the_neighbours_changes_are_smoothed_as_silverman_has_it():
    changes = np.random.default_rng(5).normal(0.2, 0.1, 30)
    steps = library([20.0] * 30, changes=changes)
    made = neighbour_distribution(find_neighbours(ask(20), steps, usual=1.0), steps)
    spread = min(changes.std(), stats.iqr(changes) / 1.34)
    assert made.scales[0] == pytest.approx(0.9 * spread * 30**-0.2, rel=0.1)
    assert made.freedom == KERNEL_FREEDOM
    assert made.weights @ made.centres == pytest.approx(changes.mean())


def test_the_usual_distance_is_between_patients():
    vectors = [np.array([1, 0], np.float32)] * 2 + [np.array([0, 1], np.float32)] * 2
    steps = library([20] * 4, vectors=vectors, patients=["a", "a", "b", "b"])
    assert usual_distance(steps, np.random.default_rng(0)) == pytest.approx(1.0)
    assert usual_distance(library([20, 20]), np.random.default_rng(0)) == 1.0


# --- growth laws


def test_with_exponential_growth_alone_it_is_a_bayesian_line():
    priors = LawPriors(0.1, (0.0, 0.01), exponential=1 - 1e-12)
    days, sizes = np.array([0.0, 50, 120, 300]), np.array([2.0, 2.1, 2.2, 2.9])
    found = fit_laws(days, sizes, priors)
    design = np.column_stack([np.ones(4), days - 300])
    precision = design.T @ design / 0.1**2 + np.diag([1 / 9.0, 1 / 0.01**2])
    before = np.array([2.9, 0.0])
    mean = before + np.linalg.solve(precision, design.T @ (sizes - design @ before) / 0.1**2)
    assert found.exponential_probability == pytest.approx(1.0, abs=1e-6)
    assert found.mean[0] == pytest.approx(mean)
    assert found.covariance[0] == pytest.approx(np.linalg.inv(precision))


def test_the_evidence_is_the_density_of_the_sizes():
    priors = LawPriors(0.1, (0.001, 0.002), wander_a_day=0.005, exponential=0.3)
    days, sizes = np.array([0.0, 90, 200]), np.array([2.5, 2.4, 2.8])
    found = fit_laws(days, sizes, priors)
    since = days - 200
    weights = []
    for plateau, before in zip(PLATEAUS, [0.3] + [0.7 / 5] * 5, strict=True):
        reach = since if plateau == 0 else -np.expm1(-plateau * since) / plateau
        cov = 9 + 0.002**2 * np.outer(reach, reach) + 0.1**2 * np.eye(3)
        cov += 0.005**2 * np.minimum(-since[:, None], -since[None, :])
        mean = sizes[-1] + 0.001 * reach
        weights.append(before * stats.multivariate_normal(mean, cov).pdf(sizes))
    assert found.weights == pytest.approx(np.array(weights) / sum(weights))


def test_a_longer_look_ahead_is_wider():
    found = fit_laws(np.array([0.0, 100, 200]), np.array([2.0, 2.2, 2.4]), LawPriors())
    widths = []
    for days in (50, 200, 800):
        kernels = found.change_after(days)
        mean = kernels.weights @ kernels.centres
        spread = kernels.weights @ (kernels.scales**2 + (kernels.centres - mean) ** 2)
        widths.append(math.sqrt(spread))
    assert widths == sorted(widths)
    assert widths[0] > LawPriors().measurement_error


def shares_within(simulated, priors, level):
    """The share of lesions whose true rate lies in the central range of its posterior."""
    tail = (1 - level) / 2
    inside = [
        tail
        <= float(
            fit_laws(one.course.days, one.course.log_sizes, priors).rate().cdf(one.true_rate_a_day)
        )
        <= 1 - tail
        for one in simulated
    ]
    return float(np.mean(inside))


@pytest.mark.parametrize("law", [GrowthLaw.EXPONENTIAL, GrowthLaw.GOMPERTZ])
def test_the_rates_of_known_laws_lie_in_their_ranges(law):
    population = SimulatedGrowth(law)
    simulated = simulate_courses(population, 200, np.random.default_rng(6))
    priors = LawPriors(
        0.088, population.rate_a_day, exponential=0.99 if law is GrowthLaw.EXPONENTIAL else 0.01
    )
    for level in (0.5, 0.8, 0.95):
        assert shares_within(simulated, priors, level) == pytest.approx(level, abs=0.08)


@pytest.mark.parametrize(("error", "is_narrow"), [(0.02, True), (0.4, False)])
def test_a_wrong_measurement_error_gives_ranges_that_are_found_out(error, is_narrow):
    population = SimulatedGrowth()
    simulated = simulate_courses(population, 200, np.random.default_rng(7))
    wrong = LawPriors(error, (0.0005, 0.02), exponential=0.999)
    share = shares_within(simulated, wrong, 0.8)
    assert (share < 0.7) if is_narrow else (share > 0.9)


def test_the_priors_of_a_population_are_recovered():
    population = SimulatedGrowth(rate_a_day=(0.001, 0.0015), measurement_error=0.06)
    simulated = simulate_courses(population, 150, np.random.default_rng(8))
    found = fit_priors([one.course for one in simulated])
    assert found.measurement_error == pytest.approx(0.06, rel=0.25)
    assert found.rate_a_day[1] == pytest.approx(0.0015, rel=0.4)
    assert shares_within(simulated, found, 0.8) == pytest.approx(0.8, abs=0.1)


def test_few_courses_leave_the_priors_as_they_were():
    some = simulate_courses(SimulatedGrowth(lesions=1), 10, np.random.default_rng(9))
    assert fit_priors([one.course for one in some]) == LawPriors()


def test_a_volume_grows_three_times_as_fast():
    scaled = LawPriors().scaled(SizeMeasure.VOLUME.dimensions)
    assert scaled.rate_a_day[1] == pytest.approx(3 * 0.002)
    assert scaled.measurement_error == pytest.approx(3 * 0.088)
