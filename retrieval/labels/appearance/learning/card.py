"""The card of a head: each term's scores beside its floors, and what is not predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def card_of(name: str, encoder: str, scores: Sequence[Mapping[str, Any]], lesions: str) -> str:
    """The card as Markdown; ``scores`` are the JSON of the terms' scores."""
    lines = [
        f"# Tags head `{name}`",
        "",
        f"Terms of an image from the lesion's vector (encoder `{encoder}`) and the densities in "
        "its box. Trained on LIDC-IDRI nodules with radiologists' ratings, by patient.",
        "",
        f"Measured on {lesions}. Intervals are 95 %, over resampled patients. A term is predicted "
        "only if the interval of its gain over the best floor lies above zero and at least ten "
        "lesions have it. The threshold and the calibration come from the validation patients.",
        "",
        "| term | lesions | AUC | best floor | gain | F1 | mean precision (share) | predicted |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in scores:
        floor = max(one["floors"].items(), key=lambda item: item[1], default=("none", 0.5))
        lines.append(
            f"| {one['term']} | {one['positives']} | {_interval(one['auc'])} | "
            f"{floor[0]} {floor[1]:.3f} | {_interval(one['gain'])} | {_interval(one['f1'])} | "
            f"{one['average_precision']:.3f} ({one['prevalence']:.3f}) | "
            f"{'yes' if one['is_above'] else 'no'} |"
        )
    lines += [
        "",
        "It has seen lung nodules alone: on other lesions it is not measured and says nothing. "
        "LIDC's calcification 6 is absent calcification. Research software, not a medical device.",
    ]
    return "\n".join(lines) + "\n"


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
