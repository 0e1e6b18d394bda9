"""Forecasts of indexed lesions: whose courses they rest on, and what changes them."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, timedelta

import pytest

from index.errors import UnknownLesionError
from index.reports import ReaderDecision
from retrieval.tracking.growth.courses import SizeMeasure
from retrieval.tracking.growth.forecasting import ForecastError
from service.engine.growth import ForecastRequest, GrowthLibrary
from tests.service.growing import (
    growing_index,
    growing_patient,
    growing_record,
    measured_sizes,
)

LAST = "000003_03_01_a"


@pytest.fixture
def index(tmp_path):
    with growing_index(tmp_path / "index", 20) as opened:
        yield opened


def test_a_forecast_rests_on_other_patients_alone(index):
    found = GrowthLibrary(index).forecast(LAST).to_json()
    assert found["state"] == "forecast"
    assert found["neighbours"]["count"] == 19
    assert "000003" not in {case["patient_id"] for case in found["neighbours"]["cases"]}
    assert 1 < found["neighbours"]["effective"] <= 38
    assert found["outlook"]["median"] > found["course"][-1]["size"]


def test_eight_similar_lesions_are_needed(tmp_path):
    with growing_index(tmp_path / "eight", 8) as index:
        found = GrowthLibrary(index).forecast(LAST).to_json()
    assert (found["state"], found["outlook"], found["fan"]) == ("abstained", None, [])
    assert found["reason"].startswith("too few similar lesions")
    assert "7 known, 8 needed" in found["reason"]
    assert found["population"]["patients"] > 0
    with growing_index(tmp_path / "nine", 9) as index:
        assert GrowthLibrary(index).forecast(LAST).to_json()["state"] == "forecast"


def test_the_forecast_of_an_earlier_study_does_not_see_the_later_ones(index):
    library = GrowthLibrary(index)
    found = library.forecast("000003_01_01_a")
    assert [point["study_id"] for point in found.to_json()["course"]] == ["000003_01"]
    assert any("2 later studies" in warning for warning in found.warnings)
    assert not any("later stud" in warning for warning in library.forecast(LAST).warnings)


def test_what_is_added_removed_or_decided_is_seen_at_once(index):
    library = GrowthLibrary(index)
    assert library.forecast(LAST).to_json()["neighbours"]["count"] == 19
    index.add(growing_patient("000077", [20.0, 22.0]))
    assert library.forecast(LAST).to_json()["neighbours"]["count"] == 20
    index.remove(["000077_02_01_a"])
    assert library.forecast(LAST).to_json()["neighbours"]["count"] == 19
    index.set_match("000004_01_01_a", "000004_02_01_a", ReaderDecision.REJECTED)
    index.set_match("000004_01_01_a", "000004_03_01_a", ReaderDecision.REJECTED)
    index.set_match("000004_02_01_a", "000004_03_01_a", ReaderDecision.REJECTED)
    assert library.forecast(LAST).to_json()["neighbours"]["count"] == 18


def test_a_changed_index_answers_as_one_that_is_opened_anew(index):
    library = GrowthLibrary(index)
    library.forecast(LAST)
    index.add([growing_record("000002", 2, 31.0)])
    index.remove(["000005_01_01_a"])
    changed = library.forecaster().library.steps
    fresh = GrowthLibrary(index).forecaster().library.steps
    assert sorted(changed.change) == pytest.approx(sorted(fresh.change))


def test_without_dates_a_number_of_days_is_refused_in_words(index):
    found = GrowthLibrary(index).forecast(LAST, ForecastRequest(days=90)).to_json()
    assert found["state"] == "abstained"
    assert "no date" in found["reason"]


def test_dated_studies_give_days_a_fan_and_a_doubling_time(tmp_path):
    with growing_index(tmp_path / "dated", 30, every_days=100.0) as index:
        library = GrowthLibrary(index)
        found = library.forecast(LAST, ForecastRequest(days=100)).to_json()
    assert [entry["days"] for entry in found["fan"]] == [25.0, 50.0, 75.0, 100.0]
    assert found["fan"][-1] == found["outlook"]
    widths = [entry["ranges"][1]["high"] - entry["ranges"][1]["low"] for entry in found["fan"]]
    assert widths == sorted(widths)
    assert {one["name"] for one in found["components"] if one["weight"] > 0} == {
        "climatology",
        "neighbours",
        "growth laws",
    }
    doubling = found["doubling_time"]
    assert doubling["sizes"] == 3
    assert doubling["fastest_days"] < doubling["days"]


@pytest.mark.parametrize("days", [0, -5, 3651, float("nan"), float("inf")])
def test_nobody_looks_ahead_for_more_than_ten_years(days):
    with pytest.raises(ForecastError, match="1 to 3650 days"):
        ForecastRequest(days=days)


@pytest.mark.parametrize(
    ("long_mm", "words"),
    [(0.0, "is 0 mm"), (-4.0, "is -4 mm"), (900.0, "is 900 mm"), (None, "no long diameter")],
)
def test_an_absurd_diameter_is_told(index, long_mm, words):
    index.add([growing_record("000088", 1, long_mm)])
    found = GrowthLibrary(index).forecast("000088_01_01_a").to_json()
    assert found["state"] == "abstained"
    assert words in found["reason"]


def test_a_study_of_the_future_is_told(index):
    ahead = (date.today() + timedelta(days=400) - date(2021, 1, 1)).days
    index.add([growing_record("000088", 1, 20.0, days=ahead)])
    found = GrowthLibrary(index).forecast("000088_01_01_a").to_json()
    assert "after today" in found["reason"]


def test_a_lesion_of_one_study_is_forecast_from_others(index):
    index.add([growing_record("000088", 1, 20.0)])
    found = GrowthLibrary(index).forecast("000088_01_01_a").to_json()
    assert found["state"] == "forecast"
    assert len(found["course"]) == 1


def test_a_volume_that_nobody_measured_is_told(index):
    found = GrowthLibrary(index).forecast(LAST, ForecastRequest(measure=SizeMeasure.VOLUME))
    assert "no volume was measured" in found.to_json()["reason"]


def with_volumes(index, patients):
    """The lesions of some patients measured: volumes of spheres of their diameters."""
    for number in range(1, patients + 1):
        for record in index.patient(f"{number:06d}"):
            volume = 0.5 * record.lesion.long_mm**3
            lesion = record.lesion.with_changes(measured=measured_sizes(volume))
            index.add([replace(record, lesion=lesion)])


def test_volumes_are_forecast_from_measured_volumes_alone(index):
    with_volumes(index, 12)
    library = GrowthLibrary(index)
    by_diameter = library.forecast(LAST).to_json()
    asked = ForecastRequest(measure=SizeMeasure.VOLUME)
    found = library.forecast(LAST, asked).to_json()
    assert (found["state"], found["measure"]) == ("forecast", "volume_mm3")
    assert found["neighbours"]["count"] == 11
    assert by_diameter["neighbours"]["count"] == 19
    assert found["outlook"]["growth_pct"] == pytest.approx(72.8, abs=0.5)
    assert found["outlook"]["median_pct"] > by_diameter["outlook"]["median_pct"]
    assert "12 patients" in found["population"]["fitted_on"]
    without = library.forecast("000015_03_01_a", asked).to_json()
    assert without["reason"].endswith("no volume was measured (lesion 000015_03_01_a)")


def test_few_measured_patients_forecast_no_volume(index):
    with_volumes(index, 7)
    asked = ForecastRequest(measure=SizeMeasure.VOLUME)
    found = GrowthLibrary(index).forecast(LAST, asked).to_json()
    assert found["state"] == "abstained"
    assert found["reason"].startswith("fewer than 8 patients")


def test_an_unknown_lesion_is_refused(index):
    with pytest.raises(UnknownLesionError):
        GrowthLibrary(index).forecast("nobody")


def test_every_last_lesion_of_a_patient_is_found(index):
    assert GrowthLibrary(index).latest("000003") == [LAST]


def test_one_lesion_is_quick_once_the_library_is_there(index):
    library = GrowthLibrary(index)
    library.forecast(LAST)
    spent = []
    for _ in range(5):
        start = time.process_time()
        library.forecast(LAST)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05
