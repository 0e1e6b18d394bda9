"""The detection network: torchvision's one-stage detectors over a feature pyramid with 3D context.

Neighbouring slices are taken in groups of three; every group passes the same two-dimensional
backbone and pyramid, and the groups' maps are fused before the head (Yan et al., MICCAI 2018,
3DCE, arXiv 1806.09648).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork

from retrieval.detection.missing_marks import ForgivingFCOS, ForgivingRetinaNet
from retrieval.detection.parts.domain_attention import DomainAttention, add_domain_attention
from retrieval.detection.parts.masks import DenseMaskHead
from retrieval.detection.parts.side_lessons import SideLessons
from retrieval.detection.parts.slice_attention import SliceAttention
from retrieval.detection.parts.views import ViewFusion
from retrieval.embedding.network import centre_slice_mixer, window_channels
from retrieval.image import CT_HU
from retrieval.lesion import LesionSearchError
from retrieval.nn.backbones import build_backbone
from retrieval.patch import PatchSpec

GROUP = 3
"""Slices that share one pass of the backbone."""

DetectionNetwork = ForgivingRetinaNet | ForgivingFCOS


class NetworkError(LesionSearchError):
    """A detection network that cannot be built."""


class Head(StrEnum):
    """Which of torchvision's one-stage detectors reads the pyramid."""

    RETINANET = "retinanet"
    FCOS = "fcos"


class Fusion(StrEnum):
    """How the maps of several groups of slices become one."""

    CONCATENATION = "concatenation"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What a detection network is made of; kept in its checkpoint.

    Attributes:
        backbone: a name of ``retrieval.nn.backbones``.
        head: retinanet or fcos.
        channels: width of the pyramid.
        first_level: the finest map of the pyramid: 1 for stride 4, 2 for stride 8.
        classes: 1, or 8 for DeepLesion's lesion types.
        anchor_px: side of the smallest anchor on each map, in grid pixels (retinanet only).
        ratios: heights over widths of the anchors (retinanet only).
        anchor_scales: factors of ``anchor_px`` on every map (retinanet only).
        fusion: how groups of three slices are fused: concatenation (3DCE) or attention.
        views: whether each HU window passes the backbone by itself, as in MVP-Net.
        mask_weight: of the loss of a dense mask head, 0 for none.
        height_weight: of the loss of the views' height in the body.
        categories: names of the classes where they are no lesion types; as many as ``classes``.
        domains: adapters of the domain attention behind each stage of the backbone, 0 for none.
    """

    backbone: str = "efficientnet_lite0"
    head: str = "fcos"
    channels: int = 64
    first_level: int = 1
    classes: int = 1
    anchor_px: tuple[int, ...] = (11, 20, 36, 64)
    ratios: tuple[float, ...] = (0.6, 1.0, 1.7)
    anchor_scales: tuple[float, ...] = (1.0, 1.35)
    fusion: str = "concatenation"
    views: bool = False
    mask_weight: float = 0.0
    height_weight: float = 0.01
    categories: tuple[str, ...] = ()
    domains: int = 0

    def __post_init__(self) -> None:
        if self.fusion not in list(Fusion):
            raise NetworkError(f"fusion {self.fusion!r} is unknown: one of {', '.join(Fusion)}")
        if self.head not in list(Head):
            raise NetworkError(f"head {self.head!r} is unknown: one of {', '.join(Head)}")
        if self.head == Head.FCOS and self.channels % 32:
            raise NetworkError(f"fcos of {self.channels} channels: a multiple of 32 is needed")
        if self.categories:
            if self.classes != len(self.categories):
                raise NetworkError(
                    f"{self.classes} classes and {len(self.categories)} categories: as many of "
                    "either are needed"
                )
        elif self.classes not in (1, 8):
            raise NetworkError(f"{self.classes} classes: 1, or 8 for the lesion types")
        if not 0 <= self.first_level <= 3:
            raise NetworkError(f"first_level is {self.first_level}: 0 to 3")
        if len(self.anchor_px) != 5 - self.first_level:
            raise NetworkError(
                f"anchor_px has {len(self.anchor_px)} sizes: {5 - self.first_level} are needed, "
                "one for each map of the pyramid"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what older detectors did not have is left out where it is not used."""
        values = asdict(self)
        later = {x.name: x.default for x in fields(self) if x.name in _LATER}
        return {k: v for k, v in values.items() if k not in later or v != later[k]}


_LATER = (
    "anchor_scales",
    "fusion",
    "views",
    "mask_weight",
    "height_weight",
    "categories",
    "domains",
)
"""Settings that detectors of before have not in their fingerprints."""


class SlicePyramid(nn.Module):
    """(n, slices, rows, columns) as ``scaled`` makes it -> the maps of one pyramid, in order.

    With pretrained weights the backbone's statistics stay those of ImageNet. ``lessons`` holds
    what is learnt beside the boxes.
    """

    def __init__(self, config: DetectorConfig, spec: PatchSpec, *, pretrained: bool) -> None:
        super().__init__()
        if spec.slices != 1 and spec.slices % GROUP:
            raise NetworkError(f"{spec.slices} slices: 1, 3, 9 or 27 are needed")
        self.group_spec = replace(spec, slices=min(GROUP, spec.slices))
        self.groups = spec.slices // self.group_spec.slices
        if config.views and self.groups > 1:
            raise NetworkError(f"views of {spec.slices} slices: 1 or 3 are needed")
        self.first_level = config.first_level
        self.keeps_statistics = pretrained
        self.out_channels = config.channels
        windows = len(spec.windows)
        shared = replace(self.group_spec, windows=spec.windows[:1])
        self.mixer = centre_slice_mixer(shared if config.views else self.group_spec)
        self.backbone = build_backbone(config.backbone, pretrained=pretrained)
        if config.domains:
            add_domain_attention(self.backbone, config.domains)
        widths = self.backbone.channels[self.first_level :]
        self.pyramid = FeaturePyramidNetwork(widths, config.channels)
        self.fuse = _group_fusion(config, self.groups)
        self.views = ViewFusion(windows, config.channels) if config.views else None
        masks = DenseMaskHead(config.channels) if config.mask_weight > 0 else None
        self.lessons = SideLessons(
            masks,
            stride=2 ** (config.first_level + 1),
            mask_weight=config.mask_weight,
            height_weight=config.height_weight,
        )
        self.to(memory_format=torch.channels_last)

    def slow_parameters(self) -> list[nn.Parameter]:
        """What learns at the backbone's rate: it, without adapters, and the layer before it."""
        banks = (x for x in self.backbone.modules() if isinstance(x, DomainAttention))
        new = {id(weight) for bank in banks for weight in bank.parameters()}
        known = [weight for weight in self.backbone.parameters() if id(weight) not in new]
        return [*known, *self.mixer.parameters()]

    def train(self, mode: bool = True) -> SlicePyramid:
        """Switches to training, or back; the statistics of a pretrained backbone stay."""
        super().train(mode)
        if self.keeps_statistics:
            self.backbone.eval()
        return self

    def forward(self, pictures: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, finest first."""
        hu = pictures * (CT_HU.high - CT_HU.low) + CT_HU.low
        grouped = hu.reshape(-1, self.group_spec.slices, *hu.shape[2:])  # (n * groups, 3, h, w)
        channels = window_channels(grouped, self.group_spec)
        if self.views is not None:
            by_slice = channels.reshape(len(hu), self.group_spec.slices, -1, *hu.shape[2:])
            channels = by_slice.transpose(1, 2).flatten(0, 1)  # (n * windows, 3, h, w)
        levels = self.backbone(self.mixer(channels.contiguous(memory_format=torch.channels_last)))
        kept = {str(depth): level for depth, level in enumerate(levels[self.first_level :])}
        maps: OrderedDict[str, Tensor] = self.pyramid(kept)
        height = None
        if self.groups > 1:
            for name, level in maps.items():
                maps[name] = self.fuse(_joined(level, len(hu)))
        elif self.views is not None:
            joined = OrderedDict((name, _joined(level, len(hu))) for name, level in maps.items())
            maps, height = self.views(joined)
        if self.training:
            self.lessons.hear(next(iter(maps.values())), height)
        return maps


def _joined(level: Tensor, count: int) -> Tensor:
    """Maps of all groups or views of each of ``count`` slices, one behind the other."""
    return level.reshape(count, -1, *level.shape[2:])


def scaled(hu: Tensor) -> Tensor:
    """HU to [0, 1]; air is 0, so that what pads a batch is air."""
    return (hu.clamp(CT_HU.low, CT_HU.high) - CT_HU.low) / (CT_HU.high - CT_HU.low)


def build_network(config: DetectorConfig, spec: PatchSpec, *, pretrained: bool) -> DetectionNetwork:
    """torchvision's detector of the configured kind over a SlicePyramid.

    In training it takes scaled slices and targets (see ``retrieval.detection.missing_marks``) and
    returns the loss terms; otherwise boxes, scores and labels per slice, after NMS.

    Raises:
        BackboneError: the backbone is unknown, or its weights cannot be had.
        NetworkError: the number of slices does not fit the network.
    """
    pyramid = SlicePyramid(config, spec, pretrained=pretrained)
    common: dict[str, Any] = {
        "num_classes": config.classes,
        "score_thresh": 0.003,
        "nms_thresh": 0.5,
        "detections_per_img": 100,
        "topk_candidates": 300,
    }
    network: DetectionNetwork
    if config.head == Head.FCOS:
        strides = [2 ** (config.first_level + 1 + depth) for depth in range(len(config.anchor_px))]
        anchors = AnchorGenerator(tuple((s,) for s in strides), ((1.0,),) * len(strides))
        network = ForgivingFCOS(pyramid, anchor_generator=anchors, **common)
    else:
        sizes = tuple(
            tuple(round(side * scale) for scale in config.anchor_scales)
            for side in config.anchor_px
        )
        anchors = AnchorGenerator(sizes, (config.ratios,) * len(sizes))
        network = ForgivingRetinaNet(pyramid, anchor_generator=anchors, **common)
    network.transform = _AsTheyAre(spec.slices)
    network.to(memory_format=torch.channels_last)
    return network


class _AsTheyAre(GeneralizedRCNNTransform):
    """torchvision's batching without its resizing: slices come on their grid of millimetres."""

    def __init__(self, slices: int) -> None:
        super().__init__(1, 1, [0.0] * slices, [1.0] * slices, size_divisible=32)

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Both as they are."""
        return image, target


def _group_fusion(config: DetectorConfig, groups: int) -> nn.Module:
    if groups > 1 and config.fusion == Fusion.ATTENTION:
        return SliceAttention(groups, config.channels)
    return _middle_group_fusion(groups, config.channels)


def _middle_group_fusion(groups: int, channels: int) -> nn.Conv2d:
    """A 1 x 1 convolution over all groups that starts as the middle group alone."""
    fuse = nn.Conv2d(groups * channels, channels, kernel_size=1, bias=False)
    middle = (groups // 2) * channels
    with torch.no_grad():
        fuse.weight.zero_()
        for channel in range(channels):
            fuse.weight[channel, middle + channel] = 1
    return fuse
