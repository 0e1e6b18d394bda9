"""A tracking report as tables for a terminal."""

from __future__ import annotations

import math

from rich.table import Table

from retrieval.evaluation.stats.intervals import Estimate
from retrieval.evaluation.tracking.matching import CalibrationBin
from retrieval.evaluation.tracking.report import MATCHER, NOTICE, TrackingReport


def tracking_tables(report: TrackingReport) -> list[Table | str]:
    """A line on what was measured, two tables a section, and the notice."""
    parts: list[Table | str] = [
        f"Archive {report.archive}: {report.patients} patients, {report.lesions} lesions, "
        f"{report.pairs} pairs of the same lesion. Encoder {report.encoder}. "
        "95 % intervals by patient below each score."
    ]
    for section, methods in report.sections.items():
        names = list(next(iter(methods.values())).estimates)
        table = Table(title=section, title_justify="left", show_lines=True)
        table.add_column("method", overflow="fold", min_width=18)
        for name in names:
            table.add_column(name, justify="right", overflow="fold", max_width=10)
        for method, scores in methods.items():
            table.add_row(method, *(_cell(scores.estimates[name]) for name in names))
        parts.append(table)
        if MATCHER in methods:
            parts.append(_calibration(methods[MATCHER].calibration, section))
    parts += [f"lesions left out, {reason}: {count}" for reason, count in report.left_out.items()]
    return [*parts, NOTICE]


def _cell(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f}\n{estimate.low:.2f}-{estimate.high:.2f}"


def _calibration(bins: tuple[CalibrationBin, ...], section: str) -> Table:
    table = Table(title=f"{section}: calibration of the matcher", title_justify="left")
    for name in ("score", "pairs", "mean score", "truly the same"):
        table.add_column(name, justify="right")
    for one in bins:
        scores = f"{one.low:.1f} to {one.high:.1f}"
        table.add_row(scores, str(one.pairs), f"{one.mean_score:.3f}", f"{one.true_share:.3f}")
    return table
