"""What the network sees of one slice: a square view scaled by the prompt, and the way back.

The view's side follows the prompt, so that a nodule of 4 mm and a sarcoma of 150 mm both fill about
half of it: small lesions are sampled finer than the image, large ones coarser.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Intensity, Slab
from retrieval.lesion import Box
from retrieval.patch import PatchSpec, extract_patch
from retrieval.segmentation.prompt import Prompt, PromptKind

KINDS = tuple(PromptKind)
CONTRAST_HU = 100.0
FURTHEST_GAP = 1.5
PROBABILITY = Intensity("probability", 0.0, 1.0, 0.0, {})


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """The grid and the windows of a view; stored with the weights.

    Attributes:
        size_px: side of the view.
        windows: (low, high) HU of the channels made of each of the three planes.
        wide: (low, high) HU of one more channel of the middle plane.
    """

    size_px: int = 64
    windows: tuple[tuple[float, float], ...] = ((-1000.0, 400.0), (-160.0, 240.0))
    wide: tuple[float, float] = (-100.0, 1000.0)

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return 3 * len(self.windows) + 2 + 1 + len(KINDS) + 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = asdict(self)
        fields["windows"] = [list(window) for window in self.windows]
        fields["wide"] = list(self.wide)
        return fields


@dataclass(frozen=True)
class View:
    """One slice about a prompt.

    Attributes:
        hu: (3, size, size): the slice below, the slice itself, the slice above.
        guide: (size, size) in [0, 1]: the prompt, 0.5 on its outline.
        kind: what the guide was made of.
        gap: distance from the key slice as a share of the long diameter there; 0 on it.
    """

    hu: NDArray[np.float32]
    guide: NDArray[np.float32]
    kind: PromptKind
    gap: float


@dataclass(frozen=True)
class PlaneProbability:
    """The network's answer on part of a slice.

    Attributes:
        rows, columns: the part of the image; elsewhere the probability is 0.
        values: (rows, columns) of that part, in [0, 1].
    """

    rows: slice
    columns: slice
    values: NDArray[np.float32]

    def on_image(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """The whole slice, (rows, columns)."""
        whole = np.zeros(shape, np.float32)
        whole[self.rows, self.columns] = self.values
        return whole


@dataclass(frozen=True)
class ViewGrid:
    """Where a view lies: its middle (x, y) in image pixels, and millimetres per view pixel."""

    center: tuple[float, float]
    mm_px: float
    size_px: int

    @classmethod
    def of(cls, prompt: Prompt, spec: ViewSpec) -> ViewGrid:
        """The grid that a prompt asks for."""
        return cls(prompt.view_center, prompt.side_mm / spec.size_px, spec.size_px)

    def cut(self, slab: Slab, position: int, slices: int = 3) -> NDArray[np.float32]:
        """(slices, size, size) about a slice of the slab, by the one preprocessing path."""
        planes = PatchSpec(
            size_px=self.size_px,
            mm_px=self.mm_px,
            slices=slices,
            slice_interval_mm=slab.slice_interval_mm,
        )
        where = Box.around(self.center, 1.0)
        return extract_patch(slab.as_displayed().with_key_slice(position), where, planes).hu

    def guide(self, prompt: Prompt, spacing_mm_px: tuple[float, float]) -> NDArray[np.float32]:
        """(size, size): 1 at the prompt's centre, 0.5 on its outline, falling to 0."""
        steps = (np.arange(self.size_px, dtype=np.float64) - (self.size_px - 1) / 2) * self.mm_px
        x = np.asarray(self.center[0] + steps[None, :] / spacing_mm_px[0], np.float64)
        y = np.asarray(self.center[1] + steps[:, None] / spacing_mm_px[1], np.float64)
        radius = np.minimum(prompt.radius_at(x, y, spacing_mm_px), 8.0)
        return np.exp2(-np.square(radius)).astype(np.float32)

    def back(
        self,
        probability: NDArray[np.float32],
        shape: tuple[int, int],
        spacing_mm_px: tuple[float, float],
    ) -> PlaneProbability:
        """The view's values on the image's own pixels, linear, averaged where these are coarser.

        Args:
            probability: (size, size) of the view.
            shape: (rows, columns) of the image.
            spacing_mm_px: of the image along (x, y).
        """
        columns, across = self._weights(self.center[0], spacing_mm_px[0], shape[1])
        rows, down = self._weights(self.center[1], spacing_mm_px[1], shape[0])
        values = down @ probability.astype(np.float64) @ across.T
        return PlaneProbability(rows, columns, values.astype(np.float32))

    def _weights(
        self, center: float, spacing: float, length: int
    ) -> tuple[slice, NDArray[np.float64]]:
        """Image pixels under the view along one axis, and each view pixel's weight in them."""
        half = self.size_px * self.mm_px / 2 / spacing
        first, last = max(int(np.ceil(center - half)), 0), int(np.floor(center + half))
        pixels = np.arange(first, min(last + 1, length))
        places = (pixels - center) * spacing / self.mm_px + (self.size_px - 1) / 2
        reach = max(spacing / self.mm_px, 1.0)
        weights = 1 - np.abs(np.arange(self.size_px)[None, :] - places[:, None]) / reach
        np.clip(weights, 0, None, out=weights)
        total = weights.sum(axis=1, keepdims=True)
        return slice(first, first + len(pixels)), weights / np.maximum(total, 1e-9)


def probability_slab(values: NDArray[np.float32], like: Slab) -> Slab:
    """(slices, rows, columns) of probabilities as a slab with the geometry of another."""
    return Slab(
        values.astype(np.float32),
        like.spacing_mm_px,
        like.slice_interval_mm,
        intensity=PROBABILITY,
    )


def channels_of(view: View, spec: ViewSpec) -> NDArray[np.float32]:
    """(channels, size, size): the network's input.

    Fixed windows of HU, and the contrast of the slice against the middle of the prompt: what a
    lesion's own HU are is read at the prompt, never from the picture's extremes.
    """
    parts = [np.clip((view.hu - low) / (high - low), 0, 1) * 2 - 1 for low, high in spec.windows]
    middle = view.hu[1]
    low, high = spec.wide
    core = view.guide >= min(0.8, float(view.guide.max()))
    level = np.median(middle[core]) if core.any() else 0.0
    parts.append(np.clip((middle[None] - low) / (high - low), 0, 1) * 2 - 1)
    parts.append(np.tanh((middle[None] - level) / CONTRAST_HU))
    parts.append(view.guide[None])
    flags = np.zeros((len(KINDS) + 1, *middle.shape), np.float32)
    flags[KINDS.index(view.kind)] = 1
    flags[-1] = min(view.gap, FURTHEST_GAP) * 2
    parts.append(flags)
    return np.concatenate(parts).astype(np.float32)
