"""One lesion's forecast by diameters and by volumes, against its own parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from retrieval.evaluation.growth.simulated import GrowthLaw, SimulatedGrowth, simulate_courses
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.answers import CAVEATS, ForecastState
from retrieval.tracking.growth.courses import SizeMeasure
from retrieval.tracking.growth.fit import fit_growth
from retrieval.tracking.growth.forecasting import ForecastError, GrowthForecaster
from retrieval.tracking.growth.model import bundled_growth
from retrieval.tracking.growth.steps import GrowthSteps

GROWING = SimulatedGrowth(GrowthLaw.EXPONENTIAL, 0.03, (0.0, 0.003), lesions=1)


def as_volume(course):
    """The same lesion, a ball, measured by its volume."""
    points = [replace(one, size=math.pi / 6 * one.size**3) for one in course.points]
    return replace(course, points=tuple(points), measure=SizeMeasure.VOLUME)


@pytest.fixture(scope="module")
def courses():
    return [one.course for one in simulate_courses(GROWING, 40, np.random.default_rng(0))]


@pytest.fixture(scope="module")
def forecaster(courses):
    steps = GrowthSteps.of(courses)
    return GrowthForecaster.of(steps, np.random.default_rng(0), base=None, name="simulated")


@pytest.fixture(scope="module")
def by_volume(courses):
    steps = GrowthSteps.of([as_volume(one) for one in courses])
    return GrowthForecaster.of(steps, np.random.default_rng(0), base=None, name="simulated")


def test_ranges_are_nested_and_the_median_lies_within(forecaster, courses):
    found = forecaster.forecast(courses[0], days=120)
    assert found.state is ForecastState.FORECAST
    lows = [one.low for one in found.outlook.ranges]
    highs = [one.high for one in found.outlook.ranges]
    assert lows == sorted(lows, reverse=True)
    assert highs == sorted(highs)
    assert lows[0] < found.outlook.median < highs[0]
    last = courses[0].points[-1].size
    assert found.outlook.ranges[0].low_pct == pytest.approx(100 * (lows[0] / last - 1))


def test_the_weights_of_what_is_there_add_up(forecaster, courses):
    found = forecaster.forecast(courses[0], days=120)
    assert sum(one.weight for one in found.components) == pytest.approx(1)
    short = forecaster.forecast(courses[0].until(courses[0].points[0].study_id), days=120)
    laws = {one.name: one for one in short.components}["growth laws"]
    assert (laws.weight, laws.outlook) == (0.0, None)
    assert "3 dated sizes" in laws.note
    assert short.doubling is None


def test_no_neighbour_is_of_the_patient(forecaster, courses):
    found = forecaster.forecast(courses[3], days=120)
    assert courses[3].patient_id not in {case.patient_id for case in found.cases}
    weights = [case.weight for case in found.cases]
    assert weights == sorted(weights, reverse=True)
    for case in found.cases:
        (start,) = [point for point in case.course if point.step == 0]
        (after,) = [point for point in case.course if point.step == 1]
        assert start.lesion_id == case.lesion_id
        assert case.change_pct == pytest.approx(100 * (after.size / start.size - 1))


def test_the_next_study_of_a_dated_lesion_is_at_its_own_interval(forecaster, courses):
    found = forecaster.forecast(courses[0])
    assert found.horizon.kind == "next study"
    assert found.horizon.days == pytest.approx(np.median(np.diff(courses[0].days)))


def test_a_fast_lesion_doubles_in_the_time_of_its_rate(forecaster):
    fast = SimulatedGrowth(GrowthLaw.EXPONENTIAL, 0.01, (0.004, 1e-6), studies=(6, 6))
    course = simulate_courses(fast, 1, np.random.default_rng(1))[0].course
    doubling = forecaster.forecast(course, days=60).doubling
    assert doubling.days == pytest.approx(math.log(2) / 0.012, rel=0.15)
    assert doubling.fastest_days < math.log(2) / 0.012 < doubling.slowest_days
    assert doubling.growing_probability > 0.99


def test_a_lesion_that_does_not_change_may_never_double(forecaster):
    still = SimulatedGrowth(GrowthLaw.EXPONENTIAL, 0.03, (0.0, 1e-9), studies=(4, 4))
    course = simulate_courses(still, 1, np.random.default_rng(2))[0].course
    assert forecaster.forecast(course, days=60).doubling.slowest_days is None


def test_volumes_are_forecast_as_the_third_power(by_volume, forecaster, courses):
    course = next(one for one in courses if forecaster.forecast(one, days=150).outlook)
    long, volume = (
        one.forecast(asked, days=150).to_json()
        for one, asked in ((forecaster, course), (by_volume, as_volume(course)))
    )
    assert volume["measure"] == "volume_mm3"
    assert (volume["outlook"]["growth_pct"], volume["outlook"]["shrinkage_pct"]) == (73, 66)
    cube = math.pi / 6 * long["outlook"]["median"] ** 3
    assert volume["outlook"]["median"] == pytest.approx(cube, rel=0.1)
    chance = long["outlook"]["growth_probability"]
    assert volume["outlook"]["growth_probability"] == pytest.approx(chance, abs=0.1)
    days = long["doubling_time"]["days"]
    assert volume["doubling_time"]["days"] == pytest.approx(days, rel=0.2)


def test_caveats_stand_in_every_document(forecaster, courses):
    told = forecaster.forecast(courses[0]).to_json()
    assert told["caveats"] == list(CAVEATS)
    assert "Research use only" in told["notice"]


@pytest.mark.parametrize("days", [0.0, -1.0, 3651.0, math.nan, math.inf])
def test_days_beyond_ten_years_are_refused(forecaster, courses, days):
    with pytest.raises(ForecastError, match="1 to 3650"):
        forecaster.forecast(courses[0], days=days)


def test_nothing_is_fitted_on_nobody(courses):
    with pytest.raises(TrackingError, match="two patients"):
        fit_growth(GrowthSteps.of(courses[:1]), np.random.default_rng(0))
    base = bundled_growth()
    alone = fit_growth(GrowthSteps.of([]), np.random.default_rng(0), base=base)
    assert alone.climatology.common == pytest.approx(base.climatology.common, abs=1e-2)
    assert alone.calibration.patients == base.calibration.patients


def test_many_patients_are_left_out_in_groups():
    walk = SimulatedGrowth(GrowthLaw.WALK, wander_a_day=0.01, lesions=1, studies=(2, 2))
    made = [one.course for one in simulate_courses(walk, 160, np.random.default_rng(3))]
    model = fit_growth(GrowthSteps.of(made), np.random.default_rng(0), name="many")
    assert model.calibration.patients == 160
