"""The learning rate of a step, as a share of its peak."""

from __future__ import annotations

import math


def rate_share(step: int, steps: int, *, warmup: float) -> float:
    """A linear rise over the ``warmup`` share of the steps, then half a cosine to zero."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))
