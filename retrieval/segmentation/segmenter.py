"""LesionSegmenter: a slab and a prompt in; the probability of "lesion" on the key slice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.segmentation.network import MaskNetwork
from retrieval.segmentation.network_file import load_mask_network
from retrieval.segmentation.prompt import Prompt, PromptKind
from retrieval.segmentation.view import (
    PlaneProbability,
    View,
    ViewGrid,
    ViewSpec,
    channels_of,
    probability_slab,
)

POINT_SIDES_MM = (16.0, 28.0, 50.0, 90.0, 160.0)
"""Views tried about a click, whose lesion's size nobody knows."""

POINT_FILL = (0.12, 0.62)
"""A lesion found about a click spans this share of the view; otherwise another view fits better."""


@dataclass(frozen=True)
class SlicePrompt:
    """A prompt on one slice of a slab.

    Attributes:
        known: the neighbouring slice's answer, if any.
        gap: distance from the key slice as a share of the long diameter there.
    """

    position: int
    prompt: Prompt
    known: NDArray[np.float32] | None = None
    gap: float = 0.0


class LesionSegmenter:
    """The network with its views' grid."""

    def __init__(self, network: MaskNetwork, spec: ViewSpec, fingerprint: str) -> None:
        self.network, self.spec, self.fingerprint = network.eval(), spec, fingerprint

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """From a file, or the bundled network; raises SegmentationModelError."""
        network, spec, header = load_mask_network(path or bundled_segmentation())
        return cls(network, spec, str(header["fingerprint"]))

    def predict(self, slab: Slab, prompts: Sequence[SlicePrompt]) -> list[PlaneProbability]:
        """The probability on each prompt's slice, on the image's own pixels.

        Raises:
            LesionError: a prompt's middle lies outside the image.
            PatchError: the slab holds values that are not numbers.
        """
        grids = [ViewGrid.of(one.prompt, self.spec) for one in prompts]
        inputs = []
        for one, grid in zip(prompts, grids, strict=True):
            view = self._view(slab, one, grid)
            inputs.append(channels_of(view, self.spec))
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(np.stack(inputs)))
            values = torch.sigmoid(logits).numpy()
        shape = (slab.rows, slab.columns)
        return [
            grid.back(value, shape, slab.spacing_mm_px)
            for grid, value in zip(grids, values, strict=True)
        ]

    def key_slice(self, slab: Slab, prompt: Prompt) -> tuple[PlaneProbability, Prompt]:
        """The probability on the key slice, and the prompt that it was got with.

        A click is tried in views of several sizes; the mask that fits its view best gives a box,
        and that the answer.
        """
        position = slab.key_slice
        if prompt.kind is PromptKind.POINT:
            prompt = self._about_point(slab, prompt)
        return self.predict(slab, [SlicePrompt(position, prompt)])[0], prompt

    def _about_point(self, slab: Slab, prompt: Prompt) -> Prompt:
        tried = [Prompt.from_point(prompt.center, side_mm=side) for side in POINT_SIDES_MM]
        planes = self.predict(slab, [SlicePrompt(slab.key_slice, one) for one in tried])
        shape, spacing = (slab.rows, slab.columns), slab.spacing_mm_px
        scored: list[tuple[float, int, Box]] = []
        for number, (one, plane) in enumerate(zip(tried, planes, strict=True)):
            found = held_part(plane.on_image(shape), prompt.center)
            if found is None:
                continue
            box, certainty = found
            fill = max(box.width * spacing[0], box.height * spacing[1]) / one.side_mm
            fits = POINT_FILL[0] <= fill <= POINT_FILL[1]
            scored.append((certainty + (1.0 if fits else 0.0), -number, box))
        if not scored:
            return tried[1]
        return Prompt.from_box(max(scored)[2].padded(BOX_PADDING_PX), spacing)

    def _view(self, slab: Slab, one: SlicePrompt, grid: ViewGrid) -> View:
        hu = grid.cut(slab, one.position)
        if one.known is None:
            guide = grid.guide(one.prompt, slab.spacing_mm_px)
        else:
            guide = grid.cut(probability_slab(one.known[None], slab), 0, slices=1)[0]
        return View(hu, guide, one.prompt.kind, one.gap)


def held_part(
    probability: NDArray[np.float32], point: tuple[float, float]
) -> tuple[Box, float] | None:
    """The extent of the part that holds a point, and how certain it is: (box, 0 to 1).

    None where the probability at the point is not above a half.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(probability > 0.5)
    x, y = round(point[0]), round(point[1])
    if not (0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]) or labels[y, x] == 0:
        return None
    inside = labels == labels[y, x]
    rows, columns = np.nonzero(inside)
    box = Box(columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
    seen = probability > 0.05
    return box, float(np.abs(2 * probability[seen] - 1).mean())


def bundled_segmentation() -> Path:
    """The file of the network that comes with the package."""
    return Path(str(files("retrieval.weights"))) / "segmentation.safetensors"
