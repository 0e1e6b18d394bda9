"""Recipes: everything that decides a training run, as frozen dataclasses read from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.embedding.augment import AugmentConfig
from retrieval.embedding.losses import SequenceMargins
from retrieval.embedding.network import NetworkConfig
from retrieval.embedding.similarity import SimilarityThresholds
from retrieval.patch import PatchSpec
from retrieval.synthesis.degradation.random import DegradationConfig
from retrieval.training.config import RecipeLoader
from retrieval.training.schedule import CosineAdamW

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is drawn, and how often.

    Attributes:
        weights: how often an anchor comes from an archive, by the archive's folder name; 1 for
            an archive that is not named.
        attributes: names of the lesion attributes that count for similarity.
        paper_seeds: train also on the paper's 25 % of typed patients (``paper_split`` under the
            recipe's seed), and on no patient of the paper's other parts. Evaluate such an encoder
            with ``--split paper`` and the same seed only.
        same_patient: share of sequences that seek B and C in the anchor's own patient first.
    """

    weights: dict[str, float] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    paper_seeds: bool = False
    same_patient: float = 0.25


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the terms; ``identity`` is batch-hard, multi-similarity or none.

    Attributes:
        views_weight: of finding a lesion again on a worse scan (``recipe.degradation``); 0 draws
            no second view.
        memory: vectors of earlier batches that are further strangers to it.
        distillation_weight: of keeping the neighbourhoods of frozen multi-scale features.
        ratings_weight: of neighbourhoods as the readers' ratings have them, in both views.
        temperature: of the three, and of ``found_weight``'s.
        kept_weight: of a lesion's vector on a worse scan being its teacher's of the scan as it is
            (``recipe.teacher``).
        found_weight: of that vector being nearer than any other training lesion's.
    """

    sequence: float = 1.0
    identity: str = "multi-similarity"
    identity_weight: float = 0.5
    type_weight: float = 0.1
    location_weight: float = 1.0
    attribute_weight: float = 0.1
    views_weight: float = 0.0
    memory: int = 1024
    distillation_weight: float = 0.0
    ratings_weight: float = 0.0
    temperature: float = 0.1
    kept_weight: float = 0.0
    found_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class OptimiserConfig(CosineAdamW):
    """AdamW under a cosine schedule.

    Attributes:
        sequences: sequences a batch; each is up to six patches.
        frozen_levels: how many of the backbone's maps, from the shallowest, stay as they are:
            their gradients cost most of a step's backward pass. The mixer of slices stays too.
        trained_share: share of the trained weights in the encoder that is written; the rest are
            the weights the run started from. Between the two lie encoders that keep what
            ImageNet gives on unfamiliar images (Wortsman et al., CVPR 2022, WiSE-FT).
    """

    steps: int = 2000
    backbone_rate: float = 5e-5
    head_rate: float = 1e-3
    sequences: int = 16
    frozen_levels: int = 0
    trained_share: float = 1.0


@dataclass(frozen=True, slots=True)
class RefineConfig:
    """Iterative refinement: types of unlabelled lesions from their neighbours.

    Attributes:
        rounds: how often, evenly over the run; 0 for never.
        neighbours: typed lesions asked.
        confidence: smallest share of them that must agree.
    """

    rounds: int = 0
    neighbours: int = 10
    confidence: float = 0.8


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run of an encoder.

    Attributes:
        start: an encoder file to go on from; empty to start from frozen multi-scale features.
        teacher: an encoder file whose vectors of the scans as they are stay, also on worse scans;
            empty for none.
        pretrained: whether the backbone has ImageNet weights.
    """

    name: str = "small"
    seed: int = 0
    start: str = ""
    teacher: str = ""
    pretrained: bool = True
    patch: PatchSpec = field(default_factory=PatchSpec)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    similarity: SimilarityThresholds = field(default_factory=SimilarityThresholds)
    margins: SequenceMargins = field(default_factory=SequenceMargins)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)


load_recipe = RecipeLoader(Recipe, RECIPES)
