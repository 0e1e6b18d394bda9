"""Trains a detector: one loop, resumable to the bit on the CPU, on one GPU or several.

    torchrun --nproc-per-node 8 $(which lesion-search) train detector --archive DeepLesion \
        --recipe 3dce-27 --out runs/detector
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from retrieval.detection.batches import DetectionBatch, SliceBatches
from retrieval.detection.detector import fingerprint, load_detection_network, save_detector
from retrieval.detection.network import DetectionNetwork, build_network
from retrieval.detection.recipe import DetectorRecipe
from retrieval.detection.slice_cache import Progress
from retrieval.detection.training_data import TrainingSlices
from retrieval.sources.archive import Archive
from retrieval.training.checkpoint import load_checkpoint, run_identity, save_checkpoint
from retrieval.training.config import RecipeError
from retrieval.training.run_log import RunLog
from retrieval.training.schedule import rate_share
from retrieval.training.workers import Workers

CHECKPOINT_EVERY = 100
LOG_EVERY = 5


@dataclass(frozen=True)
class TrainedDetector:
    """What a run left behind."""

    path: Path
    fingerprint: str
    steps: int
    slices: int


@dataclass(frozen=True)
class DetectorReports:
    """Who is told how far the run has come: slices cut, then steps done with the loss."""

    cache: Progress | None = None
    step: Callable[[int, int, float], None] | None = None


def train_detector(
    archives: Sequence[Archive],
    recipe: DetectorRecipe,
    out: Path,
    *,
    device: str | None = None,
    reports: DetectorReports | None = None,
) -> TrainedDetector:
    """Trains on the train split of all archives and writes ``out/detector.safetensors``.

    ``out`` also holds the slice cache, the checkpoint, the log and the loss curve. Called again
    with the same arguments it goes on from the last checkpoint, to the same result.

    Raises:
        DetectorDataError: no archive, or none with a slice to train on.
        SliceCacheError, CheckpointError: ``out`` holds another run.
        RecipeError: the detector to start from does not fit the recipe.
    """
    reports = reports or DetectorReports()
    with Workers(device) as workers:
        if workers.leads:
            TrainingSlices.open(archives, recipe, out / "cache", progress=reports.cache)
        workers.wait()
        training = TrainingSlices.open(archives, recipe, out / "cache")
        run = _Run(recipe, training, workers, out)
        run.go(reports)
        path = out / "detector.safetensors"
        if workers.leads:
            save_detector(run.network.cpu(), recipe.network, recipe.grid, path, name=recipe.name)
        workers.wait()
        network, config, grid, _ = load_detection_network(path)
        return TrainedDetector(
            path, fingerprint(network, config, grid), recipe.optimiser.steps, training.count
        )


class _Run:
    """The state of one run on one worker, and the loop."""

    def __init__(
        self, recipe: DetectorRecipe, training: TrainingSlices, workers: Workers, out: Path
    ) -> None:
        self.recipe, self.workers, self.out = recipe, workers, out
        torch.manual_seed(recipe.seed)
        self.network = _starting_network(recipe).to(workers.device)
        self.optimiser = _optimiser(self.network, recipe)
        self.identity = run_identity([recipe.to_dict(), training.count])
        share = max(1, recipe.optimiser.slices // workers.count)
        self.batches = SliceBatches(training, recipe, share, workers.rank)

    def go(self, reports: DetectorReports) -> None:
        """From the checkpoint, or from the start, to the last step."""
        checkpoint = self.out / "checkpoint.safetensors"
        steps = self.recipe.optimiser.steps
        first = load_checkpoint(checkpoint, self.network, self.optimiser, run=self.identity)
        self.network.train()
        replicated = self.workers.replicate(self.network)
        with RunLog(self.out, first, enabled=self.workers.leads) as log:
            for step, batch in self.batches.ahead(first, steps):
                terms = self._step(replicated, batch.to(self.workers.device), step)
                if step % LOG_EVERY == 0 or step + 1 == steps:
                    log.add(step, terms)
                if reports.step and self.workers.leads:
                    reports.step(step + 1, steps, sum(terms.values()))
                if (step + 1) % CHECKPOINT_EVERY == 0 and self.workers.leads:
                    save_checkpoint(
                        checkpoint, self.network, self.optimiser, step=step + 1, run=self.identity
                    )
                    log.save()

    def _step(self, replicated: nn.Module, batch: DetectionBatch, step: int) -> dict[str, float]:
        config, missing = self.recipe.optimiser, self.recipe.missing
        share = rate_share(step, config.steps, warmup=config.warmup)
        rates = (config.backbone_rate * share, config.head_rate * share)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        trusted = missing.remedy == "ignore" and step >= missing.after * config.steps
        self.network.confident = missing.threshold if trusted else None
        device = self.workers.device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            terms = replicated(batch.pictures, batch.targets)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimiser.step()
        return {name: float(term.detach()) for name, term in terms.items()}


def _starting_network(recipe: DetectorRecipe) -> DetectionNetwork:
    if not recipe.start:
        return build_network(recipe.network, recipe.grid, pretrained=recipe.pretrained)
    network, config, grid, name = load_detection_network(Path(recipe.start))
    if config != recipe.network or grid != recipe.grid:
        raise RecipeError(
            f"start {recipe.start} ({name}) has {config} and {grid}: recipe {recipe.name} needs "
            f"{recipe.network} and {recipe.grid}"
        )
    network.backbone.keeps_statistics = recipe.pretrained
    return network


def _optimiser(network: DetectionNetwork, recipe: DetectorRecipe) -> torch.optim.AdamW:
    """Two groups: the backbone with its mixer, and the rest."""
    pyramid = network.backbone
    backbone = [*pyramid.backbone.parameters(), *pyramid.mixer.parameters()]
    chosen = {id(parameter) for parameter in backbone}
    heads = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return torch.optim.AdamW(
        [{"params": backbone}, {"params": heads}], weight_decay=recipe.optimiser.weight_decay
    )
