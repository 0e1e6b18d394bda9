"""Overlapping raw detections into one proposal each: NMS or weighted box fusion."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms as torchvision_nms

from retrieval.detection.proposals import Proposal, ProposalError
from retrieval.lesion import Box

Numbers = NDArray[np.float64]

_SMALLEST_WEIGHT = 1e-12


class MergeMethod(StrEnum):
    """How raw detections of the same lesion become one."""

    NMS = "nms"
    WBF = "wbf"


def nms(boxes: Numbers, scores: Numbers, iou: float) -> list[int]:
    """Positions of the boxes that survive non-maximum suppression, best first.

    Args:
        boxes: (n, 4), x1, y1, x2, y2.
        scores: (n,), in any order; equal scores keep their order.
        iou: a box whose overlap with a better, surviving one is above this is dropped.
    """
    order = np.argsort(-scores, kind="stable")
    kept = torchvision_nms(
        torch.from_numpy(np.ascontiguousarray(boxes[order], dtype=np.float64)),
        torch.arange(len(order), 0, -1, dtype=torch.float64),
        iou,
    )
    return [int(order[position]) for position in kept.tolist()]


def merge_proposals(
    proposals: Sequence[Proposal], *, method: MergeMethod, iou: float, limit: int
) -> tuple[Proposal, ...]:
    """One proposal for each group that overlaps by more than ``iou``; best first.

    Lesion types do not keep boxes apart: one place holds one lesion, of the type of its best
    detection. Equal scores keep the order in which they came.

    Args:
        proposals: raw detections of one slice.
        method: keep the best box of a group (NMS), or fuse its boxes (WBF).
        iou: in [0, 1).
        limit: the most proposals to return.

    Raises:
        ProposalError: ``iou`` or ``limit`` is out of range.
    """
    if not 0.0 <= iou < 1.0:
        raise ProposalError(f"proposals are merged above an IoU of {iou}: give one in [0, 1)")
    if limit < 1:
        raise ProposalError(f"the limit of proposals is {limit}: ask for at least 1")
    if not proposals:
        return ()
    if method is MergeMethod.WBF:
        return _fused(proposals, iou)[:limit]
    boxes = np.array([proposal.box.to_list() for proposal in proposals])
    scores = np.array([proposal.score for proposal in proposals])
    return tuple(proposals[position] for position in nms(boxes, scores, iou)[:limit])


def _fused(proposals: Sequence[Proposal], iou: float) -> tuple[Proposal, ...]:
    """Weighted box fusion (Solovyev, Wang and Gabruseva, Image and Vision Computing 2021, 3.1).

    Detections are taken best first. Each joins the cluster whose fused box it overlaps most, if
    by more than ``iou``, and the fused box becomes the score-weighted mean of its members;
    otherwise it opens a cluster. One departure: the score of a cluster is its best member's. The
    paper averages because its boxes are the votes of several models; here they come from one
    detector, whose weaker boxes about a lesion are no evidence against it.
    """
    clusters: list[list[Proposal]] = []
    fused_boxes = np.empty((len(proposals), 4))
    for proposal in sorted(proposals, key=lambda proposal: -proposal.score):
        corners = np.array(proposal.box.to_list())
        overlaps = _iou_with(corners, fused_boxes[: len(clusters)])
        nearest = int(np.argmax(overlaps)) if clusters else -1
        if nearest < 0 or overlaps[nearest] <= iou:
            fused_boxes[len(clusters)] = corners
            clusters.append([proposal])
            continue
        clusters[nearest].append(proposal)
        fused_boxes[nearest] = _weighted_mean(clusters[nearest])
    return tuple(
        _fused_proposal(members, corners)
        for members, corners in zip(clusters, fused_boxes, strict=False)
    )


def _iou_with(corners: Numbers, boxes: Numbers) -> Numbers:
    """IoU of one box with each of (n, 4)."""
    sides = np.minimum(boxes[:, 2:], corners[2:]) - np.maximum(boxes[:, :2], corners[:2])
    overlap = sides.clip(0).prod(axis=1)
    area = np.prod(corners[2:] - corners[:2])
    union = area + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - overlap
    return np.asarray(overlap / union, dtype=np.float64)


def _weights(members: Sequence[Proposal]) -> Numbers:
    return np.array([max(member.score, _SMALLEST_WEIGHT) for member in members])


def _weighted_mean(members: Sequence[Proposal]) -> Numbers:
    corners = np.array([member.box.to_list() for member in members])
    return np.asarray(np.average(corners, axis=0, weights=_weights(members)))


def _fused_proposal(members: Sequence[Proposal], corners: Numbers) -> Proposal:
    best = members[0]
    if len(members) == 1:
        return best
    measured = [(m.long_mm, w) for m, w in zip(members, _weights(members), strict=True)]
    known = [(length, weight) for length, weight in measured if length is not None]
    total = sum(weight for _, weight in known)
    long_mm = sum(length * weight for length, weight in known) / total if known else None
    return Proposal(
        box=Box(*(float(edge) for edge in corners)),
        score=best.score,
        long_mm=None if long_mm is None else float(long_mm),
        lesion_type=best.lesion_type,
        category=best.category,
    )
