"""A report, and a figure, as every ``evaluate`` command gives them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from service.console import answer, answer_json, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from retrieval.embedding.patch_encoder import PatchEncoder
    from retrieval.evaluation.reporting.tables import Report
    from retrieval.evaluation.retrieval.report import RetrievalReport


def signed(report: RetrievalReport, encoder: PatchEncoder) -> RetrievalReport:
    """The report with the fingerprint of what it measured: a card takes no other."""
    from retrieval.evaluation.reporting.model_card import FINGERPRINT

    return replace(report, settings={**report.settings, FINGERPRINT: encoder.fingerprint})


def give(report: Report, out: Path | None, *, as_json: bool, page: str | None = None) -> None:
    """Writes the report as Markdown to ``out``, and answers it as tables or JSON.

    ``page`` is what is written where that is more than the report's tables.
    """
    from retrieval.evaluation.reporting.tables import markdown
    from service.figures.tables.report import report_tables

    if out is not None:
        out.write_text(markdown(report.text()) if page is None else page, encoding="utf-8")
        say(f"report: {out}")
    if as_json:
        answer_json(report.to_json())
    else:
        answer(*report_tables(report))


def give_retrieval(report: RetrievalReport, out: Path | None, *, as_json: bool) -> None:
    """The same for a report of retrieval, whose page sets the encoder beside its baselines."""
    from retrieval.evaluation.reporting.report_page import report_page

    page = None if out is None else report_page(report, "Evaluation")
    give(report, out, as_json=as_json, page=page)


def keep_figure(figure: Figure, path: Path) -> None:
    """Writes a figure and says where it is."""
    from service.figures.query import save_figure

    save_figure(figure, path)
    say(f"figure: {path}")
