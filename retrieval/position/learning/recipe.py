"""Recipes of the height network: everything that decides a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.position.learning.augment import HeightAugmentConfig
from retrieval.position.learning.losses import HeightLossConfig
from retrieval.position.network import HeightNetworkConfig
from retrieval.position.picture import PictureSpec
from retrieval.training.config import RecipeLoader
from retrieval.training.schedule import CosineAdamW

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class HeightDataConfig:
    """What is learned from.

    Attributes:
        left_out: beginnings of names of series that are never trained on: they choose and test.
        series, slices: how many series a step, and slices of each.
        longest_mm: a series is drawn in proportion to its span, at most this.
    """

    left_out: tuple[str, ...] = ()
    series: int = 6
    slices: int = 8
    longest_mm: float = 600.0


@dataclass(frozen=True, slots=True)
class HeightOptimiserConfig(CosineAdamW):
    """AdamW under a cosine schedule; rates are peaks.

    Attributes:
        frozen_stages: how many first stages of the trunk keep their ImageNet weights.
    """

    steps: int = 700
    backbone_rate: float = 2e-4
    head_rate: float = 5e-3
    frozen_stages: int = 2


@dataclass(frozen=True, slots=True)
class HeightRecipe:
    """One training run of a height network.

    Attributes:
        start: a position file to go on from; empty to start from the trunk alone.
        pretrained: whether the trunk has ImageNet weights.
    """

    name: str = "small"
    seed: int = 0
    start: str = ""
    pretrained: bool = True
    picture: PictureSpec = field(default_factory=PictureSpec)
    network: HeightNetworkConfig = field(default_factory=HeightNetworkConfig)
    data: HeightDataConfig = field(default_factory=HeightDataConfig)
    loss: HeightLossConfig = field(default_factory=HeightLossConfig)
    augment: HeightAugmentConfig = field(default_factory=HeightAugmentConfig)
    optimiser: HeightOptimiserConfig = field(default_factory=HeightOptimiserConfig)


load_height_recipe = RecipeLoader(HeightRecipe, RECIPES)
