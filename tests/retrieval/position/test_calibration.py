"""The curve from score to z: fitted on made rows, monotone, kept on disk; the errors."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.position.calibration import CalibrationError, ErrorModel, HeightCalibration
from retrieval.position.learning.calibrate import SeriesHeights, height_curve, score_knots

ERROR = ErrorModel((0.01, 0.02, 0.03), (0.02, 0.05, 0.08))


def calibration(scores=(-500.0, 0.0, 400.0), z=(0.9, 0.5, 0.1)):
    return HeightCalibration(scores, z, (0.3, 0.8), ERROR, "f0", {"made": "here"})


def true_z(depth_mm):
    """0.8 per m above 0.6, 1.2 per m below: a bend as DeepLesion's."""
    return np.where(depth_mm < 500, depth_mm * 1.2e-3, 0.6 + (depth_mm - 500) * 0.8e-3)


def made_rows(seed=0):
    rng = np.random.default_rng(seed)
    series = []
    for _ in range(200):
        start = rng.uniform(0, 900)
        depth = np.sort(start + rng.uniform(0, 200, 6))
        depth = depth[depth < 980]
        series.append(SeriesHeights(depth - start, true_z(depth) + rng.normal(0, 1e-3, len(depth))))
    return series


def test_a_line_goes_through_the_landmarks_and_the_rows_curve_beyond_them():
    curve = height_curve(made_rows())
    depth = np.array([200.0, 260.0, 320.0, 400.0, 450.0])
    landmark_scores = 350 - 0.9 * depth + np.array([0, 3, -4, 3, -2.0])
    scores, z = score_knots(curve, true_z(depth), landmark_scores)
    assert np.all(np.diff(scores) > 0)
    assert np.all(np.diff(z) < 0)
    fitted = HeightCalibration(scores, z, (0.1, 0.9), ERROR, "f0")
    between = np.linspace(200, 450, 40)
    found = fitted.z_of(350 - 0.9 * between)
    np.testing.assert_allclose(found, true_z(between), atol=0.006)
    np.testing.assert_allclose(np.diff(found, 2), 0.0, atol=1e-9)
    # Beyond them the bend at 0.6 is that of the rows: no landmark lies there.
    beyond = np.array([60.0, 560.0, 700.0, 900.0])
    np.testing.assert_allclose(fitted.z_of(350 - 0.9 * beyond), true_z(beyond), atol=0.02)


def test_landmarks_that_rise_with_the_score_are_refused():
    curve, z = height_curve(made_rows()), np.array([0.3, 0.5, 0.7])
    with pytest.raises(CalibrationError, match="table is wrong"):
        score_knots(curve, z, 900 * z)


def test_z_falls_towards_the_head_everywhere_and_stays_in_its_range():
    z = calibration().z_of(np.linspace(-900, 900, 400))
    assert np.all(np.diff(z) <= 0)
    assert z.min() >= 0
    assert z.max() <= 1
    assert calibration().z_of(np.array([-500.0, 0.0, 400.0])) == pytest.approx([0.9, 0.5, 0.1])
    assert calibration().z_of(np.array([450.0]))[0] == pytest.approx(0.05)


def test_errors_widen_where_nothing_was_measured():
    one = calibration()
    assert one.error_at(0.5) == ERROR
    beyond = one.error_at(0.9)
    assert beyond.half == pytest.approx((0.01, 0.02, 0.13))
    assert beyond.most == pytest.approx((0.02, 0.05, 0.18))


def test_a_file_gives_back_what_was_written(tmp_path):
    calibration().write(tmp_path / "one.json")
    assert HeightCalibration.read(tmp_path / "one.json") == calibration()


@pytest.mark.parametrize("harm", ["", "{}", '{"scores_mm": 3}'])
def test_a_damaged_file_is_one_line(tmp_path, harm):
    (tmp_path / "one.json").write_text(harm)
    with pytest.raises(CalibrationError, match="cannot be read"):
        HeightCalibration.read(tmp_path / "one.json")
    with pytest.raises(CalibrationError):
        HeightCalibration.read(tmp_path / "none.json")


def test_a_curve_that_turns_back_is_refused():
    with pytest.raises(CalibrationError, match="rise"):
        calibration(z=(0.9, 0.95, 0.1))
