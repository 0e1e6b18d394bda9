"""The one training loop: rates, gradients, clipping, checkpoints and log, for every network.

What differs between networks is given to it: the batches of each step and the loss terms of a
batch. A run that is killed goes on from its last checkpoint to the same weights, bit by bit on a
CPU, as long as the batch of a step depends on the step alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from retrieval.progress import ReportProgress
from retrieval.training.checkpoint import load_checkpoint, save_checkpoint
from retrieval.training.freed_memory import keep_freed_memory
from retrieval.training.run_log import RunLog
from retrieval.training.schedule import CosineAdamW, rate_share
from retrieval.training.workers import Workers

Batch = TypeVar("Batch")
ReportStep = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, loss)."""

Terms = Callable[[nn.Module, Batch, int], Mapping[str, Tensor]]
"""The weighted loss terms of a batch at a step; the module may be replicated over processes."""


@dataclass(frozen=True)
class Reports:
    """Who is told how far a run has come: images cut, then steps done with the loss."""

    cache: ReportProgress | None = None
    step: ReportStep | None = None


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its checkpoint and log, how often, and what it was started with.

    Attributes:
        identity: from ``checkpoint.run_identity``; a checkpoint of another run is refused.
    """

    path: Path
    identity: str
    checkpoint_every: int
    log_every: int

    @property
    def checkpoint(self) -> Path:
        """The file of the last checkpoint."""
        return self.path / "checkpoint.safetensors"


class TrainingLoop(Generic[Batch]):
    """One run of one model on one worker.

    The optimiser has two groups of parameters, backbone and heads (``two_rates``).
    """

    def __init__(
        self,
        model: nn.Module,
        config: CosineAdamW,
        folder: RunFolder,
        *,
        backbone: Iterable[nn.Parameter],
        workers: Workers,
    ) -> None:
        self.model, self.config, self.folder, self.workers = model, config, folder, workers
        self.optimiser = two_rates(model, backbone, weight_decay=config.weight_decay)

    def resume(self) -> int:
        """The step to go on from: the last checkpoint's, restored in place, or 0.

        Raises:
            CheckpointError: the folder holds another run.
        """
        return load_checkpoint(
            self.folder.checkpoint, self.model, self.optimiser, run=self.folder.identity
        )

    def go(
        self,
        first: int,
        batches: Iterator[tuple[int, Batch]],
        terms: Terms[Batch],
        report: ReportStep | None = None,
    ) -> None:
        """Every step from ``first`` on that ``batches`` gives, in their order."""
        steps = self.config.steps
        if self.workers.device.type == "cpu":
            keep_freed_memory()
        replicated = self.workers.replicate(self.model)
        with RunLog(self.folder.path, first, enabled=self.workers.leads) as log:
            for step, batch in batches:
                losses = self._step(terms(replicated, batch, step), step)
                if step % self.folder.log_every == 0 or step + 1 == steps:
                    log.add(step, losses)
                if report and self.workers.leads:
                    report(step + 1, steps, sum(losses.values()))
                if (step + 1) % self.folder.checkpoint_every == 0 and self.workers.leads:
                    self._save(step + 1)
                    log.save()

    def _step(self, terms: Mapping[str, Tensor], step: int) -> dict[str, float]:
        share = rate_share(step, self.config.steps, warmup=self.config.warmup)
        rates = (self.config.backbone_rate * share, self.config.head_rate * share)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        return {name: float(term.detach()) for name, term in terms.items()}

    def _save(self, step: int) -> None:
        save_checkpoint(
            self.folder.checkpoint,
            self.model,
            self.optimiser,
            step=step,
            run=self.folder.identity,
        )


def two_rates(
    model: nn.Module, backbone: Iterable[nn.Parameter], *, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW with two groups: the backbone's parameters, then all others of the model."""
    first = list(backbone)
    chosen = {id(parameter) for parameter in first}
    heads = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return torch.optim.AdamW([{"params": first}, {"params": heads}], weight_decay=weight_decay)
