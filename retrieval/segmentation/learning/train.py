"""Trains a mask network, resumable to the bit on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError, Split
from retrieval.progress import ReportProgress
from retrieval.segmentation.learning.batches import BatchMaker, MaskBatch
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.losses import mask_losses
from retrieval.segmentation.learning.painted import painted_lesions
from retrieval.segmentation.learning.phantoms import phantom_lesions
from retrieval.segmentation.learning.real import read_nodules, read_sarcomas
from retrieval.segmentation.learning.recipe import MaskRecipe
from retrieval.segmentation.network import MaskNetwork
from retrieval.segmentation.network_file import save_mask_network
from retrieval.training.checkpoint import run_identity
from retrieval.training.loop import Reports, RunFolder, TrainingLoop
from retrieval.training.prefetch import ahead
from retrieval.training.workers import Workers

CHECKPOINT_EVERY = 100
LOG_EVERY = 10


class SegmentationDataError(LesionSearchError):
    """Lesions that cannot be learned from."""


@dataclass(frozen=True)
class MaskSources:
    """Where lesions with masks come from; each may be missing.

    Attributes:
        nodules, sarcomas: folders of the two collections with masks of readers.
        slices: folders of whole real slices to paint lesions into.
    """

    nodules: Path | None = None
    sarcomas: Path | None = None
    slices: tuple[Path, ...] = ()


@dataclass(frozen=True)
class TrainedSegmentation:
    """What a run left behind."""

    path: Path
    fingerprint: str
    steps: int
    lesions: Mapping[str, int]


def train_segmentation(
    sources: MaskSources, recipe: MaskRecipe, out: Path, *, reports: Reports | None = None
) -> TrainedSegmentation:
    """Trains on the train split of the sources; writes ``segmentation.safetensors``.

    ``out`` also holds phantoms once made, the checkpoint and the log. Called again with the same
    arguments it goes on from the last checkpoint, to the same result.

    Raises:
        SegmentationDataError: nothing to learn from.
        CheckpointError: ``out`` holds another run.
    """
    reports = reports or Reports()
    lesions = training_lesions(sources, recipe, out, report=reports.cache)
    return train_on(lesions, recipe, out, reports=reports)


def train_on(
    lesions: Sequence[MaskedLesion], recipe: MaskRecipe, out: Path, *, reports: Reports
) -> TrainedSegmentation:
    """As ``train_segmentation``, on lesions that are at hand."""
    if not any(lesion.key_slices for lesion in lesions):
        raise SegmentationDataError(
            "no lesion with a mask to train on: name a folder of nodules or sarcomas, or set "
            "data.phantoms above 0"
        )
    network = _Run(recipe, lesions, out).go(reports)
    path = out / "segmentation.safetensors"
    fingerprint = save_mask_network(network, recipe.view, path, name=recipe.name)
    counts = Counter(lesion.source for lesion in lesions)
    return TrainedSegmentation(path, fingerprint, recipe.optimiser.steps, counts)


def training_lesions(
    sources: MaskSources, recipe: MaskRecipe, out: Path, *, report: ReportProgress | None = None
) -> list[MaskedLesion]:
    """Every lesion of the train split, real, painted and of phantoms."""
    lesions: list[MaskedLesion] = []
    if sources.nodules:
        lesions += read_nodules(sources.nodules, Split.TRAIN)
    if sources.sarcomas:
        lesions += read_sarcomas(sources.sarcomas, Split.TRAIN)
    if sources.slices and recipe.data.painted:
        lesions += painted_lesions(
            sources.slices,
            each=recipe.data.painted,
            seed=recipe.seed,
            left_out=recipe.data.left_out,
        )
    if recipe.data.phantoms:
        lesions += phantom_lesions(
            recipe.data.phantoms, recipe.seed, out / "phantoms", report=report
        )
    return lesions


class _Run:
    """The state of one run: what the loop asks for."""

    def __init__(self, recipe: MaskRecipe, lesions: Sequence[MaskedLesion], out: Path) -> None:
        self.recipe = recipe
        self.batches = BatchMaker(lesions, recipe)
        torch.manual_seed(recipe.seed)
        self.network = MaskNetwork(recipe.view.channels, recipe.network)
        self.network.to(memory_format=torch.channels_last)
        identity = run_identity([recipe.to_dict(), [lesion.name for lesion in lesions]])
        self.loop: TrainingLoop[MaskBatch] = TrainingLoop(
            self.network,
            recipe.optimiser,
            RunFolder(out, identity, CHECKPOINT_EVERY, LOG_EVERY),
            backbone=self.network.down.parameters(),
            workers=Workers("cpu"),
        )

    def go(self, reports: Reports) -> MaskNetwork:
        """From the checkpoint, or from the start, to the last step."""
        first = self.loop.resume()
        self.network.train()
        batches = ahead(self.batches, first, self.recipe.optimiser.steps)
        self.loop.go(first, batches, self._terms, reports.step)
        return self.network

    def _terms(self, network: nn.Module, batch: MaskBatch, _step: int) -> Mapping[str, Tensor]:
        views = torch.from_numpy(batch.views).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(views)
        return mask_losses(logits.float(), torch.from_numpy(batch.shares), self.recipe.loss)
