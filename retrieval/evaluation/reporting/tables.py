"""What every report shows: one model of its tables, written as Markdown here.

A report says what it found as a ReportText; ``service.figures.tables.report`` draws the same text
for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from retrieval.evaluation.stats.intervals import Estimate

NOTICE = "Research use only. Not a medical device; not for diagnosis or treatment."

Cell = Estimate | str


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table: the first column names what the others measure.

    Attributes:
        title: above the table; empty for none.
        heads: of the columns.
        rows: as many cells as there are heads.
        note: a sentence below the title; empty for none.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @classmethod
    def of_methods(
        cls, title: str, methods: Mapping[str, Mapping[str, Estimate]], names: Sequence[str]
    ) -> ReportTable:
        """Methods down, scores across; a method without a score has a dash there."""
        rows = (
            (method, *(scores.get(name, "-") for name in names))
            for method, scores in methods.items()
        )
        return cls(title, ("method", *names), tuple(rows))


@dataclass(frozen=True, slots=True)
class ReportText:
    """A whole report: what was measured in one line, the tables, and remarks after them."""

    headline: str
    tables: tuple[ReportTable, ...]
    remarks: tuple[str, ...] = ()


class Report(Protocol):
    """What can be shown as tables and answered as JSON."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        ...

    def text(self) -> ReportText:
        """The report in words and tables."""
        ...


def markdown(text: ReportText) -> str:
    """The report as Markdown."""
    parts = [*([text.headline] if text.headline else []), *map(markdown_table, text.tables)]
    return "\n\n".join([*parts, *text.remarks]) + "\n"


def markdown_table(table: ReportTable) -> str:
    """One table as Markdown, headed by its title at the third level."""
    above = [f"### {table.title[:1].upper()}{table.title[1:]}"] if table.title else []
    above += [table.note] if table.note else []
    lines = [_row(table.heads), _row(["---"] * len(table.heads))]
    lines += [_row(map(_text, row)) for row in table.rows]
    return "\n\n".join([*above, "\n".join(lines)])


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text()


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
