"""The level at which a probability counts as lesion, chosen on left-out patients.

Soft targets and jittered prompts make a network cautious: its masks at one half are a little small.
The level that gives the best Dice becomes one half by moving the bias of the network's last layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from retrieval.lesion import BOX_PADDING_PX
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import extent_box, jittered
from retrieval.segmentation.network import MaskNetwork
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter, SlicePrompt
from retrieval.segmentation.view import ViewSpec

LEVELS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
JITTER_MM = 0.6


def best_level(segmenter: LesionSegmenter, lesions: Sequence[MaskedLesion], *, seed: int) -> float:
    """The level with the best mean Dice on key slices, from two lines and from boxes."""
    scores = np.zeros(len(LEVELS))
    for number, lesion in enumerate(lesions):
        rng = np.random.default_rng([seed, number])
        slab, spacing = lesion.slab, lesion.slab.spacing_mm_px
        truth = lesion.mask[slab.key_slice]
        mark = jittered(lesion.mark_on(slab.key_slice), JITTER_MM, spacing, rng)
        prompts = (
            Prompt.from_recist(mark, spacing),
            Prompt.from_box(extent_box(mark, BOX_PADDING_PX), spacing),
        )
        for plane in segmenter.predict(slab, [SlicePrompt(slab.key_slice, p) for p in prompts]):
            values = plane.on_image(truth.shape)
            for k, level in enumerate(LEVELS):
                found = values > level
                scores[k] += 2 * (found & truth).sum() / max(found.sum() + truth.sum(), 1)
    return LEVELS[int(scores.argmax())]


def move_level(network: MaskNetwork, level: float) -> None:
    """Makes ``level`` the network's one half, in place."""
    with torch.no_grad():
        bias = network.head.bias
        assert bias is not None
        bias.sub_(math.log(level / (1 - level)))


def with_best_level(
    network: MaskNetwork, spec: ViewSpec, lesions: Sequence[MaskedLesion], *, seed: int
) -> float:
    """Chooses the level, moves the network to it and returns it."""
    level = best_level(LesionSegmenter(network, spec, ""), lesions, seed=seed)
    move_level(network, level)
    return level
