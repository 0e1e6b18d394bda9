"""FROC curves of a detection report: sensitivity over false positives, the baselines beside."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from retrieval.evaluation.detection.froc import FrocScores
from retrieval.evaluation.detection.report import DetectionReport
from retrieval.evaluation.reporting.tables import NOTICE
from service.figures.colours import DOUBT_COLOUR, FOLLOW_UP_COLOUR, HIT_COLOUR, QUERY_COLOUR
from service.figures.query import BACKGROUND, FAINT, PANEL_EDGE, TEXT

BASELINE_COLOURS = (DOUBT_COLOUR, HIT_COLOUR, FOLLOW_UP_COLOUR)


def draw_froc(report: DetectionReport) -> Figure:
    """One curve a method with the 95 % intervals at the protocol's rates.

    False positives stand on a logarithmic axis from half the least to twice the largest rate. A
    curve is a staircase: it has no slopes to read between its points.
    """
    figure = Figure(figsize=(7.2, 5.4), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    figure.text(0.055, 0.945, "Detection", color=TEXT, fontsize=13, weight="bold")
    figure.text(0.055, 0.9, _subtitle(report), color=FAINT, fontsize=9.5)
    figure.text(0.055, 0.022, NOTICE, color=TEXT, fontsize=8.4, weight="bold")
    axes = figure.add_axes((0.085, 0.15, 0.885, 0.71))
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(colors=FAINT, labelsize=8.5)
    for spine in axes.spines.values():
        spine.set_color(PANEL_EDGE)
    axes.grid(color=PANEL_EDGE, lw=0.6)
    rates = report.rates.false_positives
    axes.set_xscale("log", base=2)
    axes.set_xlim(rates[0] / 2, rates[-1] * 2)
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(FixedLocator(list(rates)))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{rate:g}" for rate in rates]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"false positives a {report.unit}", color=FAINT, fontsize=9.5)
    axes.set_ylabel("sensitivity", color=FAINT, fontsize=9.5)
    baselines = [name for name in report.methods if name != report.detector]
    colours = dict(zip(baselines, BASELINE_COLOURS, strict=False)) | {report.detector: QUERY_COLOUR}
    for name, scores in report.methods.items():
        colour = colours.get(name, DOUBT_COLOUR)
        mean = scores.overall[report.rates.mean_name].value
        label = f"{name}  {report.rates.mean_name}: {mean:.3f}"
        axes.step(*_staircase(scores, rates[-1] * 2), where="post", color=colour, label=label)
        _draw_intervals(axes, scores, report, colour)
    legend = axes.legend(loc="best", fontsize=8.5, labelcolor=TEXT, facecolor=BACKGROUND)
    legend.get_frame().set_edgecolor(PANEL_EDGE)
    return figure


def _subtitle(report: DetectionReport) -> str:
    return (
        f"{report.source}: {report.lesions} lesions on {report.images} {report.unit}s of "
        f"{report.patients} patients · {report.protocol}"
    )


def _staircase(scores: FrocScores, end: float) -> tuple[list[float], list[float]]:
    """The curve's corners, drawn on to ``end``; its first point cannot stand on a log axis."""
    least = min([rate for rate in scores.false_positives if rate > 0], default=end) / 1e3
    rates = [max(rate, least) for rate in scores.false_positives]
    return [*rates, max(end, rates[-1])], [*scores.sensitivity, scores.sensitivity[-1]]


def _draw_intervals(axes: Axes, scores: FrocScores, report: DetectionReport, colour: str) -> None:
    for name, rate in zip(report.rates.names, report.rates.false_positives, strict=False):
        estimate = scores.overall[name]
        if estimate.low is not None and estimate.high is not None:
            axes.plot([rate, rate], [estimate.low, estimate.high], color=colour, lw=1.1, alpha=0.7)
        axes.plot([rate], [estimate.value], "o", color=colour, ms=4)
