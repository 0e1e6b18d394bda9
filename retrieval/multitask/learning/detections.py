"""Training detections: what the refinement layer reads of them, and which are lesions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from retrieval.detection.proposals import Proposal
from retrieval.detection.training_data import MarkedSlice, marked_slices
from retrieval.labels.appearance.learning.fitting import auc
from retrieval.lesion import Box, Split
from retrieval.multitask.learning.recipe import RefinementConfig
from retrieval.multitask.network import MultitaskNetwork
from retrieval.multitask.refinement import ScoreRefinement
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive

HIT_IOU = 0.5
UNSURE_IOU = 0.2
"""A box that overlaps a mark more than this and hits none teaches nothing."""

DRAWS = 500
REACH_MM = {"pasted": 40.0, "pasted_validation": 40.0, "sarcoma": 30.0}
"""By archive, how far from a mark the background is known, as in the detector's recipe."""


@dataclass(frozen=True)
class Detections:
    """Boxes of a detector.

    Attributes:
        inputs: (boxes, numbers) of the refinement layer.
        is_lesion: (boxes,), 1 or 0.
        patients: (boxes,), as numbers.
    """

    inputs: Tensor
    is_lesion: Tensor
    patients: NDArray[np.int64]


def detections(
    network: MultitaskNetwork,
    archives: Sequence[Archive],
    split: Split,
    config: RefinementConfig,
    progress: ReportProgress | None = None,
) -> Detections:
    """The detector's best boxes on key slices of a split, those left out that nobody can judge."""
    inputs: list[Tensor] = []
    truth: list[float] = []
    patients: list[int] = []
    number: dict[str, int] = {}
    slices = [(archive, one) for archive in archives for one in _drawn(archive, split, config)]
    for done, (archive, marked) in enumerate(slices, start=1):
        slab = archive.slab(marked.key, half_depth_mm=network.detector.half_depth_mm)
        proposals, look = network.seen(slab)
        if progress:
            progress(done, len(slices))
        judged = [
            (one, verdict)
            for one in proposals[: config.boxes]
            if (verdict := verdict_on(one, marked, (archive.root.name, slab.spacing_mm_px[0])))
            is not None
        ]
        if not judged:
            continue
        inputs.append(network.refinement_inputs(look, [one for one, _ in judged]))
        truth += [verdict for _, verdict in judged]
        owner = number.setdefault(marked.key.patient_id, len(number))
        patients += [owner] * len(judged)
    joined = torch.cat(inputs) if inputs else torch.zeros(0, network.heads.refinement.inputs)
    return Detections(joined, torch.tensor(truth), np.array(patients, np.int64))


def _drawn(archive: Archive, split: Split, config: RefinementConfig) -> list[MarkedSlice]:
    """As many key slices of a split as the recipe says, spread over all of them."""
    found = marked_slices(archive, split, rng=np.random.default_rng(0))
    found = [one for one in found if one.lesions]
    return found[:: max(1, len(found) // config.slices)][: config.slices]


def verdict_on(one: Proposal, marked: MarkedSlice, place: tuple[str, float]) -> float | None:
    """1 for a lesion, 0 for none, None where it is not known."""
    name, mm_px = place
    boxes = [lesion.box for lesion in marked.lesions]
    overlaps = [one.box.iou(box) for box in (*boxes, *marked.nearby)]
    if max(one.box.iou(box) for box in boxes) >= HIT_IOU:
        return 1.0
    if max(overlaps) > UNSURE_IOU:
        return None
    reach_px = REACH_MM.get(name, np.inf) / mm_px
    return 0.0 if min(_gap(one.box, box) for box in boxes) <= reach_px else None


def _gap(one: Box, other: Box) -> float:
    """Pixels from a box's middle to another box, 0 inside."""
    x, y = one.center
    return float(
        np.hypot(
            max(other.x1 - x, x - other.x2, 0.0),
            max(other.y1 - y, y - other.y2, 0.0),
        )
    )


def fit_refinement(
    layer: ScoreRefinement, known: Detections, config: RefinementConfig
) -> ScoreRefinement:
    """A layer that tells lesions by all it reads; held to what ``layer`` is.

    Inputs are standardised within the fit, so that the decay weighs them alike.
    """
    fitted = copy.deepcopy(layer)
    start = layer.layer.weight.detach()[0].clone()
    spread = known.inputs.std(dim=0).clamp(min=1e-3)
    step = torch.zeros(len(start), requires_grad=True)
    offset = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([step, offset], max_iter=200)

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = known.inputs @ (start + step / spread) + offset
        value = functional.binary_cross_entropy_with_logits(logits, known.is_lesion)
        value = value + config.decay * step.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        fitted.layer.weight[0] = start + step.detach() / spread
        fitted.layer.bias.copy_(offset.detach())
    return fitted


def gain(layer: ScoreRefinement, held_out: Detections, *, seed: int = 0) -> tuple[float, ...]:
    """AUC of refined scores less that of the box's own on left-out patients: value, low, high."""
    with torch.no_grad():
        refined = layer(held_out.inputs).numpy().astype(np.float64)
    own = held_out.inputs[:, 0].numpy().astype(np.float64)
    truth = held_out.is_lesion.numpy() > 0.5
    rng = np.random.default_rng(seed)
    count = int(held_out.patients.max()) + 1
    rows_of = [np.flatnonzero(held_out.patients == one) for one in range(count)]
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([rows_of[k] for k in rng.integers(0, count, count)])
        drawn.append(auc(refined[rows], truth[rows]) - auc(own[rows], truth[rows]))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return auc(refined, truth) - auc(own, truth), float(low), float(high)
