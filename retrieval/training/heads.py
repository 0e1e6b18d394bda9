"""The one loop of small heads on features in memory: no checkpoint, no log, one rate."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from retrieval.progress import ReportProgress


def fit_head(
    head: nn.Module,
    rounds: Iterable[Iterable[Tensor]],
    *,
    count: int,
    rate: float,
    weight_decay: float,
    progress: ReportProgress | None = None,
) -> None:
    """AdamW on the losses of each round in turn, the rate half a cosine over ``count`` rounds.

    A loss is computed when the loop asks for it, with the weights of that moment; the rate
    changes between rounds.
    """
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, count)
    for done, losses in enumerate(rounds, start=1):
        for loss in losses:
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        schedule.step()
        if progress is not None:
            progress(done, count)
