"""The card of a head: each term's scores beside its baselines, and what is not predicted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from retrieval.labels.appearance.weights_file import TagHead


def card_of(
    head: TagHead,
    scores: Sequence[Mapping[str, Any]],
    held_out: Sequence[Mapping[str, Any]],
    lesions: str,
) -> str:
    """The card as Markdown.

    Args:
        head: with its claims.
        scores: the JSON of the terms' scores on the test split.
        held_out: of the terms that take no vector, by cross-validation outside it.
        lesions: of what the test split consists, in words.
    """
    predicted = {term.name for term in head.terms if term.is_predicted}
    parts = [
        f"# Tags head `{head.name}`",
        f"Terms of an image from the lesion's vector (encoder `{head.encoder}`) and numbers of the "
        "image: densities, brightest voxels, how its edge falls. Trained on LIDC-IDRI nodules with "
        "radiologists' ratings, by patient.",
        f"Measured on {lesions}. Intervals are 95 %, over resampled patients. A term is predicted "
        "only if the interval of its gain over the best baseline lies above zero, at least ten "
        "lesions have it, and at least half of its tags are right. Features, shrinkage, threshold "
        "and calibration come from the training and validation patients.",
        _table(scores, predicted),
    ]
    if held_out:
        parts += [
            "Some terms need the numbers alone and no vector. Whatever the encoder has seen, they "
            "can be judged on the training and validation patients, each told by a fit without "
            "their fold; there the same rule decides whether such a term is predicted.",
            _table(held_out, predicted),
        ]
    parts.append(
        "It has seen lung nodules alone: on other lesions it is not measured and says nothing. "
        "LIDC's calcification 6 is absent calcification. Research software, not a medical device."
    )
    return "\n\n".join(parts) + "\n"


def _table(scores: Sequence[Mapping[str, Any]], predicted: Collection[str]) -> str:
    lines = [
        "| term | lesions | AUC | best baseline | gain | F1 | right tags | "
        "mean precision (share) | predicted |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in scores:
        baseline = max(one["baselines"].items(), key=lambda item: item[1], default=("none", 0.5))
        lines.append(
            f"| {one['term']} | {one['positives']} | {_interval(one['auc'])} | "
            f"{baseline[0]} {baseline[1]:.3f} | {_interval(one['gain'])} | "
            f"{_interval(one['f1'])} | {_share(one['precision'])} | "
            f"{one['average_precision']:.3f} ({one['prevalence']:.3f}) | "
            f"{'yes' if one['term'] in predicted else 'no'} |"
        )
    return "\n".join(lines)


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _share(precision: float | None) -> str:
    return "-" if precision is None else f"{precision:.2f}"
