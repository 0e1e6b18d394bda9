"""The head's normalisation of a window by the statistics of the whole slice.

The head normalises groups of channels over the whole picture (Wu and He, ECCV 2018, group
normalisation, arXiv 1803.08494). A window about a lesion has other means than the slice it was
cut from, and the same lesion scores far lower there. So the statistics of the first pass are kept
and used for the windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch import Tensor, nn

_Network = TypeVar("_Network", bound=nn.Module)
_Line = tuple[Tensor, Tensor]


class SliceStatistics:
    """Factor and offset by which each normalisation treated each map of one slice's pyramid."""

    def __init__(self) -> None:
        self._lines: dict[nn.Module, list[_Line]] = {}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What networks of ``with_slice_statistics`` compute within is remembered."""
        self._lines.clear()
        with _during(self._keep):
            yield

    @contextmanager
    def used(self) -> Iterator[None]:
        """What they compute within is normalised as the remembered slice was, level by level."""
        levels = {layer: iter(lines) for layer, lines in self._lines.items()}

        def normalised(layer: SharedGroupNorm, maps: Tensor) -> Tensor:
            factor, offset = next(levels[layer])
            return torch.addcmul(offset, maps, factor)

        with _during(normalised):
            yield

    def _keep(self, layer: SharedGroupNorm, maps: Tensor) -> Tensor:
        values, line = layer.with_line(maps)
        self._lines.setdefault(layer, []).append(line)
        return values


class SharedGroupNorm(nn.Module):
    """Group normalisation that can take a slice's statistics; by itself the same as torch's."""

    def __init__(self, layer: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = layer.num_groups, layer.eps
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape."""
        normalise = _NORMALISE.get()
        return self.with_line(maps)[0] if normalise is None else normalise(self, maps)

    def with_line(self, maps: Tensor) -> tuple[Tensor, _Line]:
        """The maps normalised, and factor and offset of the first, each (1, channels, 1, 1)."""
        count, channels = maps.shape[:2]
        sizes = (count, channels, maps[0, 0].numel())
        values, mean, spread = torch.native_group_norm(
            maps, self.weight, self.bias, *sizes, self.groups, self.eps
        )
        each = channels // self.groups
        factor = self.weight * spread[0].repeat_interleave(each)
        offset = self.bias - mean[0].repeat_interleave(each) * factor
        return values, (factor.view(1, -1, 1, 1), offset.view(1, -1, 1, 1))


def with_slice_statistics(network: _Network) -> _Network:
    """The network, changed in place, with every group normalisation able to share statistics."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, SharedGroupNorm(child))
    return network


_Normalise = Callable[[SharedGroupNorm, Tensor], Tensor]
_NORMALISE: ContextVar[_Normalise | None] = ContextVar("slice_statistics", default=None)


@contextmanager
def _during(normalise: _Normalise) -> Iterator[None]:
    token = _NORMALISE.set(normalise)
    try:
        yield
    finally:
        _NORMALISE.reset(token)
