"""The card of a matcher's weights: what they were fitted on and how they do on held-out folds."""

from __future__ import annotations

from dataclasses import replace

from retrieval.evaluation.reporting.tables import NOTICE, markdown
from retrieval.evaluation.tracking.report import MATCHER, TrackingReport
from retrieval.tracking.matcher import TERM_NAMES, MatcherModel

HOW = (
    "`retrieval.tracking.fitting.fit.fit_matcher`: location, size and type as log-likelihood "
    "ratios measured on real patients; the cosine's weight by logistic regression over pairs, then "
    "the intercept set so that probabilities are calibrated while lesions compete"
)


def matcher_card(model: MatcherModel, report: TrackingReport) -> str:
    """The card as Markdown.

    ``report`` is the evaluation of the very patients the weights were fitted on. Its row of the
    shipped weights is left out, since they saw these patients; what stays was fitted in folds on
    others.
    """
    return "\n".join(
        [
            "# Matcher card",
            "",
            f"**{NOTICE}**",
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in _facts(model, report).items()),
            "",
            "## Weights",
            "",
            *_weights(model),
            "",
            "## Scores of matchers fitted in folds on the other patients",
            "",
            markdown(_held_out(report).text()),
        ]
    )


def _facts(model: MatcherModel, report: TrackingReport) -> dict[str, str]:
    low, high = model.abstain
    left_out = ", ".join(f"{reason}: {count}" for reason, count in report.left_out.items())
    return {
        "Data": model.fitted_on,
        "Left out, lesions": left_out or "none",
        "Encoder": f"{report.encoder}, fingerprint {model.encoder}",
        "How": HOW,
        "Match": f"a score of {model.threshold:g} or more",
        "Band": f"scores from {low:.3f} to {high:.3f} are reported as uncertain",
        "Limits": (
            "scores are probabilities only for patients like these and for this encoder; merges "
            "and splits are recognised by geometry and not scored"
        ),
    }


def _weights(model: MatcherModel) -> list[str]:
    header = ["| intercept | " + " | ".join(TERM_NAMES) + " |", "| --- " * 5 + "|"]
    numbers = " | ".join(f"{number:.3f}" for number in (model.intercept, *model.weights))
    rows = [f"| {name} | {value} |" for name, value in model.scatter.to_json().items()]
    return [
        *header,
        f"| {numbers} |",
        "",
        f"Log-odds; the cosine counts from {model.similarity_centre:.3f}. Scatter:",
        "",
        "| number | value |",
        "| --- | --- |",
        *rows,
    ]


def _held_out(report: TrackingReport) -> TrackingReport:
    sections = {
        section: {method: scores for method, scores in methods.items() if method != MATCHER}
        for section, methods in report.sections.items()
    }
    return replace(report, sections=sections)
