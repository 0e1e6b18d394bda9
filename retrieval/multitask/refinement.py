"""The score-refinement layer: box score, tags and mask into one score.

In MULAN (section 2.3) a linear layer that starts as the identity reads the scores of all tasks.
Here it reads the logit of the box's score, those of the tags, and what the mask looks like.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from retrieval.lesion import Box

MASK_NUMBERS = ("certainty", "share of the box", "part that leaves the box")
"""What is read of a mask, in order."""

_LEAST = 1e-4


class ScoreRefinement(nn.Module):
    """(k, 1 + others) logits and numbers -> (k,) logits; the first one unchanged at first."""

    def __init__(self, terms: int) -> None:
        super().__init__()
        inputs = 1 + terms + len(MASK_NUMBERS)
        self.layer = nn.Linear(inputs, 1)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.weight[0, 0] = 1
            self.layer.bias.zero_()

    @property
    def inputs(self) -> int:
        """Numbers that it reads of a box."""
        return self.layer.in_features

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every score as it is."""
        weight = self.layer.weight.detach()[0]
        others = weight[1:].abs().sum() + self.layer.bias.detach().abs().sum()
        return weight[0].item() == 1.0 and others.item() == 0.0

    def forward(self, inputs: Tensor) -> Tensor:
        """Refined logits."""
        logits: Tensor = self.layer(inputs)
        return logits.squeeze(1)


def logit(score: float) -> float:
    """The logit of a score, kept away from 0 and 1."""
    bounded = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(bounded / (1 - bounded))


def mask_numbers(probabilities: Tensor, inside: Tensor) -> Tensor:
    """(k, 3) of (k, size, size) probabilities; ``inside`` is 1 within the box, likewise.

    How sure the mask is of its pixels, how much of the box it fills, and how much of it leaves it.
    """
    seen = (probabilities > 0.05).float()
    sure = ((2 * probabilities - 1).abs() * seen).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)).clamp(1)
    total = probabilities.sum(dim=(1, 2))
    held = (probabilities * inside).sum(dim=(1, 2))
    share = held / inside.sum(dim=(1, 2)).clamp(1)
    return torch.stack([sure, share, 1 - held / total.clamp(min=1e-3)], dim=1)


def inside_of(box: Box, square: tuple[float, float, float, float], size: int) -> Tensor:
    """(size, size): 1 where a cell's middle lies in the box, both on the detector's grid."""
    x1, y1, x2, y2 = square
    x = x1 + (torch.arange(size) + 0.5) * (x2 - x1) / size
    y = y1 + (torch.arange(size) + 0.5) * (y2 - y1) / size
    held = ((x >= box.x1) & (x <= box.x2))[None, :] & ((y >= box.y1) & (y <= box.y2))[:, None]
    return held.float()
