"""What came beside what was forecast: CRPS, pinball loss, coverage, Brier score, AUC.

Everything is in the natural logarithm of the size, so that 5 mm count as much in a lesion of 10 mm
as 10 mm in one of 20. A step that a method does not answer is NaN, and left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.stats.intervals import Estimate, mean_estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import FloatArray, IntArray, auc
from retrieval.tracking.growth.kernels import ChangeDistribution
from retrieval.tracking.growth.outlooks import GROWTH_RATIO, LEVELS, SHRINKAGE_RATIO

PROBABILITIES = np.arange(1, 20) / 20
"""The quantiles whose pinball loss is averaged."""

COLUMNS = (
    "crps",
    "pinball",
    "error",
    *(f"coverage_{round(100 * level)}" for level in LEVELS),
    *(f"width_{round(100 * level)}" for level in LEVELS),
    "brier_growth",
    "brier_shrinkage",
    "growth_probability",
    "below",
)


@dataclass(frozen=True, slots=True, eq=False)
class StepScores:
    """Scores of n steps by one method, a column each of ``COLUMNS``, NaN where not answered."""

    table: FloatArray

    @classmethod
    def empty(cls, steps: int) -> StepScores:
        """No step answered."""
        return cls(np.full((steps, len(COLUMNS)), np.nan))

    def column(self, name: str) -> FloatArray:
        """(n,) one score."""
        return np.asarray(self.table[:, COLUMNS.index(name)])

    def put(self, step: int, scores: Mapping[str, float]) -> None:
        """Fills in one step; columns that are not named stay NaN."""
        for name, value in scores.items():
            self.table[step, COLUMNS.index(name)] = value


def score_distribution(
    forecast: ChangeDistribution, change: float, *, dimensions: int = 1
) -> dict[str, float]:
    """The scores of one forecast distribution of the log change."""
    growth = math.log(GROWTH_RATIO) * dimensions
    shrinkage = math.log(SHRINKAGE_RATIO) * dimensions
    quantiles = np.interp(PROBABILITIES, forecast.cdf, forecast.grid)
    chance_up, chance_down = (
        forecast.probability_above(growth),
        forecast.probability_below(shrinkage),
    )
    scores = {
        "crps": forecast.crps(change),
        "pinball": pinball(quantiles, change),
        "error": abs(change - forecast.quantile(0.5)),
        "brier_growth": (chance_up - (change >= growth)) ** 2,
        "brier_shrinkage": (chance_down - (change <= shrinkage)) ** 2,
        "growth_probability": chance_up,
        "below": forecast.probability_below(change),
    }
    for level in LEVELS:
        low, high = forecast.central_range(level)
        scores[f"coverage_{round(100 * level)}"] = float(low <= change <= high)
        scores[f"width_{round(100 * level)}"] = high - low
    return scores


def score_point(forecast: float, change: float, *, dimensions: int = 1) -> dict[str, float]:
    """The scores of a method that names one log change and no range; its CRPS is the error."""
    growth = math.log(GROWTH_RATIO) * dimensions
    shrinkage = math.log(SHRINKAGE_RATIO) * dimensions
    return {
        "crps": abs(change - forecast),
        "pinball": pinball(np.full(len(PROBABILITIES), forecast), change),
        "error": abs(change - forecast),
        "brier_growth": float((forecast >= growth) != (change >= growth)),
        "brier_shrinkage": float((forecast <= shrinkage) != (change <= shrinkage)),
        "growth_probability": forecast,
    }


def pinball(quantiles: FloatArray, change: float) -> float:
    """The mean pinball loss of the quantiles at ``PROBABILITIES`` (Koenker and Bassett 1978)."""
    off = change - quantiles
    return float(np.maximum(PROBABILITIES * off, (PROBABILITIES - 1) * off).mean())


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made."""

    generator: Generator
    resamples: int


def estimates(
    scores: StepScores, grew: FloatArray, patients: IntArray, how: Resampling
) -> dict[str, Estimate]:
    """Every score with its interval over patients, and the AUC of growth.

    ``grew`` (n,) is 1 for steps of relevant growth, 0 for others.
    """
    shown = [name for name in COLUMNS if name not in {"growth_probability", "below"}]
    found = {
        name: mean_estimate(scores.column(name), patients, how.generator, resamples=how.resamples)
        for name in shown
    }
    found["auc_growth"] = auc_estimate(scores.column("growth_probability"), grew, patients, how)
    return {name: one for name, one in found.items() if one.queries}


def auc_estimate(
    chance: FloatArray, grew: FloatArray, patients: IntArray, how: Resampling
) -> Estimate:
    """How well a number tells the steps of growth apart, with its interval over patients."""
    known = ~np.isnan(chance)
    chance, happened, patients = chance[known], grew[known] > 0, patients[known]
    return statistic_estimate(
        lambda rows: auc(chance[rows], happened[rows]),
        patients,
        how.generator,
        resamples=how.resamples,
    )


def gain(better: FloatArray, worse: FloatArray, patients: IntArray, how: Resampling) -> Estimate:
    """By how much one method's loss is lower than another's on the steps that both answer."""
    return mean_estimate(worse - better, patients, how.generator, resamples=how.resamples)


def by_patient(values: FloatArray, patients: IntArray) -> FloatArray:
    """(patients,) the mean of each patient's steps; NaN where none is answered."""
    known = ~np.isnan(values)
    _, number = np.unique(patients, return_inverse=True)
    counts = np.bincount(number, weights=known)
    sums = np.bincount(number, weights=np.where(known, values, 0.0))
    mean = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return np.asarray(mean)


def verdict_on_coverage(coverage: Mapping[str, Estimate], tolerance: float = 0.04) -> Sequence[str]:
    """In words, which ranges hold too few or too many changes: by more than ``tolerance`` and
    more than chance explains; empty where all are right."""
    told = []
    for level in LEVELS:
        one = coverage[f"coverage_{round(100 * level)}"]
        off = one.value - level
        explained = one.low is not None and one.high is not None and one.low <= level <= one.high
        if abs(off) > tolerance and not explained:
            word = "too narrow" if off < 0 else "too wide"
            told.append(
                f"{100 * level:.0f} % ranges hold {100 * one.value:.1f} % of changes: {word}"
            )
    return told
