"""A small phantom archive and one tiny run, made once for all tests of the detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe
from retrieval.detection.train import TrainedDetector, train_detector
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive


@dataclass(frozen=True)
class TinyDetector:
    """A finished run of the tiny recipe; tests must not write into its folder."""

    out: Path
    recipe: DetectorRecipe
    trained: TrainedDetector


@pytest.fixture(scope="session")
def marked_archive(tmp_path_factory: pytest.TempPathFactory) -> DeepLesionArchive:
    root = Path(tmp_path_factory.mktemp("archives")) / "phantom"
    generate_archive(root, patients=3, seed=11)
    return DeepLesionArchive.open(root)


@pytest.fixture(scope="session")
def tiny_detector(
    marked_archive: DeepLesionArchive, tmp_path_factory: pytest.TempPathFactory
) -> TinyDetector:
    out = tmp_path_factory.mktemp("tiny-detector") / "run"
    recipe = load_detector_recipe("tiny", {"optimiser.steps": "6"})
    return TinyDetector(out, recipe, train_detector([marked_archive], recipe, out, device="cpu"))
