"""The model card: what an encoder was made from and how it scored, written by the evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.evaluation.report import RetrievalReport, Score

NOT_A_DEVICE = (
    "Research software. Not a medical device: never use it to diagnose, to treat or to decide "
    "about a patient."
)
READING = (
    "Each score has its 95 % interval beside it (bootstrap over patients). Floors need no training "
    "on CT: random vectors, body position and size from the table, raw pixels, frozen ImageNet "
    "features. A score means something only above its floors."
)


@dataclass(frozen=True)
class CardFacts:
    """What an evaluation cannot measure and the author must state.

    Attributes:
        name: of the encoder, as in the reports.
        fingerprint: of its weights and PatchSpec.
        purpose: what it is for, one or two sentences.
        training: one line a source: what, how many patients, licence.
        held_apart: how patients of the scores were kept out of training.
        limits: one line each.
    """

    name: str
    fingerprint: str
    purpose: str
    training: Sequence[str]
    held_apart: str
    limits: Sequence[str]


@dataclass(frozen=True)
class FloorComparison:
    """An encoder's score beside the best of its floors; ``above`` says which one is better."""

    score: Score
    floor: str
    above: bool
    intervals_apart: bool


def compare_with_floors(report: RetrievalReport) -> list[FloorComparison]:
    """Every directed score that both the encoder and a floor have, beside the best floor."""
    found = []
    for score in report.scores:
        estimates = {m: e for m, e in score.estimates.items() if e.value == e.value}
        own = estimates.pop(report.encoder or "", None)
        if own is None or not estimates or score.higher_is_better is None:
            continue
        sign = 1 if score.higher_is_better else -1
        floor = max(estimates, key=lambda method: sign * estimates[method].value)
        best = estimates[floor]
        apart = (
            own.low is not None
            and own.high is not None
            and best.low is not None
            and best.high is not None
            and (own.low > best.high or own.high < best.low)
        )
        found.append(FloorComparison(score, floor, sign * own.value > sign * best.value, apart))
    return found


def model_card(facts: CardFacts, reports: Sequence[RetrievalReport]) -> str:
    """The card as Markdown; the same reports always give the same text."""
    lines = [
        f"# {facts.name}",
        "",
        f"**{NOT_A_DEVICE}**",
        "",
        facts.purpose,
        "",
        f"Fingerprint of weights and patch specification: `{facts.fingerprint}`",
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
    ]
    for report in reports:
        lines += _report_lines(report)
    lines += ["## Limits", "", *(f"* {limit}" for limit in facts.limits), ""]
    return "\n".join(lines)


def write_model_card(path: Path, facts: CardFacts, reports: Sequence[RetrievalReport]) -> None:
    """Writes the card in one step: a reader sees the old card or the new one, never half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(model_card(facts, reports), encoding="utf-8")
    os.replace(partial, path)


def _report_lines(report: RetrievalReport) -> list[str]:
    comparisons = compare_with_floors(report)
    lines = [
        f"## Measured on {report.archive}",
        "",
        f"{report.lesions} lesions ({report.typed_lesions} of known type) of {report.patients} "
        f"patients; split: {report.split}; seed {report.settings.get('seed', '-')}, "
        f"{report.settings.get('resamples', '-')} bootstrap samples.",
        "",
    ]
    if comparisons:
        lines += [
            "| score | encoder | best floor | encoder above it |",
            "| --- | --- | --- | --- |",
            *(_comparison_line(found, report.encoder or "") for found in comparisons),
            "",
        ]
    return [*lines, report.to_markdown()]


def _comparison_line(found: FloorComparison, encoder: str) -> str:
    own, best = found.score.estimates[encoder], found.score.estimates[found.floor]
    verdict = "yes" if found.above else "no"
    if not found.intervals_apart:
        verdict += ", intervals overlap"
    return (
        f"| {found.score.section}: {found.score.name} | {own.text()} | "
        f"{best.text()} ({found.floor}) | {verdict} |"
    )
