"""Frozen ImageNet features: the baseline that counts, because it costs no training at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from retrieval.evaluation.retrieval.baselines import BASELINE_SPEC
from retrieval.image import apply_window
from retrieval.nn.backbones import LITE0, build_backbone
from retrieval.nn.pooling import box_means
from retrieval.patch import Patch, PatchSpec

CONTEXT_LEVELS = 2
"""How many of the deepest maps are also averaged over the whole patch."""

BATCH = 32


class FrozenFeatures:
    """A trunk nobody trained on CT, read in two ways.

    Last layer: the mean of the deepest map over the whole patch (the context).
    Multi-scale: the means of all maps over the lesion box and of the two deepest over the context,
    each group centred over the set and given length one, then joined. The three input channels
    are the middle slice under the spec's first three windows.
    """

    def __init__(
        self, trunk: nn.Module, *, name: str, spec: PatchSpec = BASELINE_SPEC, device: str = "cpu"
    ) -> None:
        self.name = name
        self.spec = spec
        self._device = torch.device(device)
        self._trunk = trunk.to(self._device).eval()
        self._widths: list[int] = []

    @classmethod
    def imagenet(
        cls, backbone: str = LITE0, *, spec: PatchSpec = BASELINE_SPEC, device: str = "cpu"
    ) -> Self:
        """The backbone of that name with ImageNet weights; raises BackboneError without them."""
        trunk = build_backbone(backbone, pretrained=True)
        return cls(trunk, name=backbone, spec=spec, device=device)

    @torch.inference_mode()
    def describe(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        """(n, features): the box means of every level, then the context means, joined."""
        parts = [self._groups(patches[i : i + BATCH]) for i in range(0, len(patches), BATCH)]
        return np.concatenate(parts)

    def vectors(self, described: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Unit vectors over the whole set, under two names."""
        groups = np.split(described, np.cumsum(self._widths)[:-1], axis=1)
        joined = np.concatenate([_unit(group - group.mean(axis=0)) for group in groups], axis=1)
        return {
            f"{self.name} frozen, last layer": _unit(groups[-1]),
            f"{self.name} frozen, multi-scale": _unit(joined),
        }

    def _groups(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        middle = torch.from_numpy(np.stack([patch.hu[self.spec.slices // 2] for patch in patches]))
        windows = self.spec.windows
        chosen = [windows[channel % len(windows)] for channel in range(3)]
        channels = [apply_window(middle, low, high) for low, high in chosen]
        boxes = torch.tensor([patch.box.to_list() for patch in patches], device=self._device)
        levels = self._trunk(torch.stack(channels, dim=1).to(self._device))
        groups = box_means(levels, boxes, patch_px=self.spec.size_px)
        groups += [level.mean(dim=(2, 3)) for level in levels[-CONTEXT_LEVELS:]]
        self._widths = [int(group.shape[1]) for group in groups]
        return torch.cat(groups, dim=1).float().cpu().numpy()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
