"""Other views of a cached patch, drawn on the device: as another scanner, reader or study gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.image import CT_HU
from retrieval.lesion import LesionType
from retrieval.patch import PatchSpec

MIRRORED_TYPES = frozenset(
    kind.code
    for kind in (LesionType.BONE, LesionType.LUNG, LesionType.KIDNEY, LesionType.SOFT_TISSUE)
)
"""Types of paired or symmetric anatomy: only their patches may be flipped left to right."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far a view may differ; every value is the largest change, drawn uniformly.

    Attributes:
        spacing: relative change of the pixel spacing, as a logarithm.
        rotation_deg: in-plane rotation.
        slice_offset_mm: distance of the view's key plane from the marked one.
        hu_shift: constant added to all HU.
        noise_hu: standard deviation of added noise.
        kernel: strength of smoothing (or, negative, sharpening) as of another reconstruction.
        box_jitter: shift of each box edge as a share of the box's side.
    """

    spacing: float = 0.12
    rotation_deg: float = 8.0
    slice_offset_mm: float = 1.5
    hu_shift: float = 15.0
    noise_hu: float = 25.0
    kernel: float = 0.8
    box_jitter: float = 0.15


@dataclass(frozen=True)
class Augmenter:
    """Cuts a training view of ``spec`` out of cached patches with room around them."""

    spec: PatchSpec
    config: AugmentConfig

    def __call__(
        self, hu: Tensor, boxes: Tensor, flips: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """One random view of each patch.

        Args:
            hu: (n, slices + 2, p, p), float32 HU, cut with ``room_for_augmentation(spec)``.
            boxes: (n, 4), lesion boxes in those pixels.
            flips: (n,), bool: mirror this one left to right.
            generator: on the device of ``hu``.

        Returns:
            (n, slices, size_px, size_px) HU and (n, 4) boxes in the view's pixels.
        """
        draw = _Draw(len(hu), generator, hu.device)
        boxes = self._jittered(boxes, draw, limit=(hu.shape[-1] - self.spec.size_px) / 2)
        scale = draw.symmetric(self.config.spacing).exp()
        turn = draw.symmetric(math.radians(self.config.rotation_deg))
        planes = self._offset_planes(hu, draw)
        view = _resampled(planes, _grid_matrix(boxes, scale, turn, flips), self.spec.size_px)
        view = self._rescanned(view, draw)
        return view.clamp(CT_HU.low, CT_HU.high), _boxes_in_view(boxes, scale, self.spec.size_px)

    def _jittered(self, boxes: Tensor, draw: _Draw, *, limit: float) -> Tensor:
        """Each edge moved by a share of the side; the centre stays within the cached margin."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
        moved = boxes + draw.symmetric(self.config.box_jitter, 4) * sides.repeat(1, 2)
        shift = (moved[:, 2:] + moved[:, :2] - boxes[:, 2:] - boxes[:, :2]) / 2
        return moved + (shift.clamp(-limit, limit) - shift).repeat(1, 2)

    def _offset_planes(self, hu: Tensor, draw: _Draw) -> Tensor:
        """The view's planes, moved along z by a fraction of the interval between cached planes."""
        most = min(self.config.slice_offset_mm / self.spec.slice_interval_mm, 0.999)
        offset = draw.symmetric(most)
        below = offset.floor()
        weight = (offset - below).view(-1, 1, 1, 1)
        first = torch.arange(1, self.spec.slices + 1, device=hu.device) + below.long()[:, None]
        rows = torch.arange(len(hu), device=hu.device)[:, None]
        return torch.lerp(hu[rows, first], hu[rows, first + 1], weight)

    def _rescanned(self, view: Tensor, draw: _Draw) -> Tensor:
        strength = draw.symmetric(self.config.kernel).view(-1, 1, 1, 1)
        smooth = F.avg_pool2d(F.pad(view, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        view = torch.lerp(view, smooth, strength)
        noise = draw.normal(view.shape) * draw.uniform(self.config.noise_hu).view(-1, 1, 1, 1)
        return view + noise + draw.symmetric(self.config.hu_shift).view(-1, 1, 1, 1)


@dataclass(frozen=True)
class _Draw:
    count: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, largest: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator, device=self.device) * largest

    def symmetric(self, largest: float, width: int | None = None) -> Tensor:
        shape = (self.count,) if width is None else (self.count, width)
        unit = torch.rand(shape, generator=self.generator, device=self.device)
        return (unit * 2 - 1) * largest

    def normal(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)


def _grid_matrix(boxes: Tensor, scale: Tensor, turn: Tensor, flips: Tensor) -> Tensor:
    """(n, 2, 3): view pixels, counted from the view's middle, to cached pixels."""
    cosine, sine = scale * turn.cos(), scale * turn.sin()
    mirror = torch.where(flips, -1.0, 1.0)
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    top = torch.stack([cosine * mirror, -sine, center[:, 0]], dim=1)
    bottom = torch.stack([sine * mirror, cosine, center[:, 1]], dim=1)
    return torch.stack([top, bottom], dim=1)


def _resampled(planes: Tensor, matrix: Tensor, size_px: int) -> Tensor:
    """Bilinear sampling; what lies outside the cached patch is air."""
    offsets = torch.arange(size_px, device=planes.device) - (size_px - 1) / 2
    ys, xs = torch.meshgrid(offsets, offsets, indexing="ij")
    view = torch.stack([xs, ys, torch.ones_like(xs)], dim=-1).view(1, -1, 3)
    cached = (view @ matrix.transpose(1, 2)).view(-1, size_px, size_px, 2)
    grid = cached * 2 / (planes.shape[-1] - 1) - 1
    above_air = F.grid_sample(planes - CT_HU.padding, grid, align_corners=True)
    return above_air + CT_HU.padding


def _boxes_in_view(boxes: Tensor, scale: Tensor, size_px: int) -> Tensor:
    """The boxes about the view's middle; a small rotation leaves their sides as they are."""
    half = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1) / 2 / scale[:, None]
    middle = (size_px - 1) / 2
    return torch.cat([middle - half, middle + half], dim=1)
