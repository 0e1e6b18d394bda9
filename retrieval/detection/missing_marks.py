"""Losses that forgive: where a slice was not searched for lesions, nothing is learned from it.

About half of DeepLesion's lesions are not marked, and a detector that is punished for finding
them learns to miss. Three kinds of places are left out of the classification loss: regions known
to hold a lesion without a mark on this slice, places too far from any mark on slices that nobody
has searched, and, in the ``ignore`` remedy, places where the network itself is confident of a
lesion that has no mark (the confident negatives of Zhang et al., ICASSP 2020, background
recalibration loss, arXiv 2002.05274, left out here instead of turned over).

A target is a dict of tensors: ``boxes`` (n, 4), ``labels`` (n,) from 0, ``ignored`` (m, 4), and
``reach_px``, a scalar: how far from a mark the background is known; infinite on a searched slice.
It may have ``negatives`` (k, 4), places known to hold no lesion whatever the reach, and what
``retrieval.detection.parts.side_lessons`` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.ops import box_area, box_iou

IGNORED_LOGIT = -30.0
PROTECTED_IOU = 0.3
"""An anchor that overlaps a mark this much is the mark's own, whatever else lies there."""

IGNORED_SHARE = 0.3
"""An anchor with this share of its area on an ignored region is left out."""

Targets = Sequence[dict[str, Tensor]]


class ForgivingRetinaNet(RetinaNet):
    """RetinaNet (Lin et al., ICCV 2017, arXiv 1708.02002) whose background loss has an ignore mask.

    ``confident`` is the score above which unmarked detections are left out; None for never.
    """

    confident: float | None = None

    def compute_loss(
        self, targets: Targets, head_outputs: dict[str, Tensor], anchors: list[Tensor]
    ) -> dict[str, Tensor]:
        """The loss terms of a batch."""
        kept = without_ignored(head_outputs, targets, anchors, confident=self.confident)
        terms: dict[str, Tensor] = super().compute_loss(targets, kept, anchors)
        beside: dict[str, Tensor] = self.backbone.lessons.terms(targets)
        return terms | beside


class ForgivingFCOS(FCOS):
    """FCOS (Tian et al., ICCV 2019, arXiv 1904.01355) whose background loss has an ignore mask."""

    confident: float | None = None

    def compute_loss(
        self,
        targets: Targets,
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        num_anchors_per_level: list[int],
    ) -> dict[str, Tensor]:
        """The loss terms of a batch."""
        kept = without_ignored(head_outputs, targets, anchors, confident=self.confident)
        terms: dict[str, Tensor] = super().compute_loss(
            targets, kept, anchors, num_anchors_per_level
        )
        beside: dict[str, Tensor] = self.backbone.lessons.terms(targets)
        return terms | beside


def without_ignored(
    head_outputs: dict[str, Tensor],
    targets: Targets,
    anchors: Sequence[Tensor],
    *,
    confident: float | None,
) -> dict[str, Any]:
    """The head's outputs with logits of no gradient, and next to no loss, where none is due."""
    logits = head_outputs["cls_logits"]  # (n, anchors, classes)
    masks = []
    for own, target, places in zip(logits, targets, anchors, strict=True):
        mask = unknown_places(places, target)
        if confident is not None:
            surest = own.detach().sigmoid().max(dim=1).values
            mask |= (surest > confident) & ~_protected(places, target["boxes"])
        masks.append(mask)
    ignored = torch.stack(masks)[..., None]
    return {**head_outputs, "cls_logits": logits.masked_fill(ignored, IGNORED_LOGIT)}


def unknown_places(anchors: Tensor, target: dict[str, Tensor]) -> Tensor:
    """(anchors,): where it is not known whether there is a lesion."""
    unknown = torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    ignored, boxes, reach = target["ignored"], target["boxes"], target["reach_px"]
    if len(ignored):
        unknown |= _shares(anchors, ignored).max(dim=1).values > IGNORED_SHARE
    if torch.isfinite(reach):
        far = torch.ones_like(unknown)
        if len(boxes):
            far = _distances(anchors, boxes).min(dim=1).values > reach
        unknown |= far & ~_held(anchors, target.get("negatives"))
    return unknown & ~_protected(anchors, boxes)


def _held(anchors: Tensor, boxes: Tensor | None) -> Tensor:
    """(anchors,): whether an anchor's middle lies in any of the boxes."""
    if boxes is None or len(boxes) == 0:
        return torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    return (_distances(anchors, boxes) == 0).any(dim=1)


def _protected(anchors: Tensor, boxes: Tensor) -> Tensor:
    if len(boxes) == 0:
        return torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    inside = (centers[:, None] > boxes[None, :, :2]) & (centers[:, None] < boxes[None, :, 2:])
    held = inside.all(dim=2).any(dim=1)
    overlaps: Tensor = box_iou(anchors, boxes).max(dim=1).values
    return held | (overlaps > PROTECTED_IOU)


def _shares(anchors: Tensor, regions: Tensor) -> Tensor:
    """(anchors, regions): the share of each anchor's area on each region."""
    low = torch.maximum(anchors[:, None, :2], regions[None, :, :2])
    high = torch.minimum(anchors[:, None, 2:], regions[None, :, 2:])
    shares: Tensor = (high - low).clamp(min=0).prod(dim=2) / box_area(anchors)[:, None]
    return shares


def _distances(anchors: Tensor, boxes: Tensor) -> Tensor:
    """(anchors, boxes): pixels from each anchor's centre to each box, 0 inside."""
    centers = ((anchors[:, :2] + anchors[:, 2:]) / 2)[:, None]
    outside = torch.maximum(boxes[None, :, :2] - centers, centers - boxes[None, :, 2:])
    distances: Tensor = torch.linalg.vector_norm(outside.clamp(min=0), dim=2)
    return distances
