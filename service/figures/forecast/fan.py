"""A lesion's sizes and the fan after the last one, with the similar lesions' courses behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from retrieval.tracking.growth.answers import GrowthForecast
from retrieval.tracking.growth.neighbours import LEAST_NEIGHBOURS
from retrieval.tracking.growth.outlooks import SizeOutlook
from service.figures.colours import DOUBT_COLOUR, QUERY_COLOUR
from service.figures.query import BACKGROUND, FAINT, PANEL_EDGE, TEXT

FORECAST_COLOUR = "#58a6ff"
SHADES = {95: 0.18, 80: 0.3, 50: 0.5}


@dataclass(frozen=True)
class _Axis:
    """Where times lie: 0 is the last study, 1 the horizon."""

    days: float | None

    def at(self, days: float | None, step: int) -> float:
        if self.days is None or days is None:
            return float(step)
        return days / self.days


def draw_fan(axes: Axes, found: GrowthForecast) -> None:
    """Draws into axes of its own: sizes so far, and what may come.

    The fan is blue. Where there is no forecast the range of all lesions of that size and type
    stands in its place, grey with dashed edges. Neighbours' sizes are scaled to the lesion's last.
    """
    axis = _Axis(found.horizon.days)
    last = found.course.points[-1]
    own = _own_course(found, axis)
    fan = found.fan or (found.population.outlook,)
    _draw_cases(axes, found, axis)
    colour, faded = (FORECAST_COLOUR, 1.0) if found.fan else (DOUBT_COLOUR, 0.4)
    places = [0.0, *(axis.at(one.days, 1) for one in fan)]
    for level, shade in SHADES.items():
        ranges = [next(r for r in one.ranges if r.level_pct == level) for one in fan]
        low = [last.size, *(one.low for one in ranges)]
        high = [last.size, *(one.high for one in ranges)]
        axes.fill_between(places, low, high, color=colour, alpha=shade * faded, lw=0, zorder=2)
        if not found.fan:
            edge: dict[str, Any] = {"color": colour, "lw": 0.8, "ls": (0, (2, 2)), "zorder": 2}
            axes.plot(places, low, **edge)
            axes.plot(places, high, **edge)
    axes.plot(places, [last.size, *(one.median for one in fan)], color=colour, lw=1.4, zorder=4)
    axes.plot(*zip(*own, strict=True), "-o", color=QUERY_COLOUR, ms=3.4, lw=1.2, zorder=5)
    _frame(axes, own, fan[-1])


def fan_words(found: GrowthForecast) -> list[str]:
    """What stands under a fan: its 80 % range and the chance of growth, or why there is none."""
    unit = found.course.measure.unit
    outlook = found.outlook
    if outlook is None:
        return ["no forecast:", *_reason_words(found), "grey: all lesions of that size"]
    middle = next(one for one in outlook.ranges if one.level_pct == 80)
    when = "next study" if outlook.days is None else f"in {outlook.days:.0f} days"
    return [
        f"{when}, 80 %: {middle.low:.0f} to {middle.high:.0f} {unit}",
        f"+{outlook.growth_pct:.0f} %: {100 * outlook.growth_probability:.0f} in 100; "
        f"-{outlook.shrinkage_pct:.0f} %: {100 * outlook.shrinkage_probability:.0f} in 100",
        f"{found.neighbours} similar (effective {found.effective_neighbours:.0f})",
    ]


def _reason_words(found: GrowthForecast) -> list[str]:
    if "similar lesions" in (found.reason or ""):
        return [f"similar lesions: {found.neighbours}, needed: {LEAST_NEIGHBOURS}"]
    return ["dates are missing"]


def _own_course(found: GrowthForecast, axis: _Axis) -> list[tuple[float, float]]:
    """(time, size) of the lesion's own studies; without dates a step each."""
    days = found.course.days
    count = len(found.course.points)
    return [
        (
            axis.at(None if days is None else float(days[at] - days[-1]), at + 1 - count),
            point.size,
        )
        for at, point in enumerate(found.course.points)
    ]


def _draw_cases(axes: Axes, found: GrowthForecast, axis: _Axis) -> None:
    """The neighbours from the study in which they were alike, thinner where they count less."""
    last = found.course.points[-1].size
    heaviest = max((case.weight for case in found.cases), default=1.0)
    for case in found.cases:
        after = [point for point in case.course if point.step in {0, 1}]
        axes.plot(
            [axis.at(point.days, point.step) for point in after],
            [last * point.ratio for point in after],
            color=FAINT,
            lw=0.4 + 0.8 * case.weight / heaviest,
            alpha=0.8,
            zorder=3,
        )


def _frame(axes: Axes, own: Sequence[tuple[float, float]], end: SizeOutlook) -> None:
    widest = next(one for one in end.ranges if one.level_pct == 95)
    highest = max([size for _, size in own] + [widest.high])
    axes.set_facecolor(BACKGROUND)
    axes.set_xlim(min(own[0][0], 0.0) - 0.12, 1.12)
    axes.set_ylim(0, highest * 1.12)
    axes.axvline(0.0, color=PANEL_EDGE, lw=0.8, zorder=1)
    axes.set_xticks([])
    axes.tick_params(axis="y", labelsize=6.2, colors=TEXT, length=2, pad=1)
    axes.locator_params(axis="y", nbins=4)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PANEL_EDGE)
