"""Order and distance against a naive loop over pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from retrieval.position.learning.losses import HeightLossConfig, height_losses


def naive(scores, heights, config):
    """The terms of pairs, pair by pair, and the anchor term, slice by slice."""
    distances, orders, anchors = [], [], []
    bend = config.bend_mm / 100
    for score, height in zip(np.ravel(scores), np.ravel(heights), strict=True):
        away = max(abs(score - height / 100) - config.anchor_tolerance_mm / 100, 0.0)
        anchors.append(away**2 / (2 * bend) if away < bend else away - bend / 2)
    for series_scores, series_heights in zip(scores, heights, strict=True):
        for i in range(len(series_scores)):
            for j in range(i + 1, len(series_scores)):
                dz = (series_heights[j] - series_heights[i]) / 100
                ds = series_scores[j] - series_scores[i]
                tolerance = config.tolerance_share * abs(dz) + config.tolerance_mm / 100
                excess = max(abs(ds - dz) - tolerance, 0.0)
                bend = config.bend_mm / 100
                distances.append(excess**2 / (2 * bend) if excess < bend else excess - bend / 2)
                sign = float(np.sign(dz))
                orders.append(
                    math.log1p(math.exp(-ds * sign * 100 / config.order_mm)) if sign else 0.0
                )
    return {
        "distance": np.mean(distances),
        "order": config.order_weight * np.mean(orders),
        "anchor": config.anchor_weight * np.mean(anchors),
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_terms_equal_a_loop_over_pairs(seed):
    rng = np.random.default_rng(seed)
    scores, heights = rng.normal(0, 2, (3, 5)), rng.uniform(-300, 300, (3, 5))
    heights[0, 1] = heights[0, 0]
    config = HeightLossConfig(bend_mm=60.0, anchor_weight=0.7)
    terms = height_losses(torch.tensor(scores), torch.tensor(heights), config)
    expected = naive(scores, heights, config)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected, abs=1e-9)


def test_true_heights_cost_nothing_but_their_order_a_little():
    heights = torch.tensor([[0.0, 100.0, 350.0]])
    config = HeightLossConfig()
    right = height_losses(heights / 100, heights, config)
    turned = height_losses(-heights / 100, heights, config)
    assert float(right["distance"]) == 0.0
    assert float(right["order"]) < 0.01
    assert float(turned["distance"]) > 1.0
    assert float(turned["order"]) > 1.0
    assert float(right["anchor"]) == 0.0
    assert float(turned["anchor"]) > 1.0


def test_a_constant_added_to_a_series_changes_the_anchor_term_alone():
    rng = np.random.default_rng(3)
    scores, heights = (
        torch.tensor(rng.normal(0, 2, (2, 4))),
        torch.tensor(rng.uniform(0, 500, (2, 4))),
    )
    moved = scores + torch.tensor([[3.0], [-5.0]])
    config = HeightLossConfig()
    one, other = (height_losses(each, heights, config) for each in (scores, moved))
    for name in ("distance", "order"):
        assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-9)
    assert float(one["anchor"]) != pytest.approx(float(other["anchor"]), abs=0.1)
