"""Recipes: everything that decides a training run, as frozen dataclasses read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from retrieval.embedding.augment import AugmentConfig
from retrieval.embedding.losses import SequenceMargins
from retrieval.embedding.network import NetworkConfig
from retrieval.embedding.similarity import SimilarityThresholds
from retrieval.lesion import LesionSearchError
from retrieval.patch import PatchSpec

RECIPES = Path(__file__).parent / "recipes"
_Config = TypeVar("_Config")


class RecipeError(LesionSearchError):
    """A recipe with a misspelt key or a value of the wrong kind."""


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
    """Weights of the terms; ``identity`` is batch-hard, multi-similarity or none."""

    sequence: float = 1.0
    identity: str = "multi-similarity"
    identity_weight: float = 0.5
    type_weight: float = 0.1
    location_weight: float = 1.0
    attribute_weight: float = 0.1


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """AdamW under a cosine schedule.

    Attributes:
        steps: batches in all.
        sequences: sequences a batch; each is up to six patches.
        backbone_rate, head_rate: peak learning rates; a backbone rate of 0 freezes it.
        warmup: share of the steps in which the rate rises.
        clip: largest gradient norm.
        trained_share: share of the trained weights in the encoder that is written; the rest are
            the weights the run started from. Between the two lie encoders that keep what
            ImageNet gives on unfamiliar images (Wortsman et al., CVPR 2022, WiSE-FT).
    """

    steps: int = 2000
    sequences: int = 16
    backbone_rate: float = 5e-5
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
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
        pretrained: whether the backbone has ImageNet weights.
    """

    name: str = "small"
    seed: int = 0
    start: str = ""
    pretrained: bool = True
    patch: PatchSpec = field(default_factory=PatchSpec)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    similarity: SimilarityThresholds = field(default_factory=SimilarityThresholds)
    margins: SequenceMargins = field(default_factory=SequenceMargins)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def load_recipe(name_or_path: str | Path, changes: Mapping[str, str] | None = None) -> Recipe:
    """A bundled recipe by name, or a TOML file, with ``section.key=value`` changes applied.

    Raises:
        RecipeError: no such recipe, a key the recipe does not have, or a value of another kind.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = RECIPES / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
        raise RecipeError(f"recipe {str(name_or_path)!r} is not a file nor one of {known}")
    try:
        table = tomllib.loads(path.read_text())
        for key, value in (changes or {}).items():
            _set(table, key.split("."), value)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path} is not valid TOML: {error}") from None
    return build_config(Recipe, {"name": path.stem, **table}, where=path.name)


def build_config(kind: type[_Config], table: Mapping[str, Any], *, where: str) -> _Config:
    """A frozen dataclass of nested dataclasses from a table; raises RecipeError with the path."""
    hints = get_type_hints(kind)
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - known):
        raise RecipeError(f"{where} has no key {unknown[0]!r}: one of {', '.join(sorted(known))}")
    values = {}
    for key, value in table.items():
        path = f"{where}: {key}"
        hint = hints[key]
        if isinstance(hint, type) and is_dataclass(hint):
            if not isinstance(value, dict):
                raise RecipeError(f"{path} is {value!r}: a table [{key}] is needed")
            values[key] = build_config(hint, value, where=path)
        else:
            values[key] = _plain(hint, value, path)
    return kind(**values)


def _plain(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{path} is {value!r}: a list is needed")
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{path} is {value!r}: a table of numbers is needed")
        return {key: _plain(float, number, f"{path}.{key}") for key, number in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise RecipeError(f"{path} is {value!r}: {hint.__name__} is needed")
    return value


def _set(table: dict[str, Any], keys: list[str], text: str) -> None:
    """Applies one ``--set`` change; the text is a TOML value, or else a plain string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for depth, key in enumerate(keys[:-1], start=1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise RecipeError(
                f"{'.'.join(keys)} cannot be set: {'.'.join(keys[:depth])} is a value"
            )
    table[keys[-1]] = value
