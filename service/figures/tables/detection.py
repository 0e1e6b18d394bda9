"""A detection report as tables for a terminal."""

from __future__ import annotations

import math

from rich.table import Table

from retrieval.evaluation.detection.report import NOTICE, DetectionReport
from retrieval.evaluation.stats.intervals import Estimate


def detection_tables(report: DetectionReport) -> list[Table | str]:
    """A line on what was measured, the scores of all lesions, those of groups, and the notice."""
    parts: list[Table | str] = [
        f"{report.headline} Sensitivity, 95 % intervals by patient below each score."
    ]
    parts += [f"left out, {reason}: {count}" for reason, count in report.left_out.items()]
    overall = Table(title=f"false positives a {report.unit}", title_justify="left", show_lines=True)
    overall.add_column("method", overflow="fold")
    for name in report.rates.names:
        overall.add_column(name, justify="right", overflow="fold", max_width=11)
    for method, scores in report.methods.items():
        overall.add_row(method, *(_cell(scores.overall[name]) for name in report.rates.names))
    parts.append(overall)
    rows = report.group_rows()
    if rows:
        groups = Table(title="groups of lesions", title_justify="left")
        for name in ("lesions", "score", *report.methods):
            groups.add_column(name, overflow="fold")
        for group, column, texts in rows:
            groups.add_row(group, column, *(texts[method] for method in report.methods))
        parts.append(groups)
    return [*parts, NOTICE]


def _cell(estimate: Estimate) -> str:
    if math.isnan(estimate.value) or estimate.low is None or estimate.high is None:
        return estimate.text()
    return f"{estimate.value:.3f}\n{estimate.low:.2f}-{estimate.high:.2f}"
