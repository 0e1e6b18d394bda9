"""Means of feature maps over boxes: RoIAlign (He et al., 2017, section 3) pooled to one number.

Averaging RoIAlign's 3 x 3 bins of 2 x 2 samples is averaging 6 x 6 bilinear samples spread evenly
over the box. Bilinear weights are separable, so the mean is one product with a weight for every
row and one for every column. This is written here because importing torchvision's operator
loads torch._dynamo, which takes longer than torch itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

SAMPLES = 6
"""Samples along each side of a box."""


def box_means(levels: list[Tensor], boxes: Tensor, *, patch_px: int) -> list[Tensor]:
    """The mean of each map (n, c, rows, columns) over each patch's own box, as (n, c).

    Boxes (n, 4) are (x1, y1, x2, y2) in pixels of square patches and are clipped to the patch.
    Pixel centres are whole numbers, so a box's outer edge in RoIAlign's continuous coordinates is
    half a pixel further.
    """
    clipped = (boxes.float() + 0.5).clamp(0, patch_px)
    means = []
    for level in levels:
        edges = clipped * (level.shape[-1] / patch_px) - 0.5
        columns = _sample_weights(edges[:, 0], edges[:, 2], level.shape[-1]).to(level.dtype)
        rows = _sample_weights(edges[:, 1], edges[:, 3], level.shape[-2]).to(level.dtype)
        means.append(torch.einsum("nchw,nh,nw->nc", level, rows, columns))
    return means


def _sample_weights(first: Tensor, last: Tensor, length: int) -> Tensor:
    """(n, length) weight of each pixel in the mean of SAMPLES bilinear samples of one axis."""
    steps = (torch.arange(SAMPLES, device=first.device, dtype=first.dtype) + 0.5) / SAMPLES
    points = first[:, None] + (last - first)[:, None] * steps
    points = points.clamp(0, length - 1)
    pixels = torch.arange(length, device=first.device, dtype=first.dtype)
    return (1 - (points[:, :, None] - pixels).abs()).clamp(min=0).mean(dim=1)
