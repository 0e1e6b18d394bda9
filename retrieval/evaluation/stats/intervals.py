"""Bootstrapped 95 % intervals that resample whole patients, and the Estimate they belong to.

Lesions of one patient look alike, so resampling lesions would promise more certainty than there
is. (Efron and Tibshirani 1993, chapter 8: resample the independent unit.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.stats.metrics import FloatArray, IntArray, mean_by_class

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its 95 % interval; ``low`` and ``high`` are None for fewer than two patients."""

    value: float
    low: float | None
    high: float | None
    queries: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a score that could not be had is null."""
        value = None if math.isnan(self.value) else self.value
        return {"value": value, "low": self.low, "high": self.high, "queries": self.queries}

    def text(self, digits: int = 3) -> str:
        """``0.862 (0.710 to 0.952)``, or the value alone where there is no interval."""
        if math.isnan(self.value):
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def mean_estimate(
    values: FloatArray,
    patients: IntArray,
    generator: Generator,
    *,
    resamples: int,
    classes: IntArray | None = None,
) -> Estimate:
    """The mean of per-query values, or with ``classes`` the mean of the class means.

    Args:
        values: (queries,), NaN where a query has no score: left out.
        patients: (queries,) the patient of each query.
        generator: draws the resamples.
        resamples: how many times the patients are drawn with replacement.
        classes: (queries,) labels for a macro mean.
    """
    known = ~np.isnan(values)
    values, patients = values[known], patients[known]
    labels = np.zeros(len(values), np.int64) if classes is None else classes[known]
    if len(values) == 0:
        return Estimate(math.nan, None, None, 0)
    value = mean_by_class(values, labels)
    _, patient = np.unique(patients, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    shape = (int(patient.max()) + 1, int(label.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (patient, label), values)
    np.add.at(counts, (patient, label), 1.0)
    if shape[0] < 2:
        return Estimate(value, None, None, len(values))
    # All resamples at once: how often each patient is drawn, times what each one adds.
    picks = generator.integers(0, shape[0], (resamples, shape[0]))
    picks += shape[0] * np.arange(resamples)[:, None]
    draws = np.bincount(picks.ravel(), minlength=resamples * shape[0])
    draws = draws.reshape(resamples, shape[0]).astype(np.float64)
    drawn = draws @ counts
    means = np.divide(draws @ sums, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)
    return with_interval(value, np.nanmean(means, axis=1), len(values))


def statistic_estimate(
    statistic: Callable[[IntArray], float],
    patients: IntArray,
    generator: Generator,
    *,
    resamples: int,
    correct_bias: bool = False,
) -> Estimate:
    """Any statistic of rows, for scores that are not means (AUC, purity).

    ``statistic`` gets row numbers into ``patients``, repeated as often as their patient was drawn;
    resamples for which it is NaN are left out. ``correct_bias`` moves the interval of a share
    in [0, 1] by the bias of the resamples: a patient drawn twice makes clusters look purer.
    """
    rows = np.arange(len(patients))
    if len(rows) == 0:
        return Estimate(math.nan, None, None, 0)
    value = statistic(rows)
    order = np.argsort(patients, kind="stable")
    _, starts, sizes = np.unique(patients[order], return_index=True, return_counts=True)
    count = len(starts)
    if count < 2:
        return Estimate(value, None, None, len(rows))
    drawn = (generator.integers(0, count, count) for _ in range(resamples))
    results = np.array([statistic(order[_ranges(starts[x], sizes[x])]) for x in drawn])
    if correct_bias:
        results = np.clip(results - (np.nanmedian(results) - value), 0.0, 1.0)
    return with_interval(value, results, len(rows))


def _ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """The whole numbers from each start on, as many as its size, one range behind another."""
    ends = np.cumsum(sizes)
    return np.asarray(np.arange(ends[-1]) + np.repeat(starts - (ends - sizes), sizes), np.int64)


def with_interval(value: float, results: NDArray[np.float64], queries: int) -> Estimate:
    """The estimate of a score and its resampled values; those that are NaN are left out."""
    known = results[~np.isnan(results)]
    if len(known) == 0 or math.isnan(value):
        return Estimate(value, None, None, queries)
    low, high = np.percentile(known, PERCENTILES)
    return Estimate(value, float(low), float(high), queries)
