"""``lesion-search evaluate card``: the model card beside an encoder, from saved reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import EncoderOption, JsonFlag
from service.console import answer_fields, answer_json


class CardOptionError(LesionSearchError):
    """Options of ``evaluate card`` that name no report or no archive."""


def card(
    facts: Annotated[
        Path,
        typer.Option(
            "--facts", help="TOML: purpose, training, held_apart, limits in the author's words."
        ),
    ],
    report: Annotated[
        list[str],
        typer.Option("--report", help="TITLE=FILE: an evaluation's --json output; repeatable."),
    ],
    encoder: EncoderOption = None,
    trained_on: Annotated[
        list[str] | None,
        typer.Option("--trained-on", help="TITLE=ARCHIVE: counted into the card; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The card. Default: beside the encoder, .md.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write an encoder's model card: data, scores with intervals and baselines, limits.

    Each report must have measured this very encoder; nothing is evaluated again.
    """
    from retrieval.embedding.encoder import BUNDLED_ENCODER
    from retrieval.evaluation.reporting.card_facts import read_card_facts, training_counts
    from retrieval.evaluation.reporting.model_card import write_model_card
    from retrieval.evaluation.reporting.report_file import read_report
    from retrieval.sources.archive import open_archive

    weights = encoder or BUNDLED_ENCODER
    target = out or weights.with_suffix(".md")
    measured, sources = _titled(report, "--report"), _titled(trained_on or (), "--trained-on")
    reports = {title: read_report(path) for title, path in measured.items()}
    counted = [training_counts(title, open_archive(path)) for title, path in sources.items()]
    described = read_card_facts(facts, weights, counted=counted)
    write_model_card(target, described, reports)
    answered = {
        "card": str(target),
        "encoder": described.name,
        "fingerprint": described.fingerprint,
        "reports": list(reports),
    }
    answer_json(answered) if as_json else answer_fields(answered, title="Model card")


def _titled(options: Sequence[str], name: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for option in options:
        title, equals, path = option.partition("=")
        title = title.strip()
        if not equals or not title or not path:
            raise CardOptionError(f"{name} {option!r} has no title: write TITLE=PATH")
        if title in found:
            raise CardOptionError(f"{name} {title!r} is given twice: give each its own title")
        found[title] = Path(path)
    return found
