"""What the heads see of a box: the maps of the detector's trunk about it, on a square grid.

The square is that of the mask network (``Prompt.from_box``): its side follows the box, so that
lesions of every size fill about half of it. RoIAlign (He et al., 2017, section 3) reads each map.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from retrieval.detection.network import SlicePyramid
from retrieval.detection.whole_slice import WholeSlice
from retrieval.embedding.network import window_channels
from retrieval.image import CT_HU
from retrieval.patch import PatchSpec
from retrieval.segmentation.view import CONTRAST_HU, ViewGrid

FINE_LEVELS = 2
"""Maps of the backbone that are read beside the slice itself: strides 2 and 4."""

COARSE_LEVELS = 2
"""Maps of the pyramid that are read, the finest ones."""

COARSER = 4
"""Cells of the coarse grid are this many times as large as those of the fine one."""

_CORE = 0.8
"""Where the guide is above this, the middle of the prompt is."""


@dataclass
class SharedMaps:
    """What one pass of the detector has made of n slices; filled while it is heard.

    Attributes:
        fine: of the backbone, (n, channels, rows, columns) at strides 2 and 4.
        coarse: of the pyramid, the finest levels.
        strides: of ``coarse``.
    """

    fine: list[Tensor] = field(default_factory=list)
    coarse: list[Tensor] = field(default_factory=list)
    strides: tuple[int, ...] = ()


@contextmanager
def heard(pyramid: SlicePyramid) -> Iterator[SharedMaps]:
    """The maps of the first pass within; later passes (a close look) are not kept."""
    maps = SharedMaps()
    first = 2 ** (pyramid.first_level + 1)
    maps.strides = tuple(first * 2**depth for depth in range(COARSE_LEVELS))

    def keep_fine(_: nn.Module, __: Any, levels: list[Tensor]) -> None:
        if not maps.fine:
            maps.fine = list(levels[:FINE_LEVELS])

    def keep_coarse(_: nn.Module, __: Any, levels: dict[str, Tensor]) -> None:
        if not maps.coarse:
            maps.coarse = list(levels.values())[:COARSE_LEVELS]

    hooks = (
        pyramid.backbone.register_forward_hook(keep_fine),
        pyramid.register_forward_hook(keep_coarse),
    )
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class RoiSquares:
    """k squares on n slices.

    Attributes:
        slices: (k,), the number of each square's slice.
        edges: (k, 4), x1, y1, x2, y2 in pixels of the detector's grid, edges of pixels.
        guides: (k, size, size), the prompt as the mask network has it.
    """

    slices: Tensor
    edges: Tensor
    guides: Tensor

    @property
    def rows(self) -> Tensor:
        """(k, 5) as torchvision's RoIAlign takes them; pixel middles are whole numbers here."""
        return torch.cat([self.slices[:, None].float(), self.edges + 0.5], dim=1)


@dataclass(frozen=True)
class RoiInputs:
    """What the heads read of k squares.

    Attributes:
        hu: (k, slices, size, size), the slice and its neighbours.
        windows: (k, channels, size, size): HU windows, contrast with the middle, the guide.
        fine: (k, channels, size, size), the backbone's maps.
        coarse: (k, channels, size / COARSER, ...), the pyramid's.
    """

    hu: Tensor
    windows: Tensor
    fine: Tensor
    coarse: Tensor

    @property
    def guide(self) -> Tensor:
        """(k, size, size), the prompt."""
        return self.windows[:, -1]


def window_count(spec: PatchSpec) -> int:
    """Channels of ``RoiInputs.windows``."""
    return spec.slices * len(spec.windows) + 2


def edges_of(grid: ViewGrid, whole: WholeSlice) -> tuple[float, float, float, float]:
    """The square of a view, in pixels of the detector's grid."""
    middle = [
        (center - origin) * spacing / whole.mm_px
        for center, origin, spacing in zip(
            grid.center, whole.origin_px, whole.spacing_mm_px, strict=True
        )
    ]
    half = grid.size_px * grid.mm_px / 2 / whole.mm_px
    return middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half


def roi_inputs(
    pictures: Tensor, maps: SharedMaps, squares: RoiSquares, spec: PatchSpec
) -> RoiInputs:
    """What the heads read.

    Args:
        pictures: (n, slices, rows, columns) as ``scaled`` makes them: what the maps are of.
        maps: of these pictures.
        squares: where to look.
        spec: the detector's grid with its windows.
    """
    size = squares.guides.shape[-1]
    rows = squares.rows

    def aligned(level: Tensor, stride: int, side: int) -> Tensor:
        found: Tensor = roi_align(level, rows, side, 1 / stride, sampling_ratio=2, aligned=True)
        return found

    hu = aligned(pictures, 1, size) * (CT_HU.high - CT_HU.low) + CT_HU.low
    guide = squares.guides
    middle = hu[:, hu.shape[1] // 2]
    least = guide.amax(dim=(1, 2), keepdim=True).clamp(max=_CORE)
    core = (guide >= least).float()
    level = (middle * core).sum(dim=(1, 2)) / core.sum(dim=(1, 2)).clamp(min=1)
    contrast = ((middle - level[:, None, None]) / CONTRAST_HU).tanh()
    windows = torch.cat(
        [window_channels(hu, spec) * 2 - 1, contrast[:, None], guide[:, None]], dim=1
    )
    fine = [aligned(one, 2 ** (depth + 1), size) for depth, one in enumerate(maps.fine)]
    coarse = [
        aligned(one, stride, size // COARSER)
        for one, stride in zip(maps.coarse, maps.strides, strict=True)
    ]
    return RoiInputs(hu, windows, torch.cat(fine, dim=1), torch.cat(coarse, dim=1))
