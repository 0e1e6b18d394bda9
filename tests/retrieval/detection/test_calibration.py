from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.detection.calibration import (
    ScoreCalibration,
    ScoreCalibrationError,
    calibration_path,
)
from retrieval.detection.detector import BUNDLED_DETECTOR, LesionDetector


def test_a_fit_finds_the_curve_that_drew_its_data() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.01, 0.99, 20_000)
    true = ScoreCalibration(1.7, -1.2, "d", "drawn")
    hits = rng.random(len(scores)) < [true.probability(score) for score in scores]
    found = ScoreCalibration.fit(scores, hits, detector="d", fitted_on="drawn")
    assert (found.slope, found.intercept) == pytest.approx((1.7, -1.2), abs=0.1)
    said = np.array([found.probability(score) for score in scores])
    for low in (0.0, 0.25, 0.5, 0.75):
        held = (said >= low) & (said < low + 0.25)
        assert said[held].mean() == pytest.approx(hits[held].mean(), abs=0.03)


def test_the_order_of_scores_stays_and_the_ends_are_finite() -> None:
    calibration = ScoreCalibration(0.8, -2.0, "d", "x")
    said = [calibration.probability(score) for score in (0.0, 0.2, 0.5, 0.9, 1.0)]
    assert said == sorted(said)
    assert 0 < said[0] < said[-1] < 1


def test_boxes_of_one_kind_teach_nothing() -> None:
    with pytest.raises(ScoreCalibrationError, match="3 of 3 boxes"):
        ScoreCalibration.fit(np.full(3, 0.5), np.ones(3, bool), detector="d", fitted_on="x")
    with pytest.raises(ScoreCalibrationError, match="slope -1"):
        ScoreCalibration(-1.0, 0.0, "d", "x")


def test_a_calibration_of_another_detector_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    assert ScoreCalibration.beside(weights, "aa") is None
    mine = ScoreCalibration(1.1, -1.0, "aa", "here")
    mine.save(calibration_path(weights))
    assert ScoreCalibration.beside(weights, "aa") == mine
    with pytest.raises(ScoreCalibrationError, match="detector aa and this one is bb"):
        ScoreCalibration.beside(weights, "bb")
    calibration_path(weights).write_text("{}")
    with pytest.raises(ScoreCalibrationError, match="cannot be read"):
        ScoreCalibration.beside(weights, "aa")


def test_the_bundled_detector_is_calibrated() -> None:
    detector = LesionDetector.load()
    assert detector.calibration == ScoreCalibration.beside(BUNDLED_DETECTOR, detector.fingerprint)
    assert detector.calibration is not None
