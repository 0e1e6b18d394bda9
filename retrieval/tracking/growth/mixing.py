"""How much each way of forecasting counts: weights by the log score on patients left out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from retrieval.tracking.growth.courses import FloatArray

ROUNDS = 200
PSEUDO_STEPS = 20.0
"""The weights of another population count as so many steps."""

LEAST_PSEUDO_STEPS = 2.0
"""``UNFITTED`` weights count as so many."""


class Component(StrEnum):
    """A way of forecasting."""

    CLIMATOLOGY = "climatology"
    NEIGHBOURS = "neighbours"
    LAWS = "growth laws"


UNFITTED = {Component.CLIMATOLOGY: 0.45, Component.NEIGHBOURS: 0.45, Component.LAWS: 0.1}
"""Before anything is known. Growth laws count little: with the studies of the Deep Longitudinal
Study taken for evenly spaced, every weight of them made the log score worse."""


def fit_weights(
    densities: Mapping[Component, FloatArray],
    prior: Mapping[Component, float] | None = None,
) -> dict[Component, float]:
    """The weights of a mixture that maximise its log score, by expectation maximisation.

    Args:
        densities: (n,) of what came, by each component fitted on other patients; NaN where the
            component has no forecast. A step's mixture is that of its own components.
        prior: the weights of another population, which count as ``PSEUDO_STEPS`` steps; if None
            those of ``UNFITTED``, which count as ``LEAST_PSEUDO_STEPS``.

    Returns weights that add up to 1.
    """
    pseudo = LEAST_PSEUDO_STEPS if prior is None else PSEUDO_STEPS
    believed = np.array([dict(prior or UNFITTED).get(one, 0.0) for one in Component])
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
        weights = (share.sum(axis=0) + pseudo * believed) / (len(share) + pseudo)
    return dict(zip(Component, map(float, weights / weights.sum()), strict=True))


def mixed(
    densities: Mapping[Component, FloatArray], weights: Mapping[Component, float]
) -> FloatArray:
    """(n,) the mixture's values of (n,) values by component, NaN where a component has none."""
    table = np.stack([densities[one] for one in weights], axis=1)
    share = np.where(np.isnan(table), 0.0, np.array([weights[one] for one in weights]))
    return np.asarray((np.nan_to_num(table) * share).sum(axis=1) / share.sum(axis=1))
