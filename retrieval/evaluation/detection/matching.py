"""Which lesions a detector hit and which of its boxes are false, by the published rules.

The rules are those of the evaluation that Yan et al. released with MULAN (MICCAI 2019, boxes on a
slice) and with the fully annotated sub-volumes (IEEE TMI 2020, boxes in 3D):

* An edge is a whole pixel or slice: a box from 3 to 5 is 3 wide (``x2 - x1 + 1``).
* A box whose overlap with any lesion of its image reaches the threshold is no false positive; it
  hits every lesion it overlaps that far. All others are false positives.
* A lesion counts once. Further boxes that hit it are neither true nor false.

So a lesion is found at the highest score among the boxes that hit it, and no order of boxes
matters. The released code leaves the order of equal scores to chance; here false positives stand
first, so that a constant score earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.stats.metrics import FloatArray, IntArray

Overlap = Callable[[FloatArray, FloatArray], FloatArray]
"""(n, d) boxes and (m, d) lesions to their (n, m) overlaps in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found in n images (or sub-volumes).

    Attributes:
        images: n.
        image: (lesions,) the image of each lesion.
        score: (lesions,) the best score among the boxes that hit it, -inf if none does.
        rank: (lesions,) that box's rank among all boxes of its image, from 1; inf if none does.
        false_image: (false positives,) the image of each.
        false_score: (false positives,) its score.
    """

    images: int
    image: IntArray
    score: FloatArray
    rank: FloatArray
    false_image: IntArray
    false_score: FloatArray


def iou(boxes: FloatArray, lesions: FloatArray) -> FloatArray:
    """Intersection over union of (n, 2d) boxes with (m, 2d) lesions: low corner, high corner."""
    common = _intersection(boxes, lesions)
    union = _extent(boxes)[:, None] + _extent(lesions)[None, :] - common
    return np.asarray(common / union, np.float64)


def iobb(boxes: FloatArray, lesions: FloatArray) -> FloatArray:
    """Intersection over the detected box: how much of each box lies in each lesion."""
    return np.asarray(_intersection(boxes, lesions) / _extent(boxes)[:, None], np.float64)


def match(
    lesions: Sequence[FloatArray],
    detections: Sequence[FloatArray],
    overlap: Overlap,
    *,
    threshold: float,
) -> Found:
    """What the detections of each image find of its lesions.

    Args:
        lesions: of each image (m, 2d): low corner, high corner.
        detections: of each image (n, 2d + 1): the same, and the score last.
        overlap: how far a box and a lesion agree.
        threshold: the least overlap of a hit.
    """
    found = [
        _match_image(boxes, scored, overlap, threshold)
        for boxes, scored in zip(lesions, detections, strict=True)
    ]
    return Found(
        images=len(found),
        image=_image_numbers([scores for scores, _, _ in found]),
        score=_joined([scores for scores, _, _ in found]),
        rank=_joined([ranks for _, ranks, _ in found]),
        false_image=_image_numbers([misses for _, _, misses in found]),
        false_score=_joined([misses for _, _, misses in found]),
    )


def _match_image(
    lesions: FloatArray, detections: FloatArray, overlap: Overlap, threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of one image: the score and the rank at which each lesion is found, scores of misses."""
    scores = detections[:, -1]
    if len(lesions) == 0 or len(detections) == 0:
        nothing = np.full(len(lesions), np.inf)
        return -nothing, nothing, scores
    hits = overlap(detections[:, :-1], lesions) >= threshold
    false = np.asarray(~hits.any(axis=1), np.bool_)
    best = np.where(hits, scores[:, None], -np.inf).max(axis=0)
    # Of equal scores the false positives stand first.
    ahead = (scores[:, None] > best).sum(axis=0) + (false[:, None] & (scores[:, None] == best)).sum(
        axis=0
    )
    ranks = np.where(np.isneginf(best), np.inf, ahead + 1.0)
    return best, ranks, scores[false]


def _intersection(boxes: FloatArray, lesions: FloatArray) -> FloatArray:
    half = boxes.shape[1] // 2
    low = np.maximum(boxes[:, None, :half], lesions[None, :, :half])
    high = np.minimum(boxes[:, None, half:], lesions[None, :, half:])
    return np.asarray(np.clip(high - low + 1.0, 0.0, None).prod(axis=2), np.float64)


def _extent(boxes: FloatArray) -> FloatArray:
    half = boxes.shape[1] // 2
    return np.asarray((boxes[:, half:] - boxes[:, :half] + 1.0).prod(axis=1), np.float64)


def _image_numbers(parts: Sequence[FloatArray]) -> IntArray:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int64)


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate([np.empty(0), *parts]).astype(np.float64)
