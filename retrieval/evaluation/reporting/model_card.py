"""The model card: what an encoder was made from and how it scored, written by the evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from retrieval.evaluation.reporting.card_facts import CardError, CardFacts
from retrieval.evaluation.reporting.report_page import below_baselines, report_page
from retrieval.evaluation.retrieval.report import RetrievalReport

FINGERPRINT = "encoder_fingerprint"
"""The setting of a report that names the weights it measured."""

NOT_A_DEVICE = (
    "Research software. Not a medical device: never use it to diagnose, to treat or to decide "
    "about a patient."
)
READING = (
    "Each score has its 95 % interval beside it (bootstrap over patients). Baselines need no "
    "training on CT: random vectors, body position and size from the table, raw pixels, frozen "
    "ImageNet features. A score means something only above its baselines. The errors of location "
    "and size are not compared with methods that rank by that number."
)
NEVER_BELOW = "On no score of this card is a baseline better than the encoder."


def model_card(facts: CardFacts, reports: Mapping[str, RetrievalReport]) -> str:
    """The card as Markdown; the same reports (title to report) always give the same text.

    Raises:
        CardError: no report, or a report of other weights than the facts name.
    """
    _check_reports(facts, reports)
    lines = [
        f"# {facts.name}",
        "",
        f"**{NOT_A_DEVICE}**",
        "",
        facts.purpose,
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in _properties(facts).items()),
        "",
        "## Training data",
        "",
        *(f"* {source}" for source in facts.training),
        "",
        "## Patients held apart",
        "",
        facts.held_apart,
        "",
        "## How to read the scores",
        "",
        READING,
        "",
        *(report_page(report, title) for title, report in reports.items()),
        "## Where a baseline is better",
        "",
        *_defeats(reports),
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in facts.limits),
        "",
    ]
    return "\n".join(lines)


def write_model_card(path: Path, facts: CardFacts, reports: Mapping[str, RetrievalReport]) -> None:
    """Writes the card in one step: a reader sees the old card or the new one, never half of it.

    Raises:
        CardError: see ``model_card``.
    """
    card = model_card(facts, reports)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(card, encoding="utf-8")
    os.replace(partial, path)


def _check_reports(facts: CardFacts, reports: Mapping[str, RetrievalReport]) -> None:
    if not reports:
        raise CardError("a card without scores says nothing: give at least one report")
    for title, report in reports.items():
        measured = report.settings.get(FINGERPRINT)
        if (report.encoder, measured) != (facts.name, facts.fingerprint):
            raise CardError(
                f"report {title!r} measured the encoder {report.encoder} ({measured}) but the card "
                f"is of {facts.name} ({facts.fingerprint}): evaluate that one and give its report"
            )


def _properties(facts: CardFacts) -> Mapping[str, str]:
    return facts.properties or {"fingerprint of weights and patch": f"`{facts.fingerprint}`"}


def _defeats(reports: Mapping[str, RetrievalReport]) -> list[str]:
    lines = [
        f"* {title}: {line}"
        for title, report in reports.items()
        for line in below_baselines(report)
    ]
    return lines or [NEVER_BELOW]
