"""HU windows as views: each window passes the shared network by itself, as a reader looks.

After Li et al., MVP-Net (MICCAI 2019, arXiv 1909.04247): the maps of all views are weighed channel
by channel and fused, and what weighs them also knows the height in the body, which a small head
learns to tell from the maps: as a number, and as one of three parts of the trunk.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PARTS_AT = (0.58, 0.72)
"""DeepLesion's z between the parts of the trunk, as in MVP-Net's released code."""

_SQUEEZED = 8
_HEIGHT_FEATURES = 16


class ViewFusion(nn.Module):
    """Maps of all views -> one map a level, and the height in the body.

    ``forward`` takes maps (n, views x channels, rows, columns) and returns them as (n, channels,
    rows, columns). It starts as the first view alone.
    """

    def __init__(self, views: int, channels: int) -> None:
        super().__init__()
        width = views * channels
        self.height_features = nn.Sequential(nn.Linear(width, _HEIGHT_FEATURES), nn.ReLU())
        self.height = nn.Linear(_HEIGHT_FEATURES, 1 + len(PARTS_AT) + 1)
        narrow = max(8, width // _SQUEEZED)
        gates = nn.Linear(narrow, width)
        nn.init.zeros_(gates.weight)
        nn.init.zeros_(gates.bias)
        self.attention = nn.Sequential(
            nn.Linear(width + _HEIGHT_FEATURES, narrow), nn.ReLU(), gates
        )
        self.fuse = nn.Conv2d(width, channels, kernel_size=1, bias=False)
        with torch.no_grad():
            self.fuse.weight.zero_()
            self.fuse.weight[:, :channels, 0, 0] = torch.eye(channels)

    def forward(self, joined: OrderedDict[str, Tensor]) -> tuple[OrderedDict[str, Tensor], Tensor]:
        """The fused maps, and (n, 4): height and the logits of its part."""
        coarsest = list(joined.values())[-1].mean(dim=(2, 3))
        of_height = self.height_features(coarsest)
        fused: OrderedDict[str, Tensor] = OrderedDict()
        for name, level in joined.items():
            pooled = torch.cat([level.mean(dim=(2, 3)), of_height], dim=1)
            gates = 2 * self.attention(pooled).sigmoid()  # 1 at first
            fused[name] = self.fuse(level * gates[:, :, None, None])
        return fused, self.height(of_height)


def height_loss(told: Tensor, heights: Tensor) -> Tensor:
    """Of (n, 4) told heights against (n,) z in [0, 1]; NaN where a slice's is not known.

    Smooth L1 of the number plus cross-entropy of the part; zero where none is known.
    """
    known = heights.isfinite()
    if not bool(known.any()):
        return told.sum() * 0
    wanted = heights[known]
    part = torch.bucketize(wanted, torch.tensor(PARTS_AT, device=wanted.device))
    of_number = F.smooth_l1_loss(told[known, 0], wanted, beta=0.05)
    return of_number + F.cross_entropy(told[known, 1:], part)
