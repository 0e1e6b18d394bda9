"""How well the terms of an image are told, each beside its baselines.

A term counts as above its baselines if enough lesions have it and the 95 % interval of its AUC less
the best baseline's, over resampled patients, lies above zero. It is worth a tag if, besides, at
least half of the lesions that get the tag have the term: a tag that is mostly wrong helps nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import FloatArray, IntArray
from retrieval.labels.appearance.learning.fitting import auc

LEAST_POSITIVES = 10
"""A term of fewer lesions is not claimed."""

LEAST_PRECISION = 0.5
"""A term whose tags are right less often is no tag."""


@dataclass(frozen=True)
class TermScores:
    """One term on lesions of patients that nothing was trained on.

    Attributes:
        term: the term.
        positives: lesions that have it.
        auc: of its probability.
        baselines: AUC of each baseline, in the direction that serves it better.
        gain: AUC less that of the best baseline.
        f1: of the tags at the term's threshold.
        precision: the share of the tags at the threshold that are right; NaN without tags.
        average_precision: of a search for the term, and its baseline, the share of positives.
        brier: mean squared error of the probability.
        is_above: whether it is above its baselines.
    """

    term: str
    positives: int
    auc: Estimate
    baselines: Mapping[str, float]
    gain: Estimate
    f1: Estimate
    precision: float
    average_precision: float
    prevalence: float
    brier: float
    is_above: bool

    @property
    def is_predicted(self) -> bool:
        """Whether a tag of this term is worth giving."""
        return self.is_above and self.precision >= LEAST_PRECISION

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "term": self.term,
            "positives": self.positives,
            "auc": self.auc.to_json(),
            "baselines": dict(self.baselines),
            "gain": self.gain.to_json(),
            "f1": self.f1.to_json(),
            "precision": None if np.isnan(self.precision) else self.precision,
            "average_precision": self.average_precision,
            "prevalence": self.prevalence,
            "brier": self.brier,
            "is_above": self.is_above,
            "is_predicted": self.is_predicted,
        }


@dataclass(frozen=True)
class TermQuestion:
    """One term asked of n lesions: what is true (1, 0 or NaN), told, and needed for a tag."""

    term: str
    truth: FloatArray
    probability: FloatArray
    threshold: float


def score_term(
    asked: TermQuestion,
    baselines: Mapping[str, FloatArray],
    patients: IntArray,
    generator: Generator,
    *,
    resamples: int = 1000,
) -> TermScores:
    """The scores of one term.

    Args:
        asked: the term with truth and probability, each (lesions,).
        baselines: a score of each lesion for each baseline, (lesions,).
        patients: the patient of each lesion, as a number.
        generator: draws the resamples.
        resamples: how many.
    """
    known = ~np.isnan(asked.truth)
    positive = asked.truth[known] == 1
    told, owners = asked.probability[known], patients[known]
    sided = {name: _better_side(scores[known], positive) for name, scores in baselines.items()}
    measured = {name: auc(scores, positive) for name, scores in sided.items()}
    best = max(measured, key=lambda name: measured[name]) if measured else None

    def estimate(statistic: Any) -> Estimate:
        return statistic_estimate(statistic, owners, generator, resamples=resamples)

    gain = estimate(
        lambda rows: (
            auc(told[rows], positive[rows])
            - (0.5 if best is None else auc(sided[best][rows], positive[rows]))
        )
    )
    tagged = told >= asked.threshold
    count = int(positive.sum())
    return TermScores(
        term=asked.term,
        positives=count,
        auc=estimate(lambda rows: auc(told[rows], positive[rows])),
        baselines=measured,
        gain=gain,
        f1=estimate(lambda rows: _f1(tagged[rows], positive[rows])),
        precision=float(positive[tagged].mean()) if tagged.any() else float("nan"),
        average_precision=average_precision_of(told, positive),
        prevalence=float(positive.mean()),
        brier=float(np.mean((told - positive) ** 2)),
        is_above=count >= LEAST_POSITIVES and gain.low is not None and gain.low > 0,
    )


def average_precision_of(scores: FloatArray, positive: np.ndarray[Any, Any]) -> float:
    """The mean of the precision at each positive's rank; equal scores rank the negatives first."""
    order = np.lexsort((positive, -scores))
    hits = positive[order]
    if not hits.any():
        return float("nan")
    ranks = np.flatnonzero(hits) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def _better_side(scores: FloatArray, positive: np.ndarray[Any, Any]) -> FloatArray:
    return scores if auc(scores, positive) >= 0.5 else -scores


def _f1(tagged: np.ndarray[Any, Any], positive: np.ndarray[Any, Any]) -> float:
    total = int(tagged.sum() + positive.sum())
    return float(2 * (tagged & positive).sum() / total) if total else float("nan")
