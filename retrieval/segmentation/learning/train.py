"""Trains a mask network, resumable to the bit on the CPU."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError, Split
from retrieval.progress import ReportProgress
from retrieval.segmentation.learning.batches import BatchMaker, MaskBatch
from retrieval.segmentation.learning.calibrate import calibrate, write_calibration
from retrieval.segmentation.learning.example import MaskedLesion, on_largest_slice
from retrieval.segmentation.learning.level import with_best_level
from retrieval.segmentation.learning.losses import mask_losses
from retrieval.segmentation.learning.painted import painted_lesions
from retrieval.segmentation.learning.phantoms import phantom_lesions
from retrieval.segmentation.learning.real import read_nodules, read_sarcomas
from retrieval.segmentation.learning.recipe import MaskRecipe
from retrieval.segmentation.learning.weak import (
    WeakLesion,
    pseudo_masks,
    weak_lesions,
)
from retrieval.segmentation.network import MaskNetwork
from retrieval.segmentation.network_file import load_mask_network, save_mask_network
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.sources.archive import open_archive
from retrieval.training.checkpoint import run_identity
from retrieval.training.config import RecipeError
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
        marked: archives whose lesions have two lines and no masks (``weak``).
    """

    nodules: Path | None = None
    sarcomas: Path | None = None
    slices: tuple[Path, ...] = ()
    marked: tuple[Path, ...] = ()


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

    Where there are real lesions, those of the validation split choose the level of the masks and
    calibrate the intervals: ``segmentation.json``.

    ``out`` also holds phantoms once made, the checkpoint and the log. Called again with the same
    arguments it goes on from the last checkpoint, to the same result.

    Raises:
        SegmentationDataError: nothing to learn from.
        CheckpointError: ``out`` holds another run.
    """
    reports = reports or Reports()
    lesions = training_lesions(sources, recipe, out, report=reports.cache)
    held = held_out_lesions(sources)
    marked = [one for folder in sources.marked for one in weak_lesions(open_archive(folder))]
    if sources.marked and not recipe.weak.rounds:
        raise SegmentationDataError(
            "marks without masks are learned from in rounds: set weak.rounds above 0, or take the "
            "recipe weak"
        )
    return train_in_rounds(lesions, marked, recipe, out, reports=reports, held_out=held)


def train_in_rounds(
    lesions: Sequence[MaskedLesion],
    marked: Sequence[WeakLesion],
    recipe: MaskRecipe,
    out: Path,
    *,
    reports: Reports,
    held_out: Sequence[MaskedLesion] = (),
) -> TrainedSegmentation:
    """As ``train_on``, with marks without masks beside the lesions that have them.

    Each round makes pseudo masks with the network of the round before, in ``out/round-N``, and
    trains on them; the last run learns from those of the last network. A lesion that a round
    refuses keeps the pseudo mask of an earlier one.
    """
    start, rounds = recipe.start, recipe.weak.rounds if marked else 0
    masks: dict[str, MaskedLesion] = {}
    for number in range(rounds):
        folder = out / f"round-{number}"
        masks |= _made(marked, start, recipe, folder, number)
        steps = replace(recipe.optimiser, steps=recipe.weak.steps)
        one = replace(recipe, start=start, optimiser=steps)
        start = str(train_on([*lesions, *masks.values()], one, folder, reports=reports).path)
    if rounds:
        masks |= _made(marked, start, recipe, out, rounds)
    last = replace(recipe, start=start)
    everything = [*lesions, *masks.values()]
    return train_on(everything, last, out, reports=reports, held_out=held_out)


def _made(
    marked: Sequence[WeakLesion], start: str, recipe: MaskRecipe, folder: Path, number: int
) -> dict[str, MaskedLesion]:
    """The pseudo masks of a round by name; what it refused, and why, stands in ``masks.json``."""
    segmenter = LesionSegmenter.load(Path(start)) if start else None
    made = pseudo_masks(marked, segmenter, recipe.weak, number=number)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "accepted": [lesion.name for lesion in made.lesions],
        "refused": {name: reason.value for name, reason in made.refused.items()},
    }
    partial = folder / "masks.partial"
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / "masks.json")
    return {lesion.name: lesion for lesion in made.lesions}


def train_on(
    lesions: Sequence[MaskedLesion],
    recipe: MaskRecipe,
    out: Path,
    *,
    reports: Reports,
    held_out: Sequence[MaskedLesion] = (),
) -> TrainedSegmentation:
    """As ``train_segmentation``, on lesions that are at hand.

    Lesions of patients held out choose the level of the masks and calibrate the intervals.
    """
    if not any(lesion.key_slices for lesion in lesions):
        raise SegmentationDataError(
            "no lesion with a mask to train on: name a folder of nodules or sarcomas, or set "
            "data.phantoms above 0"
        )
    network = _Run(recipe, lesions, out).go(reports)
    path = out / "segmentation.safetensors"
    if held_out:
        with_best_level(network.eval(), recipe.view, held_out, seed=recipe.seed)
    fingerprint = save_mask_network(network, recipe.view, path, name=recipe.name)
    if held_out:
        document = calibrate(LesionSegmenter.load(path), held_out, seed=recipe.seed)
        write_calibration(document, out / "segmentation.json")
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


def held_out_lesions(sources: MaskSources) -> list[MaskedLesion]:
    """The real lesions of the validation split, each on a key slice that its mask reaches."""
    lesions: list[MaskedLesion] = []
    if sources.nodules:
        lesions += read_nodules(sources.nodules, Split.VALIDATION)
    if sources.sarcomas:
        lesions += read_sarcomas(sources.sarcomas, Split.VALIDATION)
    return [on_largest_slice(lesion) for lesion in lesions]


class _Run:
    """The state of one run: what the loop asks for."""

    def __init__(self, recipe: MaskRecipe, lesions: Sequence[MaskedLesion], out: Path) -> None:
        self.recipe = recipe
        self.batches = BatchMaker(lesions, recipe)
        torch.manual_seed(recipe.seed)
        self.network = _starting_network(recipe)
        self.network.to(memory_format=torch.channels_last)
        identity = run_identity([asdict(recipe), [lesion.name for lesion in lesions]])
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


def _starting_network(recipe: MaskRecipe) -> MaskNetwork:
    if not recipe.start:
        return MaskNetwork(recipe.view.channels, recipe.network)
    network, spec, header = load_mask_network(Path(recipe.start))
    if network.config != recipe.network or spec != recipe.view:
        raise RecipeError(
            f"start {recipe.start} ({header['name']}) has {network.config} and {spec}: recipe "
            f"{recipe.name} needs {recipe.network} and {recipe.view}"
        )
    return network
