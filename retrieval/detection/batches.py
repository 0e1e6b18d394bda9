"""Batches of slices for each step: drawn, painted, augmented and cropped ahead of the loop.

Everything random in step k comes from (seed, rank, k) alone, so a resumed run draws the very same
batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.detection.network import DetectorConfig, scaled
from retrieval.detection.parts.masks import (
    ellipse_of_box,
    mirrored_ellipses,
    scaled_ellipses,
)
from retrieval.detection.recipe import DetectorRecipe, SliceAugment
from retrieval.detection.training_data import MarkedSlice, TrainingSlices, label_of
from retrieval.detection.whole_slice import WholeSlice
from retrieval.image import CT_HU
from retrieval.lesion import Box
from retrieval.patch import CANONICAL_PADDING_MM
from retrieval.synthesis.painting import inside_body, paint_lesion
from retrieval.training.prefetch import ahead

MOST_PAINTED = 3
KEPT_SHARE = 0.6
"""A mark of which the crop keeps less than this is ignored: half a lesion is another shape."""

NEGATIVES_SHARE = 0.5
"""So often a crop of a slice with hard negatives stands about one of them."""


@dataclass(frozen=True)
class DetectionBatch:
    """Scaled slices, each (slices, rows, columns), and their targets as ``missing_marks`` says."""

    pictures: list[Tensor]
    targets: list[dict[str, Tensor]]

    def to(self, device: torch.device) -> DetectionBatch:
        """The batch on another device."""
        return DetectionBatch(
            [picture.to(device) for picture in self.pictures],
            [{name: value.to(device) for name, value in t.items()} for t in self.targets],
        )


@dataclass(frozen=True)
class _Scene:
    """Planes with their boxes, in grid pixels; ``labels`` has -1 for what is to be ignored.

    ``ellipses`` (n, 5) are the boxes' pseudo-masks, ``negatives`` (k, 4) places without a lesion.
    """

    hu: NDArray[np.float32]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ellipses: NDArray[np.float32]
    negatives: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))


@dataclass(frozen=True)
class SliceBatches:
    """Where the batches of one run come from."""

    training: TrainingSlices
    recipe: DetectorRecipe
    slices: int
    rank: int = 0

    def batch(self, step: int) -> DetectionBatch:
        """The batch of one step, always the same one."""
        rng = np.random.default_rng([self.recipe.seed, self.rank, step])
        pictures, targets = [], []
        for _ in range(self.slices):
            picture, target = self._example(rng)
            pictures.append(picture)
            targets.append(target)
        return DetectionBatch(pictures, targets)

    def ahead(self, first: int, last: int) -> Iterator[tuple[int, DetectionBatch]]:
        """(step, batch) for the steps from ``first`` up to, not including, ``last``."""
        return ahead(self.batch, first, last)

    def _example(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        archive, marked, whole = self.training.draw(rng)
        if self.training.backgrounds[archive]:
            scene = _painted(whole, rng, self.recipe.grid.slice_interval_mm)
            scene = replace(scene, negatives=_on_grid(whole, marked.negatives))
        else:
            scene = _marked(whole, marked, self.recipe.network)
        scene = augmented(scene, self.recipe.augment, rng)
        reach_px = self.training.reaches_mm[archive] / self.recipe.grid.mm_px
        wanted = scene.labels >= 0
        target = {
            "boxes": torch.from_numpy(scene.boxes[wanted]),
            "labels": torch.from_numpy(scene.labels[wanted]),
            "ignored": torch.from_numpy(scene.boxes[~wanted]),
            "reach_px": torch.tensor(reach_px),
            "ellipses": torch.from_numpy(scene.ellipses[wanted]),
            "negatives": torch.from_numpy(scene.negatives),
            "height": torch.tensor(_height(marked), dtype=torch.float32),
        }
        return scaled(torch.from_numpy(scene.hu)), target


def augmented(scene: _Scene, config: SliceAugment, rng: np.random.Generator) -> _Scene:
    """The scene at another size, perhaps mirrored, cropped about a mark, with offset and noise."""
    factor = np.float32(rng.uniform(*config.scale))
    scene = replace(
        scene,
        hu=_resized(scene.hu, float(factor)),
        boxes=scene.boxes * factor,
        ellipses=scaled_ellipses(scene.ellipses, float(factor)),
        negatives=scene.negatives * factor,
    )
    if config.mirror and rng.random() < 0.5:
        scene = _mirrored(scene)
    cropped = _cropped(scene, config.crop_px, rng)
    noise = rng.normal(0, rng.uniform(0, config.noise_hu), cropped.hu.shape).astype(np.float32)
    shifted = cropped.hu + noise + np.float32(rng.normal(0, config.shift_hu))
    return replace(cropped, hu=np.clip(shifted, CT_HU.low, CT_HU.high))


def _mirrored(scene: _Scene) -> _Scene:
    columns = scene.hu.shape[2]
    return replace(
        scene,
        hu=scene.hu[:, :, ::-1],
        boxes=_mirrored_boxes(scene.boxes, columns),
        ellipses=mirrored_ellipses(scene.ellipses, columns),
        negatives=_mirrored_boxes(scene.negatives, columns),
    )


def _mirrored_boxes(boxes: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    turned = boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
    turned[:, [0, 2]] += columns - 1
    return np.asarray(turned, np.float32)


def _height(marked: MarkedSlice) -> float:
    """The slice's z as DeepLesion counts it; NaN where it is not known."""
    location = marked.key.location
    return float("nan") if location is None else float(location[2])


def _marked(whole: WholeSlice, marked: MarkedSlice, network: DetectorConfig) -> _Scene:
    boxes = [lesion.box for lesion in marked.lesions] + list(marked.nearby)
    known = [label_of(x, network.classes, network.categories) for x in marked.lesions]
    labels = known + [-1] * len(marked.nearby)
    on_grid = _on_grid(whole, boxes)
    filling = _filling(on_grid, whole.mm_px)
    return _Scene(whole.hu, on_grid, np.array(labels, np.int64), filling)


def _on_grid(whole: WholeSlice, boxes: Sequence[Box]) -> NDArray[np.float32]:
    rows = [whole.to_grid(box).to_list() for box in boxes]
    return np.array(rows, np.float32).reshape(-1, 4)


def _filling(boxes: NDArray[np.float32], mm_px: float) -> NDArray[np.float32]:
    """(n, 5): the ellipses that fill boxes without their padding."""
    padding = CANONICAL_PADDING_MM / mm_px
    filling = [ellipse_of_box(Box(*(float(x) for x in row)), padding) for row in boxes]
    return np.array(filling, np.float32).reshape(-1, 5)


def _painted(whole: WholeSlice, rng: np.random.Generator, interval_mm: float) -> _Scene:
    hu, boxes = whole.hu, []
    body = inside_body(hu[len(hu) // 2])
    for _ in range(int(rng.integers(1, MOST_PAINTED + 1))):
        with_one = paint_lesion(hu, body, rng, mm_px=whole.mm_px, slice_interval_mm=interval_mm)
        if with_one is not None:
            hu = with_one[0]
            boxes.append(with_one[1].to_list())
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return _Scene(hu, rows, np.zeros(len(boxes), np.int64), _filling(rows, whole.mm_px))


def _resized(hu: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    size = (max(32, round(hu.shape[2] * factor)), max(32, round(hu.shape[1] * factor)))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, size, interpolation=way) for plane in hu])


def _cropped(scene: _Scene, side: int, rng: np.random.Generator) -> _Scene:
    """At most ``side`` pixels each way, about a mark where there is one."""
    rows, columns = scene.hu.shape[1:]
    center = np.array([rng.uniform(0, columns), rng.uniform(0, rows)])
    places = scene.boxes[scene.labels >= 0]
    if len(scene.negatives) and (len(places) == 0 or rng.random() < NEGATIVES_SHARE):
        places = scene.negatives
    if len(places):
        chosen = places[int(rng.integers(len(places)))]
        around = (chosen[:2] + chosen[2:]) / 2
        center = around + rng.uniform(-0.35, 0.35, 2) * side
    left = int(np.clip(center[0] - side / 2, 0, max(0, columns - side)))
    top = int(np.clip(center[1] - side / 2, 0, max(0, rows - side)))
    hu = np.ascontiguousarray(scene.hu[:, top : top + side, left : left + side])
    moved = np.array([left, top, left, top], np.float32)
    boxes = scene.boxes - moved
    clipped = np.clip(boxes, 0, np.array([hu.shape[2], hu.shape[1]] * 2, np.float32))
    held = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    share = held / np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-6)
    seen = share > 0.05
    labels = np.where(share >= KEPT_SHARE, scene.labels, -1)
    ellipses = scene.ellipses - np.array([left, top, 0, 0, 0], np.float32)
    return _Scene(hu, clipped[seen], labels[seen], ellipses[seen], scene.negatives - moved)
