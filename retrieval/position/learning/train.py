"""Trains a height network on real series, resumable to the bit on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.position.learning.anchors import Anchor
from retrieval.position.learning.anchors import anchors as bundled_anchors
from retrieval.position.learning.augment import augment_series
from retrieval.position.learning.losses import height_losses
from retrieval.position.learning.recipe import HeightRecipe
from retrieval.position.learning.series import HeightSeries, PositionDataError, read_series
from retrieval.position.network import HeightNetwork
from retrieval.position.network_file import load_height_network, save_height_network
from retrieval.training.checkpoint import run_identity
from retrieval.training.config import RecipeError
from retrieval.training.loop import ReportStep, RunFolder, TrainingLoop
from retrieval.training.prefetch import ahead
from retrieval.training.workers import Workers

CHECKPOINT_EVERY = 25
LOG_EVERY = 5

_Batch = tuple[Tensor, Tensor]
"""(series, slices, size, size) pictures and (series, slices) heights in mm."""


@dataclass(frozen=True)
class TrainedPosition:
    """What a run left behind."""

    path: Path
    fingerprint: str
    steps: int
    series: int
    slices: int


def train_position(
    folders: Sequence[Path],
    recipe: HeightRecipe,
    out: Path,
    *,
    anchors: Mapping[str, Anchor] | None = None,
    report: ReportStep | None = None,
) -> TrainedPosition:
    """Trains on every anchored series that is not left out; writes ``position.safetensors``.

    ``out`` also holds the checkpoint, the log and the loss curve. Called again with the same
    arguments it goes on from the last checkpoint, to the same result.

    Raises:
        PositionDataError: fewer series than a step needs.
        CheckpointError: ``out`` holds another run.
    """
    left_out = tuple(recipe.data.left_out)
    series = [
        one
        for folder in folders
        for one in read_series(
            folder,
            recipe.picture,
            anchors=anchors if anchors is not None else bundled_anchors(),
            wanted=lambda name: not (left_out and name.startswith(left_out)),
        )
    ]
    if len(series) < recipe.data.series:
        raise PositionDataError(
            f"{len(series)} anchored series of 8 slices or more to train on: a step needs "
            f"{recipe.data.series} (data.series)"
        )
    network = _Run(recipe, series, out).go(report)
    path = out / "position.safetensors"
    fingerprint = save_height_network(network, recipe.picture, path, name=recipe.name)
    slices = sum(len(one.heights_mm) for one in series)
    return TrainedPosition(path, fingerprint, recipe.optimiser.steps, len(series), slices)


class _Run:
    """The state of one run: what the loop asks for."""

    def __init__(self, recipe: HeightRecipe, series: Sequence[HeightSeries], out: Path) -> None:
        self.recipe, self.series = recipe, series
        torch.manual_seed(recipe.seed)
        self.network = _starting_network(recipe)
        # Frozen stages get no gradients, so that the optimiser leaves them alone.
        self.network.frozen_stages = recipe.optimiser.frozen_stages if recipe.pretrained else 0
        spans = np.array([min(one.span_mm, recipe.data.longest_mm) for one in series])
        self.chances = spans / spans.sum()
        identity = run_identity([asdict(recipe), [one.name for one in series]])
        head = {id(parameter) for parameter in self.network.head.parameters()}
        self.loop: TrainingLoop[_Batch] = TrainingLoop(
            self.network,
            recipe.optimiser,
            RunFolder(out, identity, CHECKPOINT_EVERY, LOG_EVERY),
            backbone=[one for one in self.network.parameters() if id(one) not in head],
            workers=Workers("cpu"),
        )

    def go(self, report: ReportStep | None) -> HeightNetwork:
        """From the checkpoint, or from the start, to the last step."""
        first = self.loop.resume()
        self.network.train()
        batches = ahead(self._batch, first, self.recipe.optimiser.steps)
        self.loop.go(first, batches, self._terms, report)
        return self.network

    def _terms(self, network: nn.Module, batch: _Batch, _step: int) -> Mapping[str, Tensor]:
        pictures, heights = batch
        scores = network(pictures.flatten(0, 1)).view(heights.shape)
        return height_losses(scores, heights, self.recipe.loss)

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(series, slices, size, size) pictures and (series, slices) heights in mm."""
        data, rng = self.recipe.data, np.random.default_rng([self.recipe.seed, step])
        pictures, heights = [], []
        for number in rng.choice(len(self.series), data.series, replace=False, p=self.chances):
            one = self.series[number]
            chosen = np.sort(rng.choice(len(one.heights_mm), data.slices, replace=False))
            changed = augment_series(
                one.pictures[chosen],
                one.half_sizes_mm[chosen],
                self.recipe.picture.mm_px,
                self.recipe.augment,
                rng,
            )
            pictures.append(changed)
            heights.append(one.heights_mm[chosen])
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(heights))


def _starting_network(recipe: HeightRecipe) -> HeightNetwork:
    if not recipe.start:
        return HeightNetwork(recipe.network, pretrained=recipe.pretrained)
    network, spec, header = load_height_network(Path(recipe.start))
    if network.config != recipe.network or spec != recipe.picture:
        raise RecipeError(
            f"start {recipe.start} ({header['name']}) has {network.config} and {spec}: recipe "
            f"{recipe.name} needs {recipe.network} and {recipe.picture}"
        )
    return network
