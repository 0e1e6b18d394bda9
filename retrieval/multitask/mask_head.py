"""The mask head: a small U-Net whose deepest level is joined by the detector's pyramid."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.multitask.rois import RoiInputs
from retrieval.segmentation.network import double_convolution


@dataclass(frozen=True, slots=True)
class MaskHeadConfig:
    """The head's size.

    Attributes:
        size_px: side of the square grid, four times a whole number.
        widths: channels of its three levels, from the finest on.
        of_pyramid: channels that the pyramid's maps are narrowed to.
    """

    size_px: int = 32
    widths: tuple[int, int, int] = (32, 48, 64)
    of_pyramid: int = 48

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "widths": list(self.widths)}


class MaskHead(nn.Module):
    """RoiInputs -> (k, size, size) logits of "lesion".

    Args:
        inputs: channels of windows and fine maps, and of the coarse maps.
        config: the size.
    """

    def __init__(self, inputs: tuple[int, int], config: MaskHeadConfig) -> None:
        super().__init__()
        first, second, third = config.widths
        self.first = double_convolution(inputs[0], first)
        self.second = double_convolution(first, second)
        self.narrow = nn.Sequential(
            nn.Conv2d(inputs[1], config.of_pyramid, 1, bias=False),
            nn.BatchNorm2d(config.of_pyramid),
            nn.ReLU(inplace=True),
        )
        self.third = double_convolution(second + config.of_pyramid, third)
        self.up_second = double_convolution(third + second, second)
        self.up_first = double_convolution(second + first, first)
        self.last = nn.Conv2d(first, 1, 1)

    def forward(self, inputs: RoiInputs) -> Tensor:
        """The logits."""
        first = self.first(torch.cat([inputs.windows, inputs.fine], dim=1))
        second = self.second(functional.max_pool2d(first, 2))
        third = torch.cat([functional.max_pool2d(second, 2), self.narrow(inputs.coarse)], dim=1)
        up = self.up_second(torch.cat([_twice(self.third(third)), second], dim=1))
        logits: Tensor = self.last(self.up_first(torch.cat([_twice(up), first], dim=1)))
        return logits.squeeze(1)


def _twice(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")
