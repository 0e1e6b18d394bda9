"""Domain attention: channels weighed by a bank of adapters, mixed by what the picture looks like.

After Wang et al., Towards Universal Object Detection by Domain Attention (CVPR 2019, arXiv
1904.04402): every stage has several squeeze-and-excitation adapters, and a softmax over the pooled
maps says how much each counts, so that one detector serves archives of several kinds and nobody
names the archive of a picture. It starts as the network without it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError
from retrieval.nn.backbones import Backbone, EfficientNetLite0

_NARROWER = 8
"""An adapter squeezes to this share of the channels."""


class DomainAttentionError(LesionSearchError):
    """A backbone that takes no adapters."""


class DomainAttention(nn.Module):
    """(n, channels, rows, columns) -> the same, each channel weighed between 0 and 2."""

    def __init__(self, channels: int, adapters: int) -> None:
        super().__init__()
        self.bank = nn.ModuleList(_adapter(channels) for _ in range(adapters))
        self.domains = nn.Linear(channels, adapters)

    def forward(self, maps: Tensor) -> Tensor:
        """The weighed maps."""
        pooled = maps.mean(dim=(2, 3))
        excited = torch.stack([adapter(pooled) for adapter in self.bank], dim=1)  # (n, k, c)
        mixed = (self._shares(pooled)[:, :, None] * excited).sum(dim=1)
        weighed: Tensor = maps * (2 * mixed.sigmoid())[:, :, None, None]  # times 1 at first
        return weighed

    def shares(self, maps: Tensor) -> Tensor:
        """(n, adapters): how much each adapter counts for each picture; sums to one."""
        return self._shares(maps.mean(dim=(2, 3)))

    def _shares(self, pooled: Tensor) -> Tensor:
        shares: Tensor = self.domains(pooled).softmax(dim=1)
        return shares


def add_domain_attention(backbone: Backbone, adapters: int) -> None:
    """Puts a bank of ``adapters`` behind every stage of the backbone, in place.

    The other weights keep their names, so that those of a detector without adapters fit.

    Raises:
        DomainAttentionError: the backbone has no stages of this project.
    """
    trunk = backbone.levels
    if not isinstance(trunk, EfficientNetLite0):
        raise DomainAttentionError(
            f"domain attention in {type(trunk).__name__}: only efficientnet_lite0 takes adapters"
        )
    for stage, width in zip(trunk.stages, EfficientNetLite0.WIDTHS, strict=True):
        if not isinstance(stage, nn.Sequential):
            raise DomainAttentionError("a stage of efficientnet_lite0 is no sequence of blocks")
        stage.append(DomainAttention(width, adapters))


def _adapter(channels: int) -> nn.Sequential:
    narrow = max(4, channels // _NARROWER)
    last = nn.Linear(narrow, channels)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), last)
