"""The bundled network: golden scores, its size, and real images that chose or were left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from retrieval.position.locator import BUNDLED_POSITION, BodyLocator
from retrieval.position.order import SliceOrder, check_series
from retrieval.sources.deeplesion.png import read_deeplesion_png
from tests.retrieval.position.conftest import body_slice


@pytest.fixture(scope="module")
def locator():
    return BodyLocator.load()


def test_golden_scores_of_made_bodies(locator):
    hu = np.stack([body_slice(height) for height in (0.0, 150.0, 240.0)])
    assert locator.scores_mm(hu, (1.6, 1.6)) == pytest.approx([-81.49, 147.07, 156.53], abs=0.5)


def test_the_file_is_at_most_five_megabytes():
    assert BUNDLED_POSITION.stat().st_size <= 5_000_000


def test_the_stated_error_is_ordered_and_widens_outside_what_was_measured(locator):
    calibration = locator.calibration
    low, high = calibration.measured_z
    inside = calibration.error_at((low + high) / 2)
    assert all(half <= most for half, most in zip(inside.half, inside.most, strict=True))
    assert calibration.error_at(low - 0.1).most[2] == pytest.approx(inside.most[2] + 0.1)


def test_development_lesions_lie_where_their_rows_say(locator, real_data):
    folder = real_data / "deeplesion_windowed"
    errors = []
    for row in pd.read_csv(folder / "DL_info.csv").to_dict("records"):
        name = row["File_name"]
        hu = read_deeplesion_png(folder / "Images_png" / name[:-8] / name[-7:])
        spacing = tuple(float(v) for v in row["Spacing_mm_px_"].split(","))[:2]
        z = float(row["Normalized_lesion_location"].split(",")[2])
        score = locator.scores_mm(hu[None], spacing)
        errors.append(abs(float(locator.calibration.z_of(score)[0]) - z))
    assert np.median(errors) < 0.02
    assert max(errors) < locator.calibration.error.most[2]


@pytest.mark.parametrize(
    "series", ["mirp_crlm/CRLM-CT-1006_19940417", "readii_r01/R01-001_19900906"]
)
def test_left_out_series_rise_with_their_millimetres(locator, real_data, series):
    folder = real_data / "real_ct_extra"
    index = pd.read_csv(folder / "index.csv")
    rows = index[index["path"].str.startswith(series)].sort_values("slice")
    heights = (rows["slice"] * rows["slice_interval_mm"]).to_numpy(float)
    planes = [read_deeplesion_png(folder / path) for path in rows["path"]]
    scores = np.array([locator.scores_mm(plane[None], (1.0, 1.0))[0] for plane in planes])
    assert np.corrcoef(heights, scores)[0, 1] > 0.98
    assert spearmanr(heights, scores).statistic > 0.97
    kept = check_series(scores, heights - heights[0])
    turned = check_series(scores[::-1], heights[-1] - heights[::-1])
    assert (kept.order, turned.order) == (SliceOrder.FEET_FIRST, SliceOrder.HEAD_FIRST)
    assert kept.is_sound
