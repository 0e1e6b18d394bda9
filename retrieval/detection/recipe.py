"""Recipes of detectors: everything that decides a training run, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.detection.network import DetectorConfig
from retrieval.patch import PatchSpec
from retrieval.training.config import RecipeError, RecipeLoader
from retrieval.training.schedule import CosineAdamW

RECIPES = Path(__file__).parent / "recipes"
REMEDIES = ("none", "ignore")


@dataclass(frozen=True, slots=True)
class SlicesConfig:
    """Which slices are drawn, and what is known of them.

    Attributes:
        weights: how often a slice comes from an archive, by the archive's folder name; 1 for an
            archive that is not named.
        reach_mm: by archive, how far from its marks the background is known to be free of
            lesions; everywhere for an archive that is not named.
        backgrounds: archives whose marks are no lesions; lesions are painted into their slices.
        hidden: share of the marks taken away, to measure what missing marks cost.
        pseudo_types: a JSON file of lesion id to type name, for lesions without a type, where the
            network learns types; empty for none. Such lesions are left out of the loss otherwise.
        categories: a categories.json of ``lesion-search categorize``: its categories become the
            classes; a lesion that is not in it is left out of the loss. Empty for none.
        negatives: a JSON file of hard negatives on the slices of ``backgrounds``; empty for none.
    """

    weights: dict[str, float] = field(default_factory=dict)
    reach_mm: dict[str, float] = field(default_factory=dict)
    backgrounds: tuple[str, ...] = ()
    hidden: float = 0.0
    pseudo_types: str = ""
    categories: str = ""
    negatives: str = ""


@dataclass(frozen=True, slots=True)
class MissingConfig:
    """The remedy against missing marks: ``none``, or ``ignore`` confident unmarked detections.

    Attributes:
        threshold: the score above which an unmarked detection is left out of the loss.
        after: share of the steps before which the network is not yet trusted.
    """

    remedy: str = "none"
    threshold: float = 0.5
    after: float = 0.3


@dataclass(frozen=True, slots=True)
class SliceAugment:
    """How slices differ from what was read.

    Attributes:
        scale: smallest and largest factor of size.
        crop_px: largest side of what the network sees in training.
        shift_hu, noise_hu: standard deviation of a slice's offset, largest of its noise.
        mirror: whether left and right may change places.
    """

    scale: tuple[float, float] = (0.8, 1.25)
    crop_px: int = 320
    shift_hu: float = 8.0
    noise_hu: float = 12.0
    mirror: bool = True


@dataclass(frozen=True, slots=True)
class DetectorOptimiser(CosineAdamW):
    """AdamW under a cosine schedule.

    Attributes:
        slices: slices a batch.
    """

    steps: int = 1000
    backbone_rate: float = 2e-4
    head_rate: float = 1e-3
    clip: float = 5.0
    slices: int = 8


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """One training run of a detector.

    ``start`` is a detector file to go on from, or empty. With ``start_partly`` it may be of another
    recipe: what fits is taken, the rest begins anew.
    """

    name: str = "small"
    seed: int = 0
    start: str = ""
    start_partly: bool = False
    pretrained: bool = True
    grid: PatchSpec = field(default_factory=PatchSpec)
    network: DetectorConfig = field(default_factory=DetectorConfig)
    data: SlicesConfig = field(default_factory=SlicesConfig)
    missing: MissingConfig = field(default_factory=MissingConfig)
    augment: SliceAugment = field(default_factory=SliceAugment)
    optimiser: DetectorOptimiser = field(default_factory=DetectorOptimiser)

    def __post_init__(self) -> None:
        if self.missing.remedy not in REMEDIES:
            raise RecipeError(
                f"missing.remedy is {self.missing.remedy!r}: one of {', '.join(REMEDIES)}"
            )
        if self.network.classes > 1 and self.data.backgrounds:
            raise RecipeError(
                f"data.backgrounds is {list(self.data.backgrounds)} with {self.network.classes} "
                "classes: a painted lesion has no type, so learn one class or name no backgrounds"
            )
        if not 0 <= self.data.hidden < 1:
            raise RecipeError(f"data.hidden is {self.data.hidden}: a share from 0 to below 1")


load_detector_recipe = RecipeLoader(DetectorRecipe, RECIPES)
