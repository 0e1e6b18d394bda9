"""How much each way of forecasting counts: weights by the log score on patients left out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from retrieval.tracking.growth.courses import FloatArray

ROUNDS = 200
PSEUDO_STEPS = 20.0
"""The prior weights count as so many steps."""


class Component(StrEnum):
    """A way of forecasting."""

    CLIMATOLOGY = "climatology"
    NEIGHBOURS = "neighbours"
    LAWS = "growth laws"


EQUAL = dict.fromkeys(Component, 1.0 / len(Component))


def fit_weights(
    densities: Mapping[Component, FloatArray],
    prior: Mapping[Component, float] | None = None,
) -> dict[Component, float]:
    """The weights of a mixture that maximise its log score, by expectation maximisation.

    Args:
        densities: (n,) of what came, by each component fitted on other patients; NaN where the
            component has no forecast. A step's mixture is that of its own components.
        prior: weights that count as ``PSEUDO_STEPS`` steps; equal ones if None.

    Returns weights that add up to 1.
    """
    believed = np.array([dict(prior or EQUAL).get(one, 0.0) for one in Component])
    believed = np.maximum(believed, 1e-3) / np.maximum(believed, 1e-3).sum()
    table = np.stack([densities[one] for one in Component], axis=1)
    there = ~np.isnan(table)
    height = np.where(there, np.maximum(np.nan_to_num(table), 1e-12), 0.0)
    # A step with one component says nothing of the weights.
    told = there.sum(axis=1) > 1
    height, there = height[told], there[told]
    weights = believed
    for _ in range(ROUNDS):
        # What is missing is shared out as the present weights have it, so that it pulls nowhere.
        share = height * weights
        share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
        share *= (there * weights).sum(axis=1, keepdims=True)
        share += ~there * weights
        weights = (share.sum(axis=0) + PSEUDO_STEPS * believed) / (len(share) + PSEUDO_STEPS)
    return dict(zip(Component, map(float, weights / weights.sum()), strict=True))


def mixed(
    densities: Mapping[Component, FloatArray], weights: Mapping[Component, float]
) -> FloatArray:
    """(n,) the mixture's values of (n,) values by component, NaN where a component has none."""
    table = np.stack([densities[one] for one in weights], axis=1)
    share = np.where(np.isnan(table), 0.0, np.array([weights[one] for one in weights]))
    return np.asarray((np.nan_to_num(table) * share).sum(axis=1) / share.sum(axis=1))
