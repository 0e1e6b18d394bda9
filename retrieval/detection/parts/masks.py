"""Pseudo-masks of marks, and a head that learns them beside the boxes.

A mark's two diameters are the axes of an ellipse (Tang et al., ULDor, ISBI 2019, arXiv
1901.06359). An archive keeps the extent of a mark, not which way its long diameter leans, so the
ellipse here fills the extent. A dense head on the finest map learns which pixels lie in one, as in
the improved RetinaNet (MICCAI 2019, arXiv 1906.02283); it teaches the maps where lesions end, and
is not asked when lesions are looked for.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.lesion import Box

NUMBERS = 5
"""Of an ellipse: middle x and y, half its length, half its width, and its angle in radians."""

Ellipses = NDArray[np.float32]


def ellipse_of_box(box: Box, padding: float) -> Ellipses:
    """(5,) of the upright ellipse that fills a box without its padding."""
    (x, y), width, height = box.center, box.width - 2 * padding, box.height - 2 * padding
    return np.array([x, y, max(width, 1.0) / 2, max(height, 1.0) / 2, 0.0], np.float32)


def scaled_ellipses(ellipses: Ellipses, factor: float) -> Ellipses:
    """(n, 5) on a grid ``factor`` times as fine."""
    return ellipses * np.array([factor] * 4 + [1], np.float32)


def mirrored_ellipses(ellipses: Ellipses, columns: int) -> Ellipses:
    """(n, 5) after left and right of ``columns`` pixels have changed places."""
    changed = ellipses * np.array([-1, 1, 1, 1, -1], np.float32)
    changed[:, 0] += columns - 1
    return changed


def ellipse_masks(ellipses: Tensor, shape: tuple[int, int], stride: float) -> Tensor:
    """(rows, columns): 1 where a cell of a map with that stride lies in any of (n, 5) ellipses.

    A cell stands at the middle of its ``stride`` pixels.
    """
    rows, columns = shape
    y = (torch.arange(rows, device=ellipses.device) + 0.5) * stride - 0.5
    x = (torch.arange(columns, device=ellipses.device) + 0.5) * stride - 0.5
    held = torch.zeros(rows, columns, device=ellipses.device)
    for middle_x, middle_y, half_long, half_short, angle in ellipses:
        right, down = x[None] - middle_x, y[:, None] - middle_y
        along = right * angle.cos() + down * angle.sin()
        across = down * angle.cos() - right * angle.sin()
        reach = stride / 2  # a lesion smaller than a cell marks the cell it lies in
        inside = (along / half_long.clamp(min=reach)) ** 2
        inside = inside + (across / half_short.clamp(min=reach)) ** 2
        held = torch.maximum(held, (inside <= 1).float())
    return held


class DenseMaskHead(nn.Module):
    """(n, channels, rows, columns), the finest map -> (n, 1, rows, columns) logits."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, 1, 1)
        )
        nn.init.constant_(self.layers[-1].bias, -math.log(99))  # type: ignore[arg-type]

    def forward(self, finest: Tensor) -> Tensor:
        """Logits of a cell in a lesion; one in a hundred at first."""
        logits: Tensor = self.layers(finest)
        return logits


def mask_loss(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy plus Dice loss of (n, 1, rows, columns) logits, where it is known.

    Args:
        logits: of the head.
        masks: of the same shape, 1 in a lesion.
        known: of the same shape, False where nobody looked for lesions.
    """
    if not bool(known.any()):
        return logits.sum() * 0
    told, wanted = logits[known], masks[known]
    entropy = F.binary_cross_entropy_with_logits(told, wanted)
    share = told.sigmoid()
    dice = (2 * (share * wanted).sum() + 1) / (share.sum() + wanted.sum() + 1)
    return entropy + 1 - dice
