"""The fan after a lesion's last study: what it shows, and what stands there without a forecast."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from service.engine.growth import ForecastRequest, GrowthLibrary
from service.figures.colours import DOUBT_COLOUR
from service.figures.forecast.fan import FORECAST_COLOUR, draw_fan, fan_words
from tests.service.growing import growing_index

LAST = "000003_03_01_a"


def forecast(folder, patients, *, days=None, every_days=None):
    with growing_index(folder, patients, every_days=every_days) as index:
        return GrowthLibrary(index).forecast(LAST, ForecastRequest(days)).forecast


def drawn(found):
    axes = Figure().add_subplot()
    draw_fan(axes, found)
    return axes


def top_at_the_end(bands):
    return [float(band.get_paths()[0].vertices[:, 1].max()) for band in bands]


def test_the_fan_holds_the_ranges_of_the_forecast(tmp_path):
    found = forecast(tmp_path / "index", 12)
    axes = drawn(found)
    bands = axes.collections
    assert {to_hex(band.get_facecolor()[0]) for band in bands} == {FORECAST_COLOUR}
    highest = {one.level_pct: one.high for one in found.outlook.ranges}
    assert top_at_the_end(bands) == pytest.approx([highest[95], highest[80], highest[50]])
    (own,) = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3]
    assert own == pytest.approx([point.size for point in found.course.points])
    assert axes.get_ylim()[1] > highest[95]


def test_a_neighbours_course_starts_at_the_lesions_size(tmp_path):
    found = forecast(tmp_path / "index", 12)
    lines = [line.get_ydata() for line in drawn(found).lines]
    last = found.course.points[-1].size
    ends = sorted(line[-1] for line in lines if len(line) == 2 and line[0] == pytest.approx(last))
    changes = sorted(last * (1 + case.change_pct / 100) for case in found.cases)
    assert set(map(round, changes)) <= set(map(round, ends))


def test_without_a_forecast_the_population_is_grey(tmp_path):
    found = forecast(tmp_path / "index", 4)
    axes = drawn(found)
    assert {to_hex(b.get_facecolor()[0]) for b in axes.collections} == {to_hex(DOUBT_COLOUR)}
    assert fan_words(found)[0] == "no forecast:"
    assert "3, needed: 8" in fan_words(found)[1]


def test_a_dated_fan_widens_day_by_day(tmp_path):
    found = forecast(tmp_path / "index", 25, days=200, every_days=100.0)
    axes = drawn(found)
    band = axes.collections[0].get_paths()[0].vertices
    assert sorted({round(float(x), 2) for x in band[:, 0]}) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert "in 200 days" in fan_words(found)[0]
