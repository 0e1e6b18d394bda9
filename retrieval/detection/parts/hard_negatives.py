"""Hard negatives: confident detections on real slices that what lies there shows to be no lesion.

ULDor (arXiv 1901.06359) trains again on its confident false detections. On slices that nobody has
searched about half of such detections are lesions without a mark (Lesion Harvester, IEEE TMI
2021), so a detection counts as negative only where the HU in it speak for something else: gas in
the bowel or stomach, cortical bone, or blood and urine bright with contrast medium. All other
places stay unknown, as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from retrieval.detection.proposals import Proposal
from retrieval.lesion import BOX_PADDING_PX, Box

GAS_HU, CORTICAL_HU = -400.0, 350.0
CONTRAST_HU = (170.0, 450.0)

GAS_SHARE = (0.08, 0.75)
"""Gas in soft tissue: less may be noise, more is lung, where nodules are."""

BONE_SHARE, CONTRAST_SHARE = 0.12, 0.6
"""Cortical bone is a shell; a vessel or a kidney in contrast medium fills its box."""

MOST_GAS_ABOUT, MOST_GAS_ABOUT_A_POCKET = 0.5, 0.2
"""With more gas about it the place lies in the lung, where a bright spot may be a nodule."""

CONTRAST_DEVIATION_HU = 60.0
"""Blood and urine are even; a calcified lesion is not."""


class NoLesion(StrEnum):
    """What a place is instead of a lesion."""

    GAS = "gas"
    BONE = "bone"
    CONTRAST = "contrast"


@dataclass(frozen=True, slots=True)
class HardNegative:
    """A place that was taken for a lesion and is none.

    Attributes:
        box: in pixels of the file grid, with padding.
        score: the detector's.
        what: what it is instead.
    """

    box: Box
    score: float
    what: NoLesion


def hard_negatives(
    proposals: Iterable[Proposal],
    hu: NDArray[np.float32],
    marks: Sequence[Box],
    *,
    least_score: float,
    apart_px: float,
) -> list[HardNegative]:
    """The proposals that are surely no lesions.

    Args:
        proposals: on one slice, in the grid of ``hu``.
        hu: (rows, columns) of that slice.
        marks: all boxes known on the slice or reaching it; what is near one is left out.
        least_score: a detection below it is no hard negative.
        apart_px: how far a negative's box must lie from every mark's.
    """
    found = []
    for one in proposals:
        if one.score < least_score or any(_gap(one.box, mark) < apart_px for mark in marks):
            continue
        what = no_lesion(hu, one.box)
        if what is not None:
            found.append(HardNegative(one.box, one.score, what))
    return found


def no_lesion(hu: NDArray[np.float32], box: Box) -> NoLesion | None:
    """What the HU in a padded box show to be there instead of a lesion; None where unsure."""
    inner = _inner(hu, box, BOX_PADDING_PX)
    if inner.size < 4:
        return None
    # Of the padded box, what the lesion's own extent leaves: its surroundings.
    outer = _inner(hu, box, 0.0)
    in_outer, in_inner = int((outer < GAS_HU).sum()), int((inner < GAS_HU).sum())
    about = (in_outer - in_inner) / max(1, outer.size - inner.size)
    if about > MOST_GAS_ABOUT:
        return None
    gas = float((inner < GAS_HU).mean())
    bone = float((inner > CORTICAL_HU).mean())
    bright = (inner > CONTRAST_HU[0]) & (inner < CONTRAST_HU[1])
    if bone >= BONE_SHARE and gas < GAS_SHARE[0]:
        return NoLesion.BONE
    in_soft_tissue = about <= MOST_GAS_ABOUT_A_POCKET
    if in_soft_tissue and GAS_SHARE[0] <= gas <= GAS_SHARE[1] and _is_pocket(inner):
        return NoLesion.GAS
    if bright.mean() >= CONTRAST_SHARE and float(inner[bright].std()) <= CONTRAST_DEVIATION_HU:
        return NoLesion.CONTRAST
    return None


def _is_pocket(inner: NDArray[np.float32]) -> bool:
    """Whether gas lies within the box rather than about it, as it does about a lung nodule."""
    gas = inner < GAS_HU
    edge = np.concatenate([gas[0], gas[-1], gas[:, 0], gas[:, -1]])
    middle = gas[len(gas) // 4 : -(len(gas) // 4) or None, gas.shape[1] // 4 :]
    middle = middle[:, : max(1, gas.shape[1] // 2)]
    return float(middle.mean()) > float(edge.mean())


def _inner(hu: NDArray[np.float32], box: Box, padding: float) -> NDArray[np.float32]:
    """The pixels of a box without its padding, of the lesion that it speaks for."""
    rows, columns = hu.shape
    half = [max(side / 2 - padding, 1.0) for side in (box.width, box.height)]
    (x, y) = box.center
    left, right = max(0, round(x - half[0])), min(columns, round(x + half[0]) + 1)
    top, bottom = max(0, round(y - half[1])), min(rows, round(y + half[1]) + 1)
    return hu[top:bottom, left:right]


def _gap(one: Box, other: Box) -> float:
    """Pixels between two boxes along the axis that parts them more; 0 where they touch."""
    across = max(one.x1 - other.x2, other.x1 - one.x2, 0.0)
    down = max(one.y1 - other.y2, other.y1 - one.y2, 0.0)
    return max(across, down)
