"""Groups of slices fused by attention instead of concatenation.

After Tao et al. (MICCAI 2019, arXiv 1907.04052): at every place the groups are weighed by how
much their features agree with the middle group's there, then places are weighed by one map. Both
start as the middle group alone, which is what a pretrained network knows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_NARROWER = 4
"""Agreement is measured in this many times fewer channels."""


class SliceAttention(nn.Module):
    """(n, groups x channels, rows, columns) of all groups -> (n, channels, rows, columns)."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        narrow = max(8, channels // _NARROWER)
        self.of_middle = nn.Conv2d(channels, narrow, kernel_size=1, bias=False)
        self.of_group = nn.Conv2d(channels, narrow, kernel_size=1, bias=False)
        self.share = nn.Parameter(torch.zeros(1))
        self.places = nn.Conv2d(channels, 1, kernel_size=3, padding=1)
        nn.init.zeros_(self.places.weight)
        nn.init.zeros_(self.places.bias)  # type: ignore[arg-type]

    def forward(self, joined: Tensor) -> Tensor:
        """The fused map."""
        maps = self._apart(joined)
        middle = maps[:, self.groups // 2]
        fused = middle + self.share * ((self.weights(joined)[:, :, None] * maps).sum(1) - middle)
        at_places: Tensor = 2 * self.places(fused).sigmoid()  # (n, 1, rows, columns), 1 at first
        weighed: Tensor = fused * at_places
        return weighed

    def weights(self, joined: Tensor) -> Tensor:
        """(n, groups, rows, columns): what each group counts at each place; sums to one."""
        maps = self._apart(joined)
        asked = self.of_middle(maps[:, self.groups // 2])[:, None]  # (n, 1, narrow, r, c)
        offered = self.of_group(maps.flatten(0, 1))
        offered = offered.reshape(*maps.shape[:2], *offered.shape[1:])
        agreement: Tensor = (asked * offered).sum(2) / math.sqrt(offered.shape[2])
        return agreement.softmax(dim=1)

    def _apart(self, joined: Tensor) -> Tensor:
        """(n, groups, channels, rows, columns)."""
        return joined.reshape(len(joined), self.groups, -1, *joined.shape[2:])
