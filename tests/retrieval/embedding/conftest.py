"""A small phantom archive and one tiny training run, made once for all tests of the embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval.embedding.recipe import Recipe, load_recipe
from retrieval.embedding.train import TrainedEncoder, train_encoder
from retrieval.embedding.training_data import TrainingData
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive


@dataclass(frozen=True)
class TinyRun:
    """A finished run of the tiny recipe: its folder holds the patch cache, log and encoder."""

    out: Path
    recipe: Recipe
    trained: TrainedEncoder


@pytest.fixture(scope="session")
def phantom_archive(tmp_path_factory: pytest.TempPathFactory) -> DeepLesionArchive:
    root = Path(tmp_path_factory.mktemp("archives")) / "phantom"
    generate_archive(root, patients=8, seed=7)
    return DeepLesionArchive.open(root)


@pytest.fixture(scope="session")
def tiny_run(
    phantom_archive: DeepLesionArchive, tmp_path_factory: pytest.TempPathFactory
) -> TinyRun:
    """Never interrupted; refines once in the middle. Tests must not write into its folder."""
    out = tmp_path_factory.mktemp("tiny") / "run"
    recipe = load_recipe("tiny", {"refine.rounds": "1", "refine.confidence": "0.3"})
    return TinyRun(out, recipe, train_encoder([phantom_archive], recipe, out, device="cpu"))


@pytest.fixture(scope="session")
def phantom_training(phantom_archive: DeepLesionArchive, tiny_run: TinyRun) -> TrainingData:
    """The archive's table over the cache that the tiny run cut."""
    return TrainingData.open([phantom_archive], tiny_run.recipe, tiny_run.out / "cache")
