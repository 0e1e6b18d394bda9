"""A small U-Net: views with prompt channels in, the logit of "lesion" for each pixel out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class MaskNetworkConfig:
    """The network's size.

    Attributes:
        widths: channels of each level, from the finest on.
    """

    widths: tuple[int, ...] = (20, 40, 64, 96)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "widths": list(self.widths)}


class MaskNetwork(nn.Module):
    """U-Net (Ronneberger et al., 2015) with batch norm, max pooling and nearest upsampling."""

    def __init__(self, channels: int, config: MaskNetworkConfig) -> None:
        super().__init__()
        self.channels, self.config = channels, config
        widths = config.widths
        inputs = (channels, *widths[:-1])
        pairs = zip(inputs, widths, strict=True)
        self.down = nn.ModuleList(double_convolution(before, after) for before, after in pairs)
        self.up = nn.ModuleList(
            double_convolution(below + beside, beside)
            for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, views: Tensor) -> Tensor:
        """(views, channels, size, size) -> (views, size, size) logits; size divides by 8."""
        kept: list[Tensor] = []
        x = views
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, kept.pop()], dim=1))
        return cast(Tensor, self.head(x)).squeeze(1)


def double_convolution(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each normalised over the batch and rectified."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
