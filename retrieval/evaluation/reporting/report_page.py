"""A report as a page: the encoder beside its baselines, its stability, every method's table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from retrieval.evaluation.reporting.tables import markdown_table
from retrieval.evaluation.retrieval.ranking import LOCATION_ERROR, SIZE_ERROR
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.retrieval.stability import BACKGROUND, MEDIAN, STABILITY
from retrieval.evaluation.stats.intervals import Estimate

FROZEN = "frozen, multi-scale"
"""How the name of the baseline that counts ends."""


RANKED_BY = {
    LOCATION_ERROR: ("height z only", "location only", "location and size"),
    SIZE_ERROR: ("size only", "location and size"),
}
"""Methods that rank by the very number a score measures: bounds of that score, no baselines."""


@dataclass(frozen=True)
class BaselineComparison:
    """An encoder's score beside the best of its baselines.

    Attributes:
        score: with the estimates of both.
        baseline: the best baseline's name.
        lead: how much better the encoder is, in the score's unit; negative where it is worse.
        intervals_apart: whether the two 95 % intervals do not meet.
    """

    score: Score
    baseline: str
    lead: float
    intervals_apart: bool

    @property
    def verdict(self) -> str:
        """Whether the encoder is above the baseline, in words."""
        word = "equal" if self.lead == 0 else ("yes" if self.lead > 0 else "no")
        return word if self.intervals_apart or self.lead == 0 else f"{word}, intervals overlap"


def compare_with_baselines(report: RetrievalReport) -> list[BaselineComparison]:
    """Every directed score that both the encoder and a baseline have, beside the best baseline."""
    found = []
    for score in report.scores:
        bounds = RANKED_BY.get(score.name, ())
        estimates = {
            method: estimate
            for method, estimate in score.estimates.items()
            if not math.isnan(estimate.value) and method not in bounds
        }
        own = estimates.pop(report.encoder or "", None)
        if own is None or not estimates or score.higher_is_better is None:
            continue
        sign = 1 if score.higher_is_better else -1
        baseline = max(estimates, key=lambda method: sign * estimates[method].value)
        best = estimates[baseline]
        lead = sign * (own.value - best.value)
        found.append(BaselineComparison(score, baseline, lead, _apart(own, best)))
    return found


def report_page(report: RetrievalReport, title: str) -> str:
    """Markdown of one evaluation, headed by ``title`` at the second level."""
    lines = [
        f"## {title}",
        "",
        f"Archive `{report.archive}`: {report.lesions} lesions ({report.typed_lesions} of known "
        f"type) of {report.patients} patients; split: {report.split}; "
        f"seed {report.settings.get('seed', '-')}, "
        f"{report.settings.get('resamples', '-')} bootstrap samples of patients.",
        "",
        *_comparison_table(report),
        *_stability_table(report),
        "<details><summary>Every method</summary>",
        "",
        "\n\n".join(map(markdown_table, report.text().tables)),
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def below_baselines(report: RetrievalReport) -> list[str]:
    """One line for each score on which a baseline is better than the encoder."""
    return [
        f"{_label(found.score)}: {_own(report, found.score)} against "
        f"{found.score.estimates[found.baseline].text()} ({found.baseline})"
        for found in compare_with_baselines(report)
        if found.lead < 0
    ]


def _apart(own: Estimate, other: Estimate) -> bool:
    if own.low is None or own.high is None or other.low is None or other.high is None:
        return False
    return own.low > other.high or own.high < other.low


def _comparison_table(report: RetrievalReport) -> list[str]:
    comparisons = compare_with_baselines(report)
    if not comparisons:
        return []
    frozen = next((name for name in report.methods if name.endswith(FROZEN)), None)
    heads = ["score", "encoder", *([frozen] if frozen else []), "best baseline", "encoder above it"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for found in comparisons:
        estimates = found.score.estimates
        beside = [estimates[frozen].text() if frozen in estimates else "-"] if frozen else []
        best = f"{estimates[found.baseline].text()} ({found.baseline})"
        own = _own(report, found.score)
        lines.append(_row([_label(found.score), own, *beside, best, found.verdict]))
    return [*lines, ""]


def _stability_table(report: RetrievalReport) -> list[str]:
    """The encoder's cosines under each view, and those of different lesions as their measure."""
    found: dict[str, dict[str, str]] = {}
    for score in report.scores:
        own = score.estimates.get(report.encoder or "")
        view = score.section.removeprefix(f"{STABILITY}: ")
        if own is not None and view != score.section:
            found.setdefault(view, {})[score.name] = own.text()
    if not found:
        return []
    names = list(dict.fromkeys(name for scores in found.values() for name in scores))
    names.sort(key=lambda name: name != MEDIAN)
    return [
        f"Stability: cosine of the encoder's vectors of one lesion under another view. "
        f"{BACKGROUND[:1].upper()}{BACKGROUND[1:]} are the measure.",
        "",
        _row(["pairs", *names]),
        _row(["---"] * (len(names) + 1)),
        *(
            _row([view, *(scores.get(name, "-") for name in names)])
            for view, scores in found.items()
        ),
        "",
    ]


def _own(report: RetrievalReport, score: Score) -> str:
    return score.estimates[report.encoder or ""].text()


def _label(score: Score) -> str:
    return f"{score.section}: {score.name}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
