"""HeightNetwork: a slice's picture to one number, its height in the body."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from retrieval.nn.backbones import LITE0, EfficientNetLite0, build_backbone
from retrieval.nn.folding import folded

UNIT_MM = 100.0
"""Scores are in units of this many millimetres, rising towards the head."""

_POOLED = (2, 4, 5)
"""Stages at strides 8, 16 and 32, of 40, 112 and 192 channels: their means feed the head."""


@dataclass(frozen=True, slots=True)
class HeightNetworkConfig:
    """The network's shape.

    Attributes:
        deepest_blocks: how many of the four blocks of 192 channels are kept. The block of 320
            channels that follows them holds a fifth of all weights and is always left out.
    """

    deepest_blocks: int = 3

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class HeightNetwork(nn.Module):
    """EfficientNet-Lite0 without its last stage; means of its last three maps to one number.

    ``forward`` takes (n, size, size) pictures in [0, 1] and returns (n,) scores in units of
    100 mm, rising towards the head. Batch-norm statistics stay those of ImageNet.

    Attributes:
        frozen_stages: how many of the first stages, with the stem before them, get no gradients.
            They see edges, on CT as on photographs, and cost more than all the others.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: HeightNetworkConfig, *, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.frozen_stages = 0
        backbone = build_backbone(LITE0, pretrained=pretrained)
        trunk = cast(EfficientNetLite0, backbone.levels)
        self.stem = trunk.stem
        stages = list(trunk.stages)[:-1]
        stages[-1] = cast(nn.Sequential, stages[-1])[: config.deepest_blocks]
        self.stages = nn.ModuleList(stages)
        self.register_buffer("mean", backbone.mean, persistent=False)
        self.register_buffer("std", backbone.std, persistent=False)
        self.head = nn.Linear(40 + 112 + 192, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> HeightNetwork:
        """Training mode without batch statistics: slices of one series are too much alike."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def folded(self) -> HeightNetwork:
        """A copy for inference whose convolutions hold their batch norms too: twice as fast."""
        return folded(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n,) scores of (n, size, size) pictures."""
        three = pictures[:, None].expand(-1, 3, -1, -1)
        normal = (three - self.mean) / self.std
        maps = normal.contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen_stages == 0):
            maps = self.stem(maps)
        pooled = []
        for position, stage in enumerate(self.stages):
            with torch.set_grad_enabled(torch.is_grad_enabled() and position >= self.frozen_stages):
                maps = stage(maps)
            if position in _POOLED:
                pooled.append(maps.mean(dim=(2, 3)))
        return cast(Tensor, self.head(torch.cat(pooled, dim=1)))[:, 0]
