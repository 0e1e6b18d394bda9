"""DLGNetwork: the multi-scale, multi-crop triplet network of Deep Lesion Graphs, in torch.

Shallow maps are pooled over the lesion box, deep maps over the whole patch (the context); every
group is centred and normalised, joined with the lesion's size in mm, and projected to a unit
vector. Auxiliary heads estimate lesion type and body location from the same joined features.
(Yan et al., CVPR 2018, arXiv 1711.10535, section 3.2; grouping as in the authors' LesaNet.)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.image import apply_window
from retrieval.nn.backbones import build_backbone
from retrieval.nn.pooling import box_means
from retrieval.patch import PatchSpec

LESION_TYPES = 8
CONTEXT_LEVELS = 2
"""How many of the deepest maps are also pooled over the whole patch."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What a DLGNetwork is made of; kept in its checkpoint.

    Attributes:
        backbone: a name of ``retrieval.nn.backbones``.
        dimension: length of the embedding.
        size_weight: length of the two size features beside groups of length one.
    """

    backbone: str = "efficientnet_lite0"
    dimension: int = 256
    size_weight: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of n lesions.

    Attributes:
        vectors: (n, dimension), unit norm.
        type_logits: (n, 8), DeepLesion's types 1 to 8 in order.
        locations: (n, 3), estimated body position (x, y, z), unclipped.
    """

    vectors: Tensor
    type_logits: Tensor
    locations: Tensor

    def first(self, count: int) -> NetworkOutput:
        """The output of the first ``count`` lesions."""
        return NetworkOutput(self.vectors[:count], self.type_logits[:count], self.locations[:count])


class DLGNetwork(nn.Module):
    """Patches in HU and their lesion boxes to unit vectors, type logits and locations."""

    def __init__(self, config: NetworkConfig, spec: PatchSpec, *, pretrained: bool) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.backbone = build_backbone(config.backbone, pretrained=pretrained)
        self.channel_mixer = centre_slice_mixer(spec)
        widths = self.backbone.channels
        self.group_widths = [*widths, *widths[-CONTEXT_LEVELS:]]
        self.group_scales = nn.ModuleList(_GroupNormalisation(w) for w in self.group_widths)
        features = sum(self.group_widths) + 2
        self.project = nn.Linear(features, config.dimension, bias=False)
        self.type_head = nn.Linear(features, LESION_TYPES)
        self.location_head = nn.Linear(features, 3)
        # Depthwise convolutions run about twice as fast in this layout on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, hu: Tensor, boxes: Tensor) -> NetworkOutput:
        """Embeds n patches.

        Args:
            hu: (n, slices, size_px, size_px), Hounsfield units.
            boxes: (n, 4), lesion boxes (x1, y1, x2, y2) in patch pixels.
        """
        return self.heads(self.features(hu, boxes))

    def heads(self, features: Tensor) -> NetworkOutput:
        """The three outputs from joined features (n, features)."""
        return NetworkOutput(
            vectors=F.normalize(self.project(features), dim=1),
            type_logits=self.type_head(features),
            locations=self.location_head(features),
        )

    @torch.no_grad()
    def centre_groups(self, means: list[Tensor]) -> None:
        """Sets what each group of pooled features is centred on."""
        for scale, mean in zip(self.group_scales, means, strict=True):
            assert isinstance(scale, _GroupNormalisation)
            scale.mean.copy_(mean)

    def features(self, hu: Tensor, boxes: Tensor) -> Tensor:
        """The joined multi-scale features (n, features) that the heads read."""
        return self.joined(self.pooled(hu, boxes), boxes)

    def joined(self, pooled: list[Tensor], boxes: Tensor) -> Tensor:
        """Pooled groups, each centred and normalised, beside the two features of size."""
        groups = [scale(group) for scale, group in zip(self.group_scales, pooled, strict=True)]
        sizes_mm = (boxes[:, 2:] - boxes[:, :2]) * self.spec.mm_px
        return torch.cat([*groups, log_size(sizes_mm) * self.config.size_weight], dim=1)

    def pooled(self, hu: Tensor, boxes: Tensor) -> list[Tensor]:
        """Means of every map over the lesion box, then of the deepest maps over the patch."""
        channels = window_channels(hu, self.spec).contiguous(memory_format=torch.channels_last)
        levels = self.backbone(self.channel_mixer(channels))
        inside = box_means(levels, boxes, patch_px=self.spec.size_px)
        context = [level.mean(dim=(2, 3)) for level in levels[-CONTEXT_LEVELS:]]
        return inside + context


def window_channels(hu: Tensor, spec: PatchSpec) -> Tensor:
    """(n, slices, rows, columns) HU to (n, slices x windows, rows, columns) in [0, 1]."""
    windows = [apply_window(hu, low, high) for low, high in spec.windows]
    return torch.stack(windows, dim=2).flatten(1, 2)


def log_size(sizes_mm: Tensor) -> Tensor:
    """(n, 2) widths and heights in mm to logarithms of the longer and shorter side.

    Centred at 20 mm, so that values lie within about one of zero for lesions of 7 to 54 mm.
    """
    return (sizes_mm.clamp(min=1).sort(dim=1, descending=True).values / 20).log()


class _GroupNormalisation(nn.Module):
    """Subtracts a fixed mean and divides by the length: one scale cannot drown the others.

    The mean is measured once on training lesions (``retrieval.embedding.initialise``) and is a
    part of the weights, so a vector never depends on what else is in its batch.
    """

    mean: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, group: Tensor) -> Tensor:
        return F.normalize(group.float() - self.mean, dim=1)


def centre_slice_mixer(spec: PatchSpec) -> nn.Conv2d:
    """A 1 x 1 convolution to the three channels of an ImageNet network.

    It starts as the middle slice under the first three windows, the neighbours at zero: at the
    first step the backbone sees what it was trained for, and learns the neighbours from there.
    """
    windows = len(spec.windows)
    mixer = nn.Conv2d(spec.slices * windows, 3, kernel_size=1, bias=False)
    middle = (spec.slices // 2) * windows
    with torch.no_grad():
        mixer.weight.zero_()
        for channel in range(3):
            mixer.weight[channel, middle + channel % windows] = 1
    return mixer
