"""MultitaskNetwork: a slab to findings in one forward pass.

A finding is a box with its score, category, tags, mask and diameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.body import body_interior
from retrieval.detection.detector import LesionDetector
from retrieval.detection.network import scaled
from retrieval.detection.proposals import Proposal, best_few
from retrieval.detection.whole_slice import WholeSlice, whole_slice
from retrieval.image import Slab
from retrieval.labels.appearance.prediction import features_of_patches
from retrieval.lesion import Box
from retrieval.multitask.crops import crop_about, seen_by_trunk
from retrieval.multitask.heads import LesionHeads
from retrieval.multitask.refinement import inside_of, logit, mask_numbers
from retrieval.multitask.rois import (
    RoiInputs,
    RoiSquares,
    SharedMaps,
    edges_of,
    heard,
    roi_inputs,
)
from retrieval.multitask.tag_vector import as_array
from retrieval.patch import Patch, extract_patch
from retrieval.segmentation.diameters import Diameters, EmptyMaskError, diameters_of
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.view import PlaneProbability, ViewGrid, ViewSpec

PATCH_PX = 96
"""Of the patch that numbers of the image are taken from, as the encoder's."""


@dataclass(frozen=True)
class LesionFinding:
    """What the network says of one place.

    Attributes:
        proposal: box, score and category; the score is the refined one.
        mask: the probability of "lesion" on the slice, display grid.
        diameters: of the mask on the display grid; None where it is empty.
        tags: a probability of each term.
    """

    proposal: Proposal
    mask: PlaneProbability
    diameters: Diameters | None
    tags: dict[str, float]


@dataclass(frozen=True)
class SliceLook:
    """One slice as the detector has seen it: its grid, its picture and the trunk's maps."""

    slab: Slab
    whole: WholeSlice
    picture: Tensor
    maps: SharedMaps


class MultitaskNetwork:
    """A detector and the heads on its maps."""

    def __init__(self, detector: LesionDetector, heads: LesionHeads) -> None:
        self.detector, self.heads = detector, heads.eval()

    def find(self, slab: Slab, *, most: int | None = None) -> tuple[LesionFinding, ...]:
        """The findings on the slab's key slice, best first.

        Boxes are the detector's own. Looked at are the best ``most``, or, without a number, those
        that an answer shows (``best_few``).
        """
        proposals, look = self.seen(slab)
        return self.of_boxes(look, best_few(proposals) if most is None else proposals[:most])

    @torch.inference_mode()
    def seen(self, slab: Slab) -> tuple[tuple[Proposal, ...], SliceLook]:
        """The detector's proposals, and the maps that it made on the way."""
        interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
        whole = whole_slice(slab, self.detector.spec, interior)
        with heard(self.detector.network.backbone) as maps:
            proposals = self.detector.on_whole_slice(slab, whole, interior)
        return proposals, SliceLook(slab, whole, picture_of(whole), maps)

    @torch.inference_mode()
    def about(self, slab: Slab, box: Box) -> tuple[RoiInputs, Tensor]:
        """What the heads read of a box of the file grid that is given, and (1, size, size) masks.

        The trunk sees a crop about the box alone.
        """
        size_px = self.heads.config.size_px
        crop = crop_about(slab, prompt_of(slab, box), self.detector.spec, size_px)
        inputs, _ = seen_by_trunk(self.detector, [crop])
        return inputs, self.heads.probabilities(inputs)

    def patch_of(self, slab: Slab, box: Box) -> Patch:
        """The patch about a box of the file grid whose numbers tags are told by."""
        return extract_patch(slab, box, replace(self.detector.spec, size_px=PATCH_PX))

    @torch.inference_mode()
    def read(self, look: SliceLook, boxes: Sequence[Box]) -> tuple[RoiInputs, Tensor, RoiSquares]:
        """What the heads read of boxes of the file grid, their masks, and where they looked."""
        squares = squares_on(look, boxes, self.heads.config.size_px)
        inputs = roi_inputs(look.picture[None], look.maps, squares, self.detector.spec)
        return inputs, self.heads.probabilities(inputs), squares

    @torch.inference_mode()
    def of_boxes(self, look: SliceLook, proposals: Sequence[Proposal]) -> tuple[LesionFinding, ...]:
        """What the heads say of proposals on a slice, best first by the refined score."""
        if not proposals:
            return ()
        boxes = [one.box for one in proposals]
        inputs, masks, squares = self.read(look, boxes)
        features = self._features(look, boxes, inputs, masks)
        head = self.heads.tag_head
        told = (
            np.zeros((len(boxes), 0), np.float32) if head is None else head.probabilities(features)
        )
        scores = [one.score for one in proposals]
        if not self.heads.refinement.is_identity:
            refined = self._inputs(look, proposals, (squares.edges, masks), features)
            scores = self.heads.refinement(refined).sigmoid().tolist()
        found = [
            self._finding(look.slab, replace(one, score=score), (mask, row))
            for one, score, mask, row in zip(proposals, scores, masks.numpy(), told, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: -one.proposal.score))

    @torch.inference_mode()
    def refinement_inputs(self, look: SliceLook, proposals: Sequence[Proposal]) -> Tensor:
        """(k, 1 + terms + 3): what the refinement layer reads of proposals on a slice."""
        boxes = [one.box for one in proposals]
        inputs, masks, squares = self.read(look, boxes)
        features = self._features(look, boxes, inputs, masks)
        return self._inputs(look, proposals, (squares.edges, masks), features)

    def _features(
        self, look: SliceLook, boxes: Sequence[Box], inputs: RoiInputs, masks: Tensor
    ) -> NDArray[np.float32]:
        patches = [self.patch_of(look.slab, box) for box in boxes]
        return features_of_patches(as_array(self.heads.vector(inputs, masks)), patches)

    def _inputs(
        self,
        look: SliceLook,
        proposals: Sequence[Proposal],
        seen: tuple[Tensor, Tensor],
        features: NDArray[np.float32],
    ) -> Tensor:
        edges, masks = seen
        size = masks.shape[-1]
        inside = torch.stack(
            [
                inside_of(look.whole.to_grid(one.box), (row[0], row[1], row[2], row[3]), size)
                for one, row in zip(proposals, edges.tolist(), strict=True)
            ]
        )
        tags = torch.zeros(len(proposals), 0)
        if self.heads.tags is not None:
            tags = self.heads.tags(torch.from_numpy(features)).propagated
        scores = torch.tensor([[logit(one.score)] for one in proposals])
        return torch.cat([scores, tags, mask_numbers(masks, inside)], dim=1)

    def _finding(
        self,
        slab: Slab,
        proposal: Proposal,
        told: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> LesionFinding:
        shape, spacing = (slab.rows, slab.columns), slab.spacing_mm_px
        grid = ViewGrid.of(prompt_of(slab, proposal.box), ViewSpec(size_px=len(told[0])))
        mask = grid.back(told[0], shape, spacing)
        tags = zip(self.heads.terms, told[1].tolist(), strict=True)
        return LesionFinding(
            proposal,
            mask,
            diameters_on(mask, spacing),
            {term.name: round(float(share), 4) for term, share in tags},
        )


def diameters_on(mask: PlaneProbability, spacing_mm_px: tuple[float, float]) -> Diameters | None:
    """The diameters of a mask, in pixels of the slice; None for an empty one."""
    try:
        found = diameters_of(mask.values, spacing_mm_px)
    except EmptyMaskError:
        return None
    left, top = float(mask.columns.start), float(mask.rows.start)
    moved = tuple((x + left, y + top) for x, y in found.recist.points)
    return replace(found, recist=replace(found.recist, points=moved))


def mask_on(network: MultitaskNetwork, slab: Slab, box: Box) -> NDArray[np.float32]:
    """(rows, columns): the probability of "lesion" about a box that is given, display grid."""
    _, masks = network.about(slab, box)
    grid = ViewGrid.of(prompt_of(slab, box), ViewSpec(size_px=masks.shape[-1]))
    plane = grid.back(masks[0].numpy(), (slab.rows, slab.columns), slab.spacing_mm_px)
    return plane.on_image((slab.rows, slab.columns))


def prompt_of(slab: Slab, box: Box) -> Prompt:
    """A box of the file grid as the mask network's prompt, in the display grid."""
    return Prompt.from_box(slab.grid.to_display_box(box), slab.spacing_mm_px)


def squares_on(look: SliceLook, boxes: Sequence[Box], size_px: int) -> RoiSquares:
    """The squares of boxes on one slice, of ``size_px`` cells a side."""
    prompts = [prompt_of(look.slab, box) for box in boxes]
    grids = [ViewGrid.of(prompt, ViewSpec(size_px=size_px)) for prompt in prompts]
    spacing = look.slab.spacing_mm_px
    guides = [grid.guide(one, spacing) for grid, one in zip(grids, prompts, strict=True)]
    return RoiSquares(
        torch.zeros(len(boxes), dtype=torch.long),
        torch.tensor([edges_of(grid, look.whole) for grid in grids], dtype=torch.float32),
        torch.from_numpy(np.stack(guides)),
    )


def picture_of(whole: WholeSlice) -> Tensor:
    """(slices, rows, columns) as the detector's network takes it."""
    return scaled(torch.from_numpy(whole.hu))
