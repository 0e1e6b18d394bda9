"""A linear head on some hundred lesions: each term by itself, on the features that serve it.

Which features and how much shrinkage is chosen by the AUC on the validation patients; of features
that are as good there, the fewest. Then the term is fitted on training and validation patients
together, calibrated on the validation patients' scores of the first fit, and given the threshold
with the best F1 there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from retrieval.labels.appearance.densities import COUNT, NAMES
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.appearance.weights_file import HeadTerm

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHRINKAGE = (1e-3, 3e-3, 1e-2, 3e-2)
_TIE = 5e-3
"""AUCs closer than this are as good as each other."""

VECTOR_SCALE = 4.0
"""A unit vector's numbers are small beside standardised densities."""


@dataclass(frozen=True)
class Fitted:
    """One term's fit: weights over all features, and what was chosen on the validation patients."""

    weights: Float
    offset: float
    features: str
    shrinkage: float
    validation_auc: float
    term: HeadTerm


def feature_sets(count: int) -> dict[str, NDArray[np.int64]]:
    """Which columns of ``count`` features each set has, fewest first."""
    first = count - COUNT
    place = {name: first + number for number, name in enumerate(NAMES)}
    calcium = ["quantile 0.95", "quantile 1", "share above 200 HU", "share above 100 HU"]
    return {
        "greatest density": np.array([place["quantile 1"]]),
        "calcium": np.array([place[name] for name in calcium]),
        "densities": np.arange(first, count),
        "vector": np.arange(first),
        "vector and densities": np.arange(count),
    }


def standardised(features: NDArray[np.float32], rows: Bools) -> tuple[Float, Float, Float]:
    """Features as the head sees them, with the mean and spread that make them so."""
    vectors = features.shape[1] - COUNT
    mean = features[rows].mean(0).astype(np.float64)
    spread = features[rows].std(0).astype(np.float64) + 1e-6
    mean[:vectors], spread[:vectors] = 0.0, 1.0 / VECTOR_SCALE
    return (features - mean) / spread, mean, spread


def fit_term(name: str, inputs: Float, holds: Float, train: Bools, validation: Bools) -> Fitted:
    """The fit of one term; ``holds`` is (lesions,) of 1, 0 or NaN."""
    known = ~np.isnan(holds)
    train, validation = train & known, validation & known
    positive = holds == 1
    found: list[tuple[float, str, float]] = []
    sets = feature_sets(inputs.shape[1])
    for features, columns in sets.items():
        for shrinkage in SHRINKAGE:
            weights, offset = _logistic(inputs[train][:, columns], positive[train], shrinkage)
            scores = inputs[validation][:, columns] @ weights + offset
            found.append((auc(scores, positive[validation]), features, shrinkage))
    best = max(score for score, _, _ in found)
    near = [one for one in found if one[0] >= best - _TIE]
    score, features, shrinkage = min(near, key=lambda one: (len(sets[one[1]]), -one[0]))
    columns = sets[features]
    weights, offset = _logistic(inputs[train][:, columns], positive[train], shrinkage)
    scores = inputs[validation][:, columns] @ weights + offset
    slope, shift = _platt(scores, positive[validation])
    threshold = _best_threshold(slope * scores + shift, positive[validation])
    both = train | validation
    weights, offset = _logistic(inputs[both][:, columns], positive[both], shrinkage)
    whole = np.zeros(inputs.shape[1])
    whole[columns] = weights
    term = HeadTerm(name, slope, shift, threshold)
    return Fitted(whole, offset, features, shrinkage, score, term)


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
