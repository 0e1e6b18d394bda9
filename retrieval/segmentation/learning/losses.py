"""Losses of the mask network: cross-entropy on shares, and Dice of each view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class MaskLossConfig:
    """Weights of the two terms."""

    cross_entropy: float = 1.0
    dice: float = 1.0


def mask_losses(logits: Tensor, target: Tensor, config: MaskLossConfig) -> Mapping[str, Tensor]:
    """Mean cross-entropy over pixels, and one minus the soft Dice, meaned over views with lesion.

    Args:
        logits: (views, size, size).
        target: the same shape, the share of lesion in each pixel, in [0, 1].
        config: the weights.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    both = (logits.sigmoid() * target).sum(dim=(1, 2))
    sums = logits.sigmoid().sum(dim=(1, 2)) + target.sum(dim=(1, 2))
    shown = (target.amax(dim=(1, 2)) > 0.5).to(logits.dtype)
    missed = (1 - (2 * both + 1) / (sums + 1)) * shown
    dice = missed.sum() / shown.sum().clamp(min=1)
    return {"cross_entropy": config.cross_entropy * entropy, "dice": config.dice * dice}
