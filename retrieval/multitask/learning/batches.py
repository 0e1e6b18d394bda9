"""What a step is made of: lesions with masks about boxes, each in a crop of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.multitask.crops import LesionCrop, crop_about
from retrieval.multitask.learning.recipe import MultitaskRecipe
from retrieval.patch import PatchSpec
from retrieval.segmentation.learning.augment import augment
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import draw_prompt
from retrieval.segmentation.view import ViewGrid, ViewSpec


@dataclass(frozen=True)
class CropBatch:
    """Crops, and (k, size, size): how much of each cell of their squares is lesion."""

    crops: list[LesionCrop]
    shares: NDArray[np.float32]


@dataclass(frozen=True)
class CropBatches:
    """Draws the batch of any step; it depends on the seed and the step alone."""

    lesions: Sequence[MaskedLesion]
    recipe: MultitaskRecipe
    spec: PatchSpec

    def __call__(self, step: int) -> CropBatch:
        """The batch of a step."""
        rng = np.random.default_rng([self.recipe.seed, step])
        pools: dict[str, list[MaskedLesion]] = {}
        for lesion in self.lesions:
            if lesion.key_slices:
                pools.setdefault(lesion.source, []).append(lesion)
        names = list(pools)
        chances = np.array([self.recipe.data.weights.get(name, 0.0) for name in names])
        drawn = rng.choice(len(names), self.recipe.data.views, p=chances / chances.sum())
        made = [self._one(pools[names[k]], rng) for k in drawn.tolist()]
        return CropBatch([crop for crop, _ in made], np.stack([share for _, share in made]))

    def _one(
        self, pool: list[MaskedLesion], rng: np.random.Generator
    ) -> tuple[LesionCrop, NDArray[np.float32]]:
        lesion = pool[int(rng.integers(len(pool)))]
        position = lesion.key_slices[int(rng.integers(len(lesion.key_slices)))]
        prompt = draw_prompt(
            lesion.mark_on(position),
            lesion.mask[position],
            lesion.slab.spacing_mm_px,
            self.recipe.prompt,
            rng,
        )
        size_px = self.recipe.masks.size_px
        crop = crop_about(lesion.slab.with_key_slice(position), prompt, self.spec, size_px)
        grid = ViewGrid.of(prompt, ViewSpec(size_px=size_px))
        share = grid.cut(lesion.share_slab, position, slices=1)[0]
        maps = np.stack([crop.guide, np.asarray(share, np.float32)])
        hu, maps = augment(crop.hu, maps, self.recipe.augment, rng)
        return replace(crop, hu=hu, guide=maps[0]), maps[1]
