"""Recipes of the heads: everything that decides a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.multitask.mask_head import MaskHeadConfig
from retrieval.segmentation.learning.augment import ViewAugmentConfig
from retrieval.segmentation.learning.losses import MaskLossConfig
from retrieval.segmentation.learning.prompting import PromptConfig
from retrieval.segmentation.learning.recipe import MaskDataConfig, MaskOptimiserConfig
from retrieval.training.config import RecipeLoader

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class RefinementConfig:
    """The score-refinement layer.

    Attributes:
        slices: training slices of each archive whose detections it learns from.
        boxes: the best of each slice.
        decay: how strongly it is held to the identity.
    """

    slices: int = 40
    boxes: int = 8
    decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class MultitaskRecipe:
    """One training run of the heads.

    ``prompt`` should draw boxes alone, as a detector gives them; ``data`` is the mask network's.
    """

    name: str = "small"
    seed: int = 0
    masks: MaskHeadConfig = field(default_factory=MaskHeadConfig)
    data: MaskDataConfig = field(default_factory=MaskDataConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    loss: MaskLossConfig = field(default_factory=MaskLossConfig)
    augment: ViewAugmentConfig = field(default_factory=ViewAugmentConfig)
    optimiser: MaskOptimiserConfig = field(default_factory=MaskOptimiserConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)


load_multitask_recipe = RecipeLoader(MultitaskRecipe, RECIPES)
