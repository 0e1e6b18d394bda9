"""Recipes of the mask network: everything that decides a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.segmentation.learning.augment import ViewAugmentConfig
from retrieval.segmentation.learning.losses import MaskLossConfig
from retrieval.segmentation.learning.prompting import PromptConfig
from retrieval.segmentation.learning.weak import WeakConfig
from retrieval.segmentation.network import MaskNetworkConfig
from retrieval.segmentation.view import ViewSpec
from retrieval.training.config import RecipeLoader
from retrieval.training.schedule import CosineAdamW

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class MaskDataConfig:
    """What is learned from.

    Attributes:
        views: of each step.
        weights: share of each source: nodule, sarcoma, painted, phantom, marked.
        following: share of views on a slice beside one whose mask is known.
        phantoms: phantom patients; 0 for none.
        painted: lesions tried on each run of real slices; 0 for none.
        left_out: beginnings of series of real slices that are not used.
    """

    views: int = 24
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "nodule": 4.0,
            "sarcoma": 2.0,
            "painted": 2.0,
            "phantom": 2.0,
            "marked": 3.0,
        }
    )
    following: float = 0.3
    phantoms: int = 80
    painted: int = 3
    left_out: tuple[str, ...] = ("mirp_lung1",)


@dataclass(frozen=True, slots=True)
class MaskOptimiserConfig(CosineAdamW):
    """AdamW under a cosine schedule; rates are peaks, the "backbone" is the way down."""

    steps: int = 3000
    backbone_rate: float = 2e-3
    head_rate: float = 2e-3


@dataclass(frozen=True, slots=True)
class MaskRecipe:
    """One training run of a mask network.

    Attributes:
        start: a segmentation file to go on from; empty to start from nothing.
    """

    name: str = "small"
    seed: int = 0
    start: str = ""
    view: ViewSpec = field(default_factory=ViewSpec)
    network: MaskNetworkConfig = field(default_factory=MaskNetworkConfig)
    data: MaskDataConfig = field(default_factory=MaskDataConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    loss: MaskLossConfig = field(default_factory=MaskLossConfig)
    augment: ViewAugmentConfig = field(default_factory=ViewAugmentConfig)
    optimiser: MaskOptimiserConfig = field(default_factory=MaskOptimiserConfig)
    weak: WeakConfig = field(default_factory=WeakConfig)


load_mask_recipe = RecipeLoader(MaskRecipe, RECIPES)
