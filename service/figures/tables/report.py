"""Any report as tables for a terminal: the same text that its Markdown holds."""

from __future__ import annotations

import math

from rich.table import Table

from retrieval.evaluation.reporting.tables import Cell, Report, ReportTable


def report_tables(report: Report) -> list[Table | str]:
    """The headline, every table with 95 % intervals below the scores, and the remarks."""
    text = report.text()
    parts: list[Table | str] = [f"{text.headline} 95 % intervals by patient below each score."]
    for table in text.tables:
        parts += [table.note] if table.note else []
        parts.append(_drawn(table))
    return [*parts, *text.remarks]


def _drawn(table: ReportTable) -> Table:
    drawn = Table(title=table.title or None, title_justify="left", show_lines=True)
    drawn.add_column(table.heads[0], overflow="fold", min_width=14)
    for head in table.heads[1:]:
        drawn.add_column(head, justify="right", overflow="fold", max_width=14)
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if math.isnan(cell.value):
        return "-"
    if cell.low is None or cell.high is None:
        return f"{cell.value:.3f}"
    return f"{cell.value:.3f}\n{cell.low:.2f}-{cell.high:.2f}"
