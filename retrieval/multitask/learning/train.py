"""Trains the heads on a detector that stays as it is, resumable to the bit on the CPU."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.detection.detector import LesionDetector
from retrieval.image import Slab
from retrieval.labels.appearance.learning.nodule_head import fit_head
from retrieval.lesion import BOX_PADDING_PX, LesionSearchError, Split
from retrieval.multitask.crops import seen_by_trunk
from retrieval.multitask.heads import LesionHeads, RoiWidths
from retrieval.multitask.learning.batches import CropBatch, CropBatches
from retrieval.multitask.learning.detections import detections, fit_refinement, gain
from retrieval.multitask.learning.rated import rated_nodules
from retrieval.multitask.learning.recipe import MultitaskRecipe
from retrieval.multitask.network import MultitaskNetwork, mask_on
from retrieval.progress import ReportProgress
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.level import JITTER_MM, LEVELS
from retrieval.segmentation.learning.losses import mask_losses
from retrieval.segmentation.learning.prompting import extent_box, jittered
from retrieval.segmentation.learning.recipe import MaskRecipe
from retrieval.segmentation.learning.train import (
    MaskSources,
    held_out_lesions,
    training_lesions,
)
from retrieval.sources.archive import Archive
from retrieval.training.checkpoint import run_identity
from retrieval.training.loop import Reports, RunFolder, TrainingLoop
from retrieval.training.prefetch import ahead
from retrieval.training.workers import Workers

CHECKPOINT_EVERY = 50
LOG_EVERY = 10
LEARNT_FROM = (Split.TRAIN, Split.VALIDATION)


class MultitaskDataError(LesionSearchError):
    """Sources that the heads cannot learn from."""


@dataclass(frozen=True)
class MultitaskSources:
    """Where the heads learn from; each may be missing.

    Attributes:
        masks: lesions with masks; its nodules are those with ratings.
        archives: key slices with marks, whose detections the refinement layer learns from.
    """

    masks: MaskSources
    archives: tuple[Archive, ...] = field(default=())


@dataclass(frozen=True)
class TrainedHeads:
    """What a run left behind.

    Attributes:
        refinement: what the fitted layer gained on validation patients, and whether it is kept.
    """

    path: Path
    fingerprint: str
    steps: int
    lesions: Mapping[str, int]
    refinement: Mapping[str, Any]


def train_heads(
    detector: LesionDetector,
    sources: MultitaskSources,
    recipe: MultitaskRecipe,
    out: Path,
    *,
    reports: Reports | None = None,
) -> TrainedHeads:
    """Masks, their level, tags and the refinement; writes ``out/multitask.safetensors``.

    The train split alone is learnt from; validation patients choose the level of the masks and
    the features of the tags, and whether the refinement stays. Called again with the same
    arguments it goes on from the last checkpoint.

    Raises:
        MultitaskDataError: nothing to learn masks from.
        CheckpointError: ``out`` holds another run.
    """
    reports = reports or Reports()
    drawn = MaskRecipe(seed=recipe.seed, data=recipe.data)
    lesions = training_lesions(sources.masks, drawn, out, report=reports.cache)
    heads = train_masks(detector, lesions, recipe, out, reports=reports)
    network = MultitaskNetwork(detector, heads)
    held_out = held_out_lesions(sources.masks)
    if held_out:
        move_level(heads, best_level(network, held_out, seed=recipe.seed, progress=reports.cache))
    if sources.masks.nodules:
        rated = rated_nodules(sources.masks.nodules, network, LEARNT_FROM, reports.cache)
        head, _ = fit_head(rated, encoder=detector.fingerprint, name="multitask")
        heads.with_tags(head)
    refined = _refine(network, sources.archives, recipe, reports.cache)
    path = out / "multitask.safetensors"
    fingerprint = heads.save(path, name=recipe.name)
    (out / "multitask.json").write_text(json.dumps(refined, indent=1) + "\n", encoding="utf-8")
    counts = Counter(lesion.source for lesion in lesions)
    return TrainedHeads(path, fingerprint, recipe.optimiser.steps, counts, refined)


def train_masks(
    detector: LesionDetector,
    lesions: Sequence[MaskedLesion],
    recipe: MultitaskRecipe,
    out: Path,
    *,
    reports: Reports,
) -> LesionHeads:
    """Heads whose mask head is trained on lesions, on the detector's frozen maps."""
    if not any(lesion.key_slices for lesion in lesions):
        raise MultitaskDataError(
            "no lesion with a mask to train on: name a folder of nodules or sarcomas, or set "
            "data.phantoms above 0"
        )
    torch.manual_seed(recipe.seed)
    widths = RoiWidths.of(detector)
    heads = LesionHeads(widths, recipe.masks, detector=detector.fingerprint)
    decides = {key: part for key, part in asdict(recipe).items() if key != "refinement"}
    identity = run_identity([decides, detector.fingerprint, [lesion.name for lesion in lesions]])
    loop: TrainingLoop[CropBatch] = TrainingLoop(
        heads.masks,
        recipe.optimiser,
        RunFolder(out, identity, CHECKPOINT_EVERY, LOG_EVERY),
        backbone=heads.masks.first.parameters(),
        workers=Workers("cpu"),
    )

    def terms(masks: nn.Module, batch: CropBatch, _step: int) -> Mapping[str, Tensor]:
        inputs, order = seen_by_trunk(detector, batch.crops)
        shares = torch.from_numpy(batch.shares)[order]
        with torch.autocast("cpu", torch.bfloat16):
            logits = masks(inputs)
        return mask_losses(logits.float(), shares, recipe.loss)

    first = loop.resume()
    heads.train()
    make = CropBatches(lesions, recipe, detector.spec)
    loop.go(first, ahead(make, first, recipe.optimiser.steps), terms, reports.step)
    return heads.eval()


def best_level(
    network: MultitaskNetwork,
    lesions: Sequence[MaskedLesion],
    *,
    seed: int,
    progress: ReportProgress | None = None,
) -> float:
    """The level with the best mean Dice on key slices of left-out patients, from boxes."""
    scores = np.zeros(len(LEVELS))
    for number, lesion in enumerate(lesions):
        values = boxed_mask(network, lesion, np.random.default_rng([seed, number]))
        truth = lesion.mask[lesion.slab.key_slice]
        for k, level in enumerate(LEVELS):
            found = values > level
            scores[k] += 2 * (found & truth).sum() / max(found.sum() + truth.sum(), 1)
        if progress:
            progress(number + 1, len(lesions))
    return LEVELS[int(scores.argmax())]


def boxed_mask(
    network: MultitaskNetwork, lesion: MaskedLesion, rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(rows, columns): the probability on the key slice from a box about a jittered mark."""
    slab: Slab = lesion.slab
    mark = jittered(lesion.mark_on(slab.key_slice), JITTER_MM, slab.spacing_mm_px, rng)
    return mask_on(network, slab, extent_box(mark, BOX_PADDING_PX))


def move_level(heads: LesionHeads, level: float) -> None:
    """Makes ``level`` the masks' one half, in place."""
    with torch.no_grad():
        bias = heads.masks.last.bias
        assert bias is not None
        bias.sub_(math.log(level / (1 - level)))


def _refine(
    network: MultitaskNetwork,
    archives: Sequence[Archive],
    recipe: MultitaskRecipe,
    progress: ReportProgress | None,
) -> dict[str, Any]:
    """Fits the refinement layer; keeps it if it gains on validation patients for sure."""
    if not archives:
        return {"kept": False, "why": "no archive of key slices was given"}
    config = recipe.refinement
    known = detections(network, archives, Split.TRAIN, config, progress)
    held_out = detections(network, archives, Split.VALIDATION, config, progress)
    counts = {"boxes": len(known.inputs), "validation_boxes": len(held_out.inputs)}
    if not len(known.inputs) or not len(held_out.inputs):
        return {"kept": False, "why": "no detections to learn from or to judge by", **counts}
    layer = fit_refinement(network.heads.refinement, known, config)
    found = gain(layer, held_out, seed=recipe.seed)
    kept = found[1] > 0
    if kept:
        network.heads.refinement = layer
    weights = [round(x, 4) for x in layer.layer.weight.detach()[0].tolist()]
    return {
        "kept": kept,
        "auc_gain": [round(x, 4) for x in found],
        "weights": weights,
        "offset": round(layer.layer.bias.item(), 4),
        **counts,
    }
