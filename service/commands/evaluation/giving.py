"""A report of retrieval as every ``evaluate`` command gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from service.console import answer, answer_json

if TYPE_CHECKING:
    from retrieval.embedding.patch_encoder import PatchEncoder
    from retrieval.evaluation.retrieval.report import RetrievalReport


def signed(report: RetrievalReport, encoder: PatchEncoder) -> RetrievalReport:
    """The report with the fingerprint of what it measured: a card takes no other."""
    from retrieval.evaluation.reporting.model_card import FINGERPRINT

    return replace(report, settings={**report.settings, FINGERPRINT: encoder.fingerprint})


def give(report: RetrievalReport, out: Path | None, *, as_json: bool) -> None:
    """Writes the report as Markdown to ``out``, and answers it as tables or JSON."""
    from retrieval.evaluation.reporting.report_page import report_page
    from service.figures.tables.report import report_tables

    if out is not None:
        out.write_text(report_page(report, "Evaluation"), encoding="utf-8")
    if as_json:
        answer_json(report.to_json())
    else:
        answer(*report_tables(report))
