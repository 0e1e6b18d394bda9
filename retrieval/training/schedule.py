"""AdamW under a cosine schedule: what every recipe says of it, and the rate of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CosineAdamW:
    """The part of a recipe's ``optimiser`` table that ``TrainingLoop`` reads.

    A network's own table adds to it what a step is made of.

    Attributes:
        steps: batches in all.
        backbone_rate, head_rate: peak learning rates of the loop's two groups of parameters; a
            rate of 0 freezes its group.
        weight_decay: AdamW's.
        warmup: share of the steps in which the rates rise.
        clip: largest gradient norm.
    """

    steps: int
    backbone_rate: float
    head_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0


def rate_share(step: int, steps: int, *, warmup: float) -> float:
    """A linear rise over the ``warmup`` share of the steps, then half a cosine to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))
