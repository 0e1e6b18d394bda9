"""A lesion in the middle of a picture of its own: how heads see boxes that are given.

Training sees lesions so, and masks and tags of given boxes are read so; the boxes that the
detector has found itself are read off the maps of the whole slice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.detection.detector import LesionDetector
from retrieval.detection.network import scaled
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.multitask.rois import RoiInputs, RoiSquares, heard, roi_inputs
from retrieval.patch import PatchSpec, extract_patch
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.view import ViewGrid

SURROUNDINGS_PX = 16
"""What is kept about a square, at least."""

SMALLEST_PX, LARGEST_PX = 96, 256


@dataclass(frozen=True)
class LesionCrop:
    """A lesion in the middle of a picture on the detector's grid.

    Attributes:
        hu: (slices, side, side).
        guide: (size, size), the prompt.
        half_px: half the side of the square, in pixels of the picture.
    """

    hu: NDArray[np.float32]
    guide: NDArray[np.float32]
    half_px: float


def crop_about(slab: Slab, prompt: Prompt, spec: PatchSpec, size_px: int) -> LesionCrop:
    """The crop of the slab's key slice about a prompt, which is in the display grid."""
    grid = ViewGrid(prompt.view_center, prompt.side_mm / size_px, size_px)
    half_px = prompt.side_mm / 2 / spec.mm_px
    here = Box.around(grid.center, 1.0)
    hu = extract_patch(slab.as_displayed(), here, replace(spec, size_px=side_px(half_px))).hu
    return LesionCrop(hu, grid.guide(prompt, slab.spacing_mm_px), half_px)


def side_px(half_px: float) -> int:
    """Side of the picture about a square, a multiple of 32."""
    wanted = math.ceil((2 * half_px + 2 * SURROUNDINGS_PX) / 32) * 32
    return min(max(wanted, SMALLEST_PX), LARGEST_PX)


@torch.no_grad()
def seen_by_trunk(
    detector: LesionDetector, crops: Sequence[LesionCrop]
) -> tuple[RoiInputs, list[int]]:
    """What the heads read of crops, and which crop each row is of.

    Crops of one size pass the trunk together.
    """
    by_side: dict[int, list[int]] = defaultdict(list)
    for number, crop in enumerate(crops):
        by_side[crop.hu.shape[-1]].append(number)
    parts, order = [], []
    for side, group in sorted(by_side.items()):
        pictures = scaled(torch.from_numpy(np.stack([crops[k].hu for k in group])))
        with heard(detector.network.backbone) as maps:
            detector.network.backbone(pictures)
        squares = _squares([crops[k] for k in group], (side - 1) / 2)
        parts.append(roi_inputs(pictures, maps, squares, detector.spec))
        order += group
    names = ("hu", "windows", "fine", "coarse")
    joined: list[Tensor] = [torch.cat([getattr(x, name) for x in parts]) for name in names]
    return RoiInputs(*joined), order


def _squares(crops: Sequence[LesionCrop], middle: float) -> RoiSquares:
    edges = [[middle - x.half_px] * 2 + [middle + x.half_px] * 2 for x in crops]
    return RoiSquares(
        torch.arange(len(crops)),
        torch.tensor(edges, dtype=torch.float32),
        torch.from_numpy(np.stack([crop.guide for crop in crops])),
    )
