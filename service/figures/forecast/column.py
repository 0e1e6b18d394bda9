"""The column of fans at the right of a patient's timeline, one for each lesion track."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from retrieval.tracking.growth.answers import CAVEATS, GrowthForecast
from retrieval.tracking.track_types import Track
from service.engine.growth import LesionForecast
from service.figures.forecast.fan import FORECAST_COLOUR, draw_fan, fan_words
from service.figures.query import FAINT
from service.figures.timeline_sheet import FAN, PICTURE, TimelineSheet


def draw_fans(
    sheet: TimelineSheet, tracks: Sequence[Track], forecasts: Sequence[LesionForecast]
) -> None:
    """Draws the forecast of each shown track in its row."""
    x = sheet.fans_x
    middle = x + (FAN - 0.25) / 2
    bold = {"ha": "center", "fontsize": 10, "fontweight": "bold"}
    sheet.text(middle, 0.83, "what may come", FORECAST_COLOUR, **bold)
    note = "50, 80, 95 %; thin: similar lesions"
    sheet.text(middle, 1.02, note, FAINT, ha="center", fontsize=7.4)
    for row, track in enumerate(tracks):
        own = {lesion.lesion_id for lesion in track.lesions}
        for one in forecasts:
            if one.lesion.lesion_id in own:
                _draw(sheet, row, one)
                break
    told = "\n".join(line for words in CAVEATS for line in textwrap.wrap(words, 44))
    sheet.text(x, sheet.chart_top + 0.36, told, FAINT, fontsize=6.8, linespacing=1.3)


def _draw(sheet: TimelineSheet, row: int, one: LesionForecast) -> None:
    place = sheet.place(row, 0)
    top, x = place.y - PICTURE / 2, sheet.fans_x
    found: GrowthForecast | None = one.forecast
    if found is None:
        sheet.text(x, top, "no forecast", FAINT, fontsize=8.4)
        return
    axes = sheet.axes(x + 0.22, top - 0.04, FAN - 0.55, PICTURE + 0.04)
    draw_fan(axes, found)
    words = "\n".join(fan_words(found))
    sheet.text(x + 0.22, top + PICTURE + 0.06, words, fontsize=6.8, linespacing=1.25)
