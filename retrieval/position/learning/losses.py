"""Order and distance of slices of one series, in real millimetres.

The order term is that of Yan et al., "Unsupervised body part regression via spatially
self-ordering convolutional neural networks" (ISBI 2018), over all pairs instead of neighbours; the
distance term replaces their equal spacing by the millimetres that the series states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.position.network import UNIT_MM


@dataclass(frozen=True, slots=True)
class HeightLossConfig:
    """Weights and widths of the pairwise terms.

    Attributes:
        tolerance_share, tolerance_mm: a distance may be wrong by this share of itself plus this
            many millimetres without cost: bodies differ in size, and so do their sections.
        anchor_tolerance_mm: the same for a height on the common scale: what landmarks leave open.
        anchor_weight: weight of the anchor term; 0 where series have no common scale.
        bend_mm: where distance and anchor terms turn from a square to a straight line.
        order_weight: weight of the order term.
        order_mm: width of its slope.
    """

    tolerance_share: float = 0.1
    tolerance_mm: float = 8.0
    anchor_tolerance_mm: float = 12.0
    anchor_weight: float = 1.0
    bend_mm: float = 100.0
    order_weight: float = 0.5
    order_mm: float = 20.0


def height_losses(
    scores: Tensor, heights_mm: Tensor, config: HeightLossConfig
) -> dict[str, Tensor]:
    """The terms ``distance``, ``order`` and ``anchor``.

    The first two are means over all pairs of slices of a series. The third compares each slice
    with the common scale of all series: without it the scale of one series need not be another's.

    Args:
        scores: (series, slices), in units of 100 mm.
        heights_mm: (series, slices), millimetres towards the head; slices of one height have an
            order term of 0 and a distance of 0 to keep.
        config: weights and widths.
    """
    slices = scores.shape[1]
    first, second = torch.triu_indices(slices, slices, offset=1, device=scores.device)
    apart = (heights_mm[:, second] - heights_mm[:, first]) / UNIT_MM
    estimated = scores[:, second] - scores[:, first]
    tolerance = config.tolerance_share * apart.abs() + config.tolerance_mm / UNIT_MM
    excess = F.relu((estimated - apart).abs() - tolerance)
    bend = config.bend_mm / UNIT_MM
    distance = F.smooth_l1_loss(excess, torch.zeros_like(excess), beta=bend)
    sign = torch.sign(apart)
    slope = F.softplus(-estimated * sign * UNIT_MM / config.order_mm)
    order = (slope * sign.abs()).mean()
    away = F.relu((scores - heights_mm / UNIT_MM).abs() - config.anchor_tolerance_mm / UNIT_MM)
    anchor = F.smooth_l1_loss(away, torch.zeros_like(away), beta=bend)
    return {
        "distance": distance,
        "order": config.order_weight * order,
        "anchor": config.anchor_weight * anchor,
    }
