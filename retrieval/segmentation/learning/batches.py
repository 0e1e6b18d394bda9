"""What a step is made of: views of lesions with prompts, or with the mask of the slice beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.segmentation.following import follow_prompt
from retrieval.segmentation.learning.augment import augment
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import draw_prompt, moved_view
from retrieval.segmentation.learning.recipe import MaskRecipe
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.view import View, ViewGrid, channels_of, probability_slab


@dataclass(frozen=True)
class MaskBatch:
    """(views, channels, size, size) inputs and (views, size, size) shares of lesion."""

    views: NDArray[np.float32]
    shares: NDArray[np.float32]


class BatchMaker:
    """Draws the batch of any step; it depends on the seed and the step alone."""

    def __init__(self, lesions: Sequence[MaskedLesion], recipe: MaskRecipe) -> None:
        self._recipe = recipe
        self._sources: dict[str, list[MaskedLesion]] = {}
        for lesion in lesions:
            if lesion.key_slices:
                self._sources.setdefault(lesion.source, []).append(lesion)
        weights = np.array([recipe.data.weights.get(name, 0.0) for name in self._sources])
        self._chances = weights / weights.sum()

    def __call__(self, step: int) -> MaskBatch:
        """The batch of a step."""
        rng = np.random.default_rng([self._recipe.seed, step])
        names = list(self._sources)
        views, shares = [], []
        for _ in range(self._recipe.data.views):
            pool = self._sources[names[int(rng.choice(len(names), p=self._chances))]]
            lesion = pool[int(rng.integers(len(pool)))]
            view, share = self._one(lesion, rng)
            views.append(channels_of(view, self._recipe.view))
            shares.append(share)
        return MaskBatch(np.stack(views), np.stack(shares))

    def _one(
        self, lesion: MaskedLesion, rng: np.random.Generator
    ) -> tuple[View, NDArray[np.float32]]:
        position = lesion.key_slices[int(rng.integers(len(lesion.key_slices)))]
        spacing = lesion.slab.spacing_mm_px
        gap = 0.0
        beside = _beside(lesion, position, rng)
        if beside is not None and rng.random() < self._recipe.data.following:
            long_mm, _ = lesion.mark_on(position).diameters_mm(spacing)
            gap = abs(beside[1] - position) * lesion.slab.slice_interval_mm / long_mm
            before, position = beside
            known = _perturbed(lesion.mask[before], spacing, rng)
            prompt = moved_view(follow_prompt(known, spacing), spacing, self._recipe.prompt, rng)
        else:
            mask = lesion.mask[position]
            mark = lesion.mark_on(position)
            prompt = draw_prompt(mark, mask, spacing, self._recipe.prompt, rng)
            known = None
        grid = ViewGrid.of(prompt, self._recipe.view)
        guide = _guide(grid, prompt, known, lesion)
        share = grid.cut(lesion.share_slab, position, slices=1)[0]
        maps = np.stack([guide, np.asarray(share, np.float32)])
        hu, maps = augment(grid.cut(lesion.slab, position), maps, self._recipe.augment, rng)
        return View(hu, maps[0], prompt.kind, gap), maps[1]


def _guide(
    grid: ViewGrid, prompt: Prompt, known: NDArray[np.float32] | None, lesion: MaskedLesion
) -> NDArray[np.float32]:
    if known is None:
        return grid.guide(prompt, lesion.slab.spacing_mm_px)
    whole = grid.cut(probability_slab(known[None], lesion.slab), 0, slices=1)
    return np.asarray(whole[0], np.float32)


def _beside(lesion: MaskedLesion, key: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """A slice that shows the lesion and the next one away from the key slice, which may not.

    None where the slice that was drawn has no next one that is known.
    """
    shown = np.flatnonzero(lesion.mask.any(axis=(1, 2)))
    before = int(rng.choice(shown))
    step = int(np.sign(before - key)) or int(rng.choice([-1, 1]))
    after = before + step
    first, last = lesion.known or (0, len(lesion.mask) - 1)
    return (before, after) if first <= after <= last else None


def _perturbed(
    mask: NDArray[np.bool_], spacing_mm_px: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A known mask as a network would have given it: grown or shrunk a little, soft at the rim."""
    signed = ndimage.distance_transform_edt(mask, sampling=spacing_mm_px[::-1])
    signed -= ndimage.distance_transform_edt(~mask, sampling=spacing_mm_px[::-1])
    size = float(np.sqrt(mask.sum() * spacing_mm_px[0] * spacing_mm_px[1]))
    offset = rng.normal(0, min(0.06 * size, 2.0))
    grain_px = max(2.0, 0.15 * size / max(spacing_mm_px))
    wobble = ndimage.gaussian_filter(rng.standard_normal(mask.shape), grain_px)
    wobble *= rng.uniform(0, 0.08) * size / max(float(wobble.std()), 1e-6)
    soft = rng.uniform(0.2, 0.6) * max(spacing_mm_px)
    values = 1 / (1 + np.exp(-np.clip((signed + offset + wobble) / soft, -20, 20)))
    if values.max() < 0.6:
        values = mask.astype(np.float64)
    return np.asarray(values, np.float32)
