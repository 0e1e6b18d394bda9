"""A linear head on some hundred lesions: each term by itself, of the vector and of the numbers.

The numbers of the image are nothing that was learned, so that which of them to take, and how much
shrinkage, is chosen by cross-validation over the patients of training and validation. The encoder
knows its training patients: fitted together, its vector would count for more there than it is
worth elsewhere. So vector and numbers are fitted each by itself, and their logits, each divided by
its spread, are added. Over the ten terms of the nodules this had the best mean AUC on the
validation patients: 0.838; numbers alone 0.821, the vector alone 0.813, fitted together 0.830.
Where the numbers alone are as good there, the vector is left out: such a term can be judged on
every patient by cross-validation, whatever the encoder has seen.

Calibration and threshold (the best F1) come from the validation patients' scores of a fit without
them; the head itself is fitted on training and validation patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from retrieval.labels.appearance import calcium, densities
from retrieval.labels.appearance.image_numbers import COUNT
from retrieval.labels.appearance.network import MOST_SPREADS, TagNetwork
from retrieval.labels.appearance.weights_file import HeadTerm

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]
Parts = Sequence[tuple[NDArray[np.int64], float]]
"""Columns that are fitted together, with their shrinkage."""

SHRINKAGE = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
VECTOR_SHRINKAGE = 1e-1
FOLDS = 5
_TIE = 5e-3
"""Numbers whose AUC is at most this much lower are as good as numbers and vector."""

VECTOR_SCALE = 4.0
"""A unit vector's numbers are small beside standardised densities."""


@dataclass(frozen=True)
class Fitted:
    """One term's fit.

    Attributes:
        weights: over all features.
        offset: of the logit.
        features: the features that it takes, in words.
        shrinkage: of the numbers' weights.
        validation_auc: on the validation patients, of a fit without them.
        term: calibration and threshold.
        held_out: logits of a fit without the row's fold of patients, where no vector is taken.
    """

    weights: Float
    offset: float
    features: str
    shrinkage: float
    validation_auc: float
    term: HeadTerm
    held_out: Float | None = None


@dataclass(frozen=True)
class FitRows:
    """The rows a term may be fitted on.

    Attributes:
        train: rows of training patients.
        validation: rows of validation patients.
        is_key: the rows that count where a fit is judged.
        patients: the patient of each row, as a number.
    """

    train: Bools
    validation: Bools
    is_key: Bools
    patients: NDArray[np.int64]

    @property
    def both(self) -> Bools:
        """Rows of training and validation patients."""
        return self.train | self.validation

    def of(self, known: Bools) -> FitRows:
        """The rows of which a term is known."""
        return FitRows(self.train & known, self.validation & known, self.is_key, self.patients)


def number_sets(count: int) -> dict[str, NDArray[np.int64]]:
    """Which columns of ``count`` features each set of the image's numbers has."""
    first = count - COUNT
    tones = first + len(densities.NAMES)
    bright = tones + len(calcium.NAMES)
    return {
        "calcium": np.arange(tones, bright),
        "densities and calcium": np.arange(first, bright),
        "margin": np.arange(bright, count),
        "all numbers": np.arange(first, count),
    }


def standardised(features: NDArray[np.float32], rows: Bools) -> tuple[Float, Float, Float]:
    """Features as the head sees them, with the mean and spread that make them so."""
    vectors = features.shape[1] - COUNT
    mean = features[rows].mean(0).astype(np.float64)
    spread = features[rows].std(0).astype(np.float64) + 1e-6
    mean[:vectors], spread[:vectors] = 0.0, 1.0 / VECTOR_SCALE
    bounded = np.clip((features - mean) / spread, -MOST_SPREADS, MOST_SPREADS)
    return bounded, mean, spread


def fit_term(name: str, inputs: Float, holds: Float, rows: FitRows) -> Fitted:
    """The fit of one term; ``holds`` is (lesions,) of 1, 0 or NaN."""
    rows = rows.of(~np.isnan(holds))
    positive = holds == 1
    numbers, shrinkage = _chosen_numbers(inputs, positive, rows)
    own = (number_sets(inputs.shape[1])[numbers], shrinkage)
    vector = (np.arange(inputs.shape[1] - COUNT), VECTOR_SHRINKAGE)
    judged = rows.validation & rows.is_key

    def validated(parts: Parts) -> Float:
        weights, offset = _added(inputs, positive, rows.train, parts)
        return inputs[judged] @ weights + offset

    alone, added = validated((own,)), validated((vector, own))
    truth = positive[judged]
    is_enough = auc(alone, truth) >= auc(added, truth) - _TIE
    scores, parts = (alone, (own,)) if is_enough else (added, (vector, own))
    slope, shift = _platt(scores, truth)
    threshold = _best_threshold(slope * scores + shift, truth)
    weights, offset = _added(inputs, positive, rows.both, parts)
    return Fitted(
        weights,
        offset,
        numbers if is_enough else f"vector and {numbers}",
        shrinkage,
        auc(scores, truth),
        HeadTerm(name, slope, shift, threshold),
        _held_out(inputs, positive, rows, parts) if is_enough else None,
    )


def _added(inputs: Float, positive: Bools, rows: Bools, parts: Parts) -> tuple[Float, float]:
    """Weights and offset of the sum of the parts' logits, each divided by its spread."""
    whole, total = np.zeros(inputs.shape[1]), 0.0
    for columns, shrinkage in parts:
        weights, offset = _logistic(inputs[rows][:, columns], positive[rows], shrinkage)
        logits = inputs[rows][:, columns] @ weights + offset
        spread = max(float(logits.std()), 1e-6)
        whole[columns] += weights / spread
        total += (offset - float(logits.mean())) / spread
    return whole, total


def _chosen_numbers(inputs: Float, positive: Bools, rows: FitRows) -> tuple[str, float]:
    """The set of numbers and the shrinkage with the best cross-validated AUC."""
    judged = rows.both & rows.is_key
    best, chosen = -np.inf, ("all numbers", SHRINKAGE[-1])
    for name, columns in number_sets(inputs.shape[1]).items():
        for shrinkage in SHRINKAGE:
            scores = _held_out(inputs, positive, rows, ((columns, shrinkage),))
            found = auc(scores[judged], positive[judged])
            if found > best:
                best, chosen = found, (name, shrinkage)
    return chosen


def _held_out(inputs: Float, positive: Bools, rows: FitRows, parts: Parts) -> Float:
    """Logits of each row by a fit without its fold of the patients, (lesions,)."""
    folds = rows.patients % FOLDS
    scores = np.zeros(len(inputs))
    for fold in range(FOLDS):
        weights, offset = _added(inputs, positive, rows.both & (folds != fold), parts)
        scores[folds == fold] = inputs[folds == fold] @ weights + offset
    return scores


def linear_network(fits: Mapping[str, Fitted], mean: Float, spread: Float) -> TagNetwork:
    """The fits as one network whose propagation layer is the identity."""
    network = TagNetwork(len(mean), len(fits))
    with torch.no_grad():
        network.get_buffer("mean").copy_(torch.from_numpy(mean))
        network.get_buffer("spread").copy_(torch.from_numpy(spread))
        network.scores.weight.copy_(
            torch.from_numpy(np.stack([one.weights for one in fits.values()]))
        )
        network.scores.bias.copy_(torch.tensor([one.offset for one in fits.values()]))
    return network.eval()


def auc(scores: Float, positive: Bools) -> float:
    """The area under the ROC curve; NaN without both kinds."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _logistic(inputs: Float, positive: Bools, shrinkage: float) -> tuple[Float, float]:
    """Weighted ridge logistic regression: both kinds weigh the same."""
    sign = np.where(positive, 1.0, -1.0)
    ones, zeros = max(positive.sum(), 1), max((~positive).sum(), 1)
    weight = np.where(positive, len(sign) / (2 * ones), len(sign) / (2 * zeros))

    def loss(theta: Float) -> tuple[float, Float]:
        margin = sign * (inputs @ theta[:-1] + theta[-1])
        wrong = weight * sign / (1.0 + np.exp(np.clip(margin, -500, 500)))
        value = (weight * np.logaddexp(0.0, -margin)).mean() + shrinkage * (theta[:-1] ** 2).sum()
        slope = -(inputs * wrong[:, None]).mean(0) + 2 * shrinkage * theta[:-1]
        return float(value), np.append(slope, -wrong.mean())

    found = minimize(loss, np.zeros(inputs.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def _platt(scores: Float, positive: Bools) -> tuple[float, float]:
    """Slope and offset of the calibration, with Platt's smoothed targets (1999)."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def loss(theta: Float) -> float:
        logit = theta[0] * scores + theta[1]
        return float((np.logaddexp(0.0, logit) - target * logit).mean() + 1e-3 * theta[0] ** 2)

    slope, shift = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B").x
    return max(float(slope), 1e-3), float(shift)


def _best_threshold(logits: Float, positive: Bools) -> float:
    """The probability with the best F1, half way to the next lower score."""
    order = np.argsort(-logits)
    hits = np.cumsum(positive[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + positive.sum())
    best = int(np.argmax(f1))
    below = logits[order[best + 1]] if best + 1 < len(order) else logits[order[best]] - 1.0
    return float(1.0 / (1.0 + np.exp(-(logits[order[best]] + below) / 2)))
