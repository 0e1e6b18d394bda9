"""Forecasts in folds of patients: on populations of known laws, and on the real benchmark file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.evaluation.growth import protocol
from retrieval.evaluation.growth.archive_courses import archive_courses
from retrieval.evaluation.growth.dls_courses import dls_courses
from retrieval.evaluation.growth.protocol import (
    ALL,
    CLIMATOLOGY,
    FORECAST,
    NO_CHANGE,
    GrowthOptions,
    evaluate_growth,
    score_in_folds,
)
from retrieval.evaluation.growth.scores import Resampling, estimates, verdict_on_coverage
from retrieval.evaluation.growth.simulated import GrowthLaw, SimulatedGrowth, simulate_courses
from retrieval.evaluation.tracking.dls import DlsError
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.forecasting import GrowthForecaster
from retrieval.tracking.growth.model import GrowthModel, bundled_growth
from retrieval.tracking.growth.steps import GrowthSteps
from tests.service.samples import write_archive

REAL = os.environ.get("LESION_SEARCH_REAL_DATA")
LEVELS = ((50, 0.5), (80, 0.8), (95, 0.95))
QUICK = GrowthOptions(folds=3, resamples=100)


@pytest.fixture(autouse=True)
def few_groups(monkeypatch):
    """Patients are left out in five groups, not one by one: the same, five times as quick."""
    monkeypatch.setattr("retrieval.tracking.growth.fit.MOST_LEFT_OUT_SINGLY", 1)
    monkeypatch.setattr("retrieval.tracking.growth.fit.FOLDS_BEYOND", 5)


def population(law, patients=30, *, seed=0, **changes):
    """Courses of a law; only those of a lasting rate are dated, since only they need it."""
    known = SimulatedGrowth(law, studies=(3, 4), **changes)
    dated = law is not GrowthLaw.WALK
    made = simulate_courses(known, patients, np.random.default_rng(seed), dated=dated)
    return [one.course for one in made]


def test_a_lasting_rate_is_forecast_better_than_by_climatology():
    fast = {"rate_a_day": (0.0, 0.004), "measurement_error": 0.04, "wander_a_day": 0.001}
    report = evaluate_growth(population(GrowthLaw.EXPONENTIAL, 40, **fast), QUICK, source="known")
    section = report.sections[ALL]
    gained = section.gains[f"CRPS gained on {CLIMATOLOGY}"]
    assert gained.low > 0
    late = report.sections["its later steps"].methods[FORECAST]
    assert late["auc_growth"].value > 0.7
    assert report.verdict == ()
    assert report.dated == report.steps


def test_where_nothing_lasts_nothing_is_claimed():
    walk = population(GrowthLaw.WALK, wander_a_day=0.01)
    section = evaluate_growth(walk, QUICK, source="walk").sections[ALL]
    gained = section.gains[f"CRPS gained on {CLIMATOLOGY}"]
    assert gained.low < 0.002
    assert section.gains[f"CRPS gained on {NO_CHANGE}"].low > 0
    for level, share in LEVELS:
        assert section.methods[FORECAST][f"coverage_{level}"].value == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize(("factor", "word"), [(0.5, "too narrow"), (2.0, "too wide")])
def test_a_model_with_wrong_ranges_is_found_out(monkeypatch, factor, word):
    """The very protocol, with a forecaster that stretches its calibrated ranges."""
    fitted = GrowthForecaster.of

    def wrong(*arguments, **options):
        made = fitted(*arguments, **options)
        known = made.model.calibration
        levels = known.levels ** (1 / factor) if factor < 1 else known.levels
        shares = known.shares if factor < 1 else known.shares**factor
        return replace(made, model=replace(made.model, calibration=Calibration(levels, shares)))

    monkeypatch.setattr(protocol.GrowthForecaster, "of", wrong)
    report = evaluate_growth(population(GrowthLaw.WALK, wander_a_day=0.01), QUICK, source="walk")
    assert report.verdict
    assert all(word in line for line in report.verdict)


def test_no_step_is_scored_by_what_saw_its_patient(monkeypatch):
    steps = GrowthSteps.of(population(GrowthLaw.WALK, 9, wander_a_day=0.01))
    seen = []
    fitted = GrowthForecaster.of

    def spy(known, *arguments, **options):
        seen.append(set(known.patient.tolist()))
        return fitted(known, *arguments, **options)

    monkeypatch.setattr(protocol.GrowthForecaster, "of", spy)
    score_in_folds(steps, QUICK)
    everybody = set(steps.patient.tolist())
    left = [everybody - some for some in seen]
    assert set.union(*left) == everybody
    assert sum(map(len, left)) == len(everybody)


def test_too_few_patients_are_refused():
    with pytest.raises(TrackingError, match="in 10 folds"):
        evaluate_growth(population(GrowthLaw.WALK, 4), source="few")


def test_a_report_is_json_and_tables():
    report = evaluate_growth(population(GrowthLaw.WALK, 20), QUICK, source="walk")
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert any("Treatment is not known" in one for one in document["caveats"])
    text = report.text()
    assert text.tables[0].heads[0] == "method"
    assert any("Treatment" in remark for remark in text.remarks)


# --- where courses come from


def pair(patient, studies, diameters, *, series="01", spacing=0.5):
    fields = {}
    for side, study, long_px in zip(("source", "target"), studies, diameters, strict=True):
        fields |= {
            side: f"{patient}_{study}_{series}_001-009.nii.gz",
            f"{side} recist slice": f"{patient}_{study}_{series}/005.png",
            f"{side} recist center": [50.0, 60.0, 5.0],
            f"{side} recist diameter": [long_px, long_px / 2],
            f"{side} spacing": [spacing, spacing, 5.0],
        }
    return fields


def test_pairs_become_courses_in_mm(tmp_path):
    file = tmp_path / "dls.json"
    pairs = {
        "1": pair("000004", ("01", "02"), (20.0, 24.0)),
        "2": pair("000004", ("02", "10"), (24.0, 30.0)),
        "3": pair("000007", ("01", "02"), (10.0, 10.0), spacing=1.0),
    }
    file.write_text(json.dumps(pairs))
    first, second = dls_courses(file)
    assert [point.size for point in first.points] == pytest.approx([10.0, 12.0, 15.0])
    assert [point.study_id for point in first.points] == ["000004_01", "000004_02", "000004_10"]
    assert second.patient_id == "000007"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source recist slice", "slice 5"),
        ("target recist diameter", [3.0]),
        ("source spacing", None),
    ],
)
def test_a_pair_that_lacks_something_is_named(tmp_path, field, value):
    file = tmp_path / "dls.json"
    file.write_text(json.dumps({"7": pair("000004", ("01", "02"), (20.0, 24.0)) | {field: value}}))
    with pytest.raises(DlsError, match="pair 7"):
        dls_courses(file)


def test_an_archives_tracks_become_courses(tmp_path):
    write_archive(tmp_path / "archive", patients=3)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    known = archive_courses(archive)
    assert known.courses
    for course in known.courses:
        ids = {archive.track_ids[one] for point in course.points for one in point.lesion_ids}
        assert len(ids) == 1
    used = sum(len(point.lesion_ids) for course in known.courses for point in course.points)
    assert used + sum(known.left_out.values()) >= len(archive.lesions)


# --- the bundled model


def test_the_bundled_model_says_what_it_was_fitted_on():
    model = bundled_growth()
    assert "Deep Longitudinal Study" in model.fitted_on
    assert "CC BY-SA 4.0" in model.fitted_on
    assert sum(model.weights.values()) == pytest.approx(1.0)
    assert GrowthModel.from_json(json.loads(json.dumps(model.to_json()))).to_json() == (
        model.to_json()
    )


@pytest.mark.parametrize(
    "wrong", [{"format": 9}, {"weights": {"tea leaves": 1.0}}, {"climatology": 1}]
)
def test_a_damaged_model_is_refused(wrong):
    with pytest.raises(TrackingError):
        GrowthModel.from_json(bundled_growth().to_json() | wrong)


@pytest.mark.skipif(REAL is None, reason="needs LESION_SEARCH_REAL_DATA")
def test_the_ranges_hold_what_they_say_on_real_patients():
    """The Deep Longitudinal Study's validation file, five folds of patients, no types."""
    courses = dls_courses(Path(REAL or "") / "dls_valid.json")
    assert len(courses) == 258
    steps = GrowthSteps.of(courses)
    assert (len(steps), steps.patients) == (426, 105)
    scores = score_in_folds(steps, GrowthOptions(folds=5))
    grew = np.zeros(len(steps))
    how = Resampling(np.random.default_rng(0), 100)
    found = estimates(scores[FORECAST], grew, steps.patient, how)
    for level, share in LEVELS:
        assert found[f"coverage_{level}"].value == pytest.approx(share, abs=0.04)
    assert verdict_on_coverage(found) == []
    answered = ~np.isnan(scores[FORECAST].column("crps"))
    climatology = scores[CLIMATOLOGY].column("crps")[answered].mean()
    assert scores[FORECAST].column("crps")[answered].mean() <= climatology + 0.0005
