"""Recipes of the heads: everything that decides a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from retrieval.multitask.mask_head import MaskHeadConfig
from retrieval.segmentation.learning.augment import ViewAugmentConfig
from retrieval.segmentation.learning.losses import MaskLossConfig
from retrieval.segmentation.learning.prompting import PromptConfig
from retrieval.segmentation.learning.recipe import MaskDataConfig, MaskOptimiserConfig
from retrieval.training.config import read_config

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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def load_multitask_recipe(
    name_or_path: str | Path, changes: Mapping[str, str] | None = None
) -> MultitaskRecipe:
    """A bundled recipe by name, or a TOML file, with ``section.key=value`` changes applied.

    Raises:
        RecipeError: no such recipe, a key the recipe does not have, or a value of another kind.
    """
    return read_config(MultitaskRecipe, name_or_path, bundled=RECIPES, changes=changes or {})
