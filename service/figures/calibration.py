"""Calibration of the matcher's scores as a figure: said and true, with the pairs of each bin."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrieval.evaluation.reporting.tables import NOTICE
from retrieval.evaluation.tracking.matching import CalibrationBin
from retrieval.evaluation.tracking.report import MATCHER, TrackingReport
from service.figures.colours import HIT_COLOUR, QUERY_COLOUR
from service.figures.query import BACKGROUND, FAINT, PANEL_EDGE, TEXT

IN_FOLDS = f"{MATCHER}, fitted in folds"
COLOURS = {MATCHER: QUERY_COLOUR, IN_FOLDS: HIT_COLOUR}
MARKERS = {MATCHER: "o", IN_FOLDS: "s"}


def draw_calibration(report: TrackingReport) -> Figure:
    """One panel a section: the share of true pairs over the mean score, the counts below.

    A calibrated matcher lies on the diagonal. Bars count the pairs of each bin of score, on a
    logarithmic axis: most pairs of a patient are surely different.
    """
    width = 0.6 + 3.7 * len(report.sections)
    figure = Figure(figsize=(width, 5.6), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    figure.text(
        0.3 / width, 0.955, "Calibration of matches", color=TEXT, fontsize=13, weight="bold"
    )
    what = f"{report.archive}: {report.patients} patients, {report.pairs} true pairs"
    subtitle = f"{what} · encoder {report.encoder}"
    figure.text(0.3 / width, 0.905, subtitle, color=FAINT, fontsize=9.5)
    figure.text(0.3 / width, 0.022, NOTICE, color=TEXT, fontsize=8.4, weight="bold")
    for place, (section, methods) in enumerate(report.sections.items()):
        left = (0.62 + 3.7 * place) / width
        upper = figure.add_axes((left, 0.37, 3.0 / width, 0.46))
        lower = figure.add_axes((left, 0.135, 3.0 / width, 0.17))
        upper.set_title(section, color=TEXT, fontsize=10.5, loc="left")
        for axes in (upper, lower):
            _dress(axes)
        _draw_reliability(upper, {m: methods[m].calibration for m in COLOURS if m in methods})
        if MATCHER in methods:
            _draw_counts(lower, methods[MATCHER].calibration)
        upper.set_ylabel("truly the same" if place == 0 else "", color=FAINT, fontsize=9)
        lower.set_ylabel("pairs" if place == 0 else "", color=FAINT, fontsize=9)
    first = figure.axes[0] if figure.axes else None
    if first is not None:
        labelled = first.get_legend_handles_labels()
        figure.legend(
            *labelled, loc="upper right", ncols=2, fontsize=9, frameon=False, labelcolor=TEXT
        )
    return figure


def _dress(axes: Axes) -> None:
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(colors=FAINT, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(PANEL_EDGE)
    axes.set_xlim(-0.03, 1.03)


def _draw_reliability(axes: Axes, methods: dict[str, Sequence[CalibrationBin]]) -> None:
    axes.plot([0, 1], [0, 1], color=PANEL_EDGE, lw=1.2)
    axes.set_ylim(-0.03, 1.03)
    for method, bins in methods.items():
        said = [one.mean_score for one in bins]
        true = [one.true_share for one in bins]
        colour = COLOURS[method]
        axes.plot(said, true, color=colour, lw=1, alpha=0.35)
        area = [18 + 22 * math.log10(one.pairs) for one in bins]
        axes.scatter(said, true, area, color=colour, marker=MARKERS[method], label=method)


def _draw_counts(axes: Axes, bins: Sequence[CalibrationBin]) -> None:
    middles = [(one.low + one.high) / 2 for one in bins]
    counts = [one.pairs for one in bins]
    axes.bar(middles, counts, width=0.085, color=QUERY_COLOUR)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(counts, default=1) * 8)
    for middle, count in zip(middles, counts, strict=True):
        axes.text(middle, count * 1.25, str(count), color=TEXT, fontsize=7, ha="center")
    axes.set_xlabel("score", color=FAINT, fontsize=9)
