"""Trains a height network on real series: one loop, resumable to the bit on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from retrieval.training.checkpoint import load_checkpoint, run_identity, save_checkpoint
from retrieval.training.config import RecipeError
from retrieval.training.prefetch import ahead
from retrieval.training.run_log import RunLog
from retrieval.training.schedule import rate_share

CHECKPOINT_EVERY = 25
LOG_EVERY = 5

StepReport = Callable[[int, int, float], None]


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
    report: StepReport | None = None,
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
    """The state of one run, and the loop."""

    def __init__(self, recipe: HeightRecipe, series: Sequence[HeightSeries], out: Path) -> None:
        self.recipe, self.series, self.out = recipe, series, out
        torch.manual_seed(recipe.seed)
        self.network = _starting_network(recipe)
        self.network.frozen_stages = recipe.optimiser.frozen_stages if recipe.pretrained else 0
        self.optimiser = _optimiser(self.network, recipe)
        spans = np.array([min(one.span_mm, recipe.data.longest_mm) for one in series])
        self.chances = spans / spans.sum()
        self.identity = run_identity([recipe.to_dict(), [one.name for one in series]])

    def go(self, report: StepReport | None) -> HeightNetwork:
        """From the checkpoint, or from the start, to the last step."""
        checkpoint = self.out / "checkpoint.safetensors"
        steps = self.recipe.optimiser.steps
        self.out.mkdir(parents=True, exist_ok=True)
        first = load_checkpoint(checkpoint, self.network, self.optimiser, run=self.identity)
        self.network.train()
        with RunLog(self.out, first, enabled=True) as log:
            for step, (pictures, heights) in ahead(self._batch, first, steps):
                terms = self._step(pictures, heights, step)
                if step % LOG_EVERY == 0 or step + 1 == steps:
                    log.add(step, terms)
                if report:
                    report(step + 1, steps, sum(terms.values()))
                if (step + 1) % CHECKPOINT_EVERY == 0:
                    save_checkpoint(
                        checkpoint, self.network, self.optimiser, step=step + 1, run=self.identity
                    )
                    log.save()
        return self.network

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

    def _step(self, pictures: Tensor, heights: Tensor, step: int) -> dict[str, float]:
        config = self.recipe.optimiser
        share = rate_share(step, config.steps, warmup=config.warmup)
        rates = (config.backbone_rate * share, config.head_rate * share)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        scores = self.network(pictures.flatten(0, 1)).view(heights.shape)
        terms = height_losses(scores, heights, self.recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimiser.step()
        return {name: float(term.detach()) for name, term in terms.items()}


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


def _optimiser(network: HeightNetwork, recipe: HeightRecipe) -> torch.optim.AdamW:
    """Two groups: the trunk, and the head that starts at zero."""
    head = list(network.head.parameters())
    chosen = {id(parameter) for parameter in head}
    frozen = [network.stem, *list(network.stages)[: network.frozen_stages]]
    if network.frozen_stages:
        chosen |= {id(parameter) for stage in frozen for parameter in stage.parameters()}
    trunk = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return torch.optim.AdamW(
        [{"params": trunk}, {"params": head}], weight_decay=recipe.optimiser.weight_decay
    )
