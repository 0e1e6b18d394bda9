"""Trains a detector, resumable to the bit on the CPU, on one GPU or several.

    torchrun --nproc-per-node 8 $(which lesion-search) train detector --archive DeepLesion \
        --recipe 3dce-27 --out runs/detector
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.detection.batches import DetectionBatch, SliceBatches
from retrieval.detection.detector import fingerprint, load_detection_network, save_detector
from retrieval.detection.network import DetectionNetwork, build_network
from retrieval.detection.recipe import DetectorRecipe
from retrieval.detection.training_data import TrainingSlices, with_categories
from retrieval.sources.archive import Archive
from retrieval.training.checkpoint import run_identity
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports, ReportStep, RunFolder, TrainingLoop
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


def train_detector(
    archives: Sequence[Archive],
    recipe: DetectorRecipe,
    out: Path,
    *,
    device: str | None = None,
    reports: Reports | None = None,
) -> TrainedDetector:
    """Trains on the train split of all archives and writes ``out/detector.safetensors``.

    ``out`` also holds the slice cache, the checkpoint, the log and the loss curve. Called again
    with the same arguments it goes on from the last checkpoint, to the same result.

    Raises:
        DetectorDataError: no archive, or none with a slice to train on.
        CacheError, CheckpointError: ``out`` holds another run.
        RecipeError: the detector to start from does not fit the recipe.
    """
    reports = reports or Reports()
    recipe = with_categories(recipe)
    with Workers(device) as workers:
        training = workers.leader_first(
            lambda: TrainingSlices.open(archives, recipe, out / "cache", progress=reports.cache)
        )
        run = _Run(recipe, training, workers, out)
        run.go(reports.step)
        path = out / "detector.safetensors"
        if workers.leads:
            save_detector(
                run.network.cpu(),
                recipe.network,
                recipe.grid,
                path,
                name=f"{recipe.network.head}-{recipe.name}",
            )
        workers.wait()
        network, config, grid, _ = load_detection_network(path)
        return TrainedDetector(
            path, fingerprint(network, config, grid), recipe.optimiser.steps, training.count
        )


class _Run:
    """The state of one run on one worker: what the loop asks for."""

    def __init__(
        self, recipe: DetectorRecipe, training: TrainingSlices, workers: Workers, out: Path
    ) -> None:
        self.recipe, self.workers = recipe, workers
        torch.manual_seed(recipe.seed)
        self.network = starting_network(recipe).to(workers.device)
        share = max(1, recipe.optimiser.slices // workers.count)
        self.batches = SliceBatches(training, recipe, share, workers.rank)
        self.loop: TrainingLoop[DetectionBatch] = TrainingLoop(
            self.network,
            recipe.optimiser,
            RunFolder(
                out,
                run_identity([asdict(recipe), training.count]),
                CHECKPOINT_EVERY,
                LOG_EVERY,
            ),
            backbone=self.network.backbone.slow_parameters(),
            workers=workers,
        )

    def go(self, report: ReportStep | None) -> None:
        """From the checkpoint, or from the start, to the last step."""
        first = self.loop.resume()
        self.network.train()
        batches = self.batches.ahead(first, self.recipe.optimiser.steps)
        self.loop.go(first, batches, self._terms, report)

    def _terms(
        self, replicated: nn.Module, batch: DetectionBatch, step: int
    ) -> Mapping[str, Tensor]:
        missing = self.recipe.missing
        trusted = missing.remedy == "ignore" and step >= missing.after * self.recipe.optimiser.steps
        self.network.confident = missing.threshold if trusted else None
        device = self.workers.device
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            terms: Mapping[str, Tensor] = replicated(batch.pictures, batch.targets)
        return terms


def starting_network(recipe: DetectorRecipe) -> DetectionNetwork:
    """The network of a run's first step; raises RecipeError where its start does not fit."""
    if not recipe.start:
        return build_network(recipe.network, recipe.grid, pretrained=recipe.pretrained)
    network, config, grid, name = load_detection_network(Path(recipe.start))
    if recipe.start_partly:
        fresh = build_network(recipe.network, recipe.grid, pretrained=recipe.pretrained)
        take_fitting(fresh, network.state_dict())
        return fresh
    if config != recipe.network or grid != recipe.grid:
        raise RecipeError(
            f"start {recipe.start} ({name}) has {config} and {grid}: recipe {recipe.name} needs "
            f"{recipe.network} and {recipe.grid}; set start_partly = true to take what fits"
        )
    network.backbone.keeps_statistics = recipe.pretrained
    return network


def take_fitting(network: DetectionNetwork, weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Gives a network the weights whose names and shapes it has; returns the names it took.

    A layer that told one class is repeated for each class of a network of several, which then
    starts by giving every class the score of a lesion.
    """
    own = network.state_dict()
    taken = {}
    for key, value in own.items():
        known = weights.get(key)
        if known is None:
            continue
        if "cls_logits" in key and known.shape[1:] == value.shape[1:]:
            times, rest = divmod(len(value), len(known))
            known = known.repeat_interleave(times, dim=0) if times and not rest else known
        if known.shape == value.shape:
            taken[key] = known
    network.load_state_dict({**own, **taken})
    return tuple(taken)
