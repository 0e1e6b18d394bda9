"""Recipes of the height network: everything that decides a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from retrieval.position.learning.augment import HeightAugmentConfig
from retrieval.position.learning.losses import HeightLossConfig
from retrieval.position.network import HeightNetworkConfig
from retrieval.position.picture import PictureSpec
from retrieval.training.config import read_config

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
class HeightOptimiserConfig:
    """AdamW under a cosine schedule; rates are peaks.

    Attributes:
        frozen_stages: how many first stages of the trunk keep their ImageNet weights.
    """

    steps: int = 700
    frozen_stages: int = 2
    backbone_rate: float = 2e-4
    head_rate: float = 5e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0


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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def load_height_recipe(
    name_or_path: str | Path, changes: Mapping[str, str] | None = None
) -> HeightRecipe:
    """A bundled recipe by name, or a TOML file, with ``section.key=value`` changes applied.

    Raises:
        RecipeError: no such recipe, a key the recipe does not have, or a value of another kind.
    """
    return read_config(HeightRecipe, name_or_path, bundled=RECIPES, changes=changes or {})
