from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.detection.detector import (
    EVERYTHING,
    DetectorError,
    LesionDetector,
    load_detection_network,
)
from retrieval.detection.network import build_network
from retrieval.detection.recipe import RECIPES, load_detector_recipe
from retrieval.detection.train import train_detector
from retrieval.image import Slab
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.training.checkpoint import CheckpointError
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports
from service.cli import main
from tests.retrieval.detection.conftest import TinyDetector


def with_cache(run: Path, out: Path) -> Path:
    shutil.copytree(run / "cache", out / "cache")
    return out


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_bundled_recipes_build_their_network(name: str) -> None:
    recipe = load_detector_recipe(name)
    network = build_network(recipe.network, recipe.grid, pretrained=False)
    assert sum(p.numel() for p in network.parameters()) > 1e5


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(RecipeError, match="has no key 'stepz'"):
        load_detector_recipe("tiny", {"optimiser.stepz": "3"})
    with pytest.raises(RecipeError, match=r"missing\.remedy is 'wish'"):
        load_detector_recipe("tiny", {"missing.remedy": "wish"})


def test_painted_lesions_have_no_type_to_learn() -> None:
    changes = {"network.classes": "8", "data.backgrounds": '["real"]'}
    with pytest.raises(RecipeError, match="a painted lesion has no type"):
        load_detector_recipe("tiny", changes)


def test_a_run_killed_on_the_way_ends_at_the_same_weights(
    marked_archive: DeepLesionArchive,
    tiny_detector: TinyDetector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrieval.detection.train.CHECKPOINT_EVERY", 2)
    out = with_cache(tiny_detector.out, tmp_path / "run")

    def stop(done: int, total: int, loss: float) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_detector(
            [marked_archive],
            tiny_detector.recipe,
            out,
            device="cpu",
            reports=Reports(step=stop),
        )
    resumed = []
    report = Reports(step=lambda done, total, loss: resumed.append(done))
    again = train_detector(
        [marked_archive], tiny_detector.recipe, out, device="cpu", reports=report
    )
    assert resumed[0] == 5
    assert again.fingerprint == tiny_detector.trained.fingerprint
    other = load_detector_recipe("tiny", {"optimiser.steps": "7"})
    with pytest.raises(CheckpointError, match="another recipe"):
        train_detector([marked_archive], other, out, device="cpu")


def test_training_learns_one_slice(
    marked_archive: DeepLesionArchive, tiny_detector: TinyDetector, tmp_path: Path
) -> None:
    """Losses fall on data that can be learnt by heart."""
    losses: list[float] = []
    recipe = load_detector_recipe("tiny", {"optimiser.steps": "25"})
    out = with_cache(tiny_detector.out, tmp_path / "run")
    report = Reports(step=lambda done, total, loss: losses.append(loss))
    train_detector([marked_archive], recipe, out, device="cpu", reports=report)
    assert np.mean(losses[-8:]) < np.mean(losses[:4])


def test_proposals_are_on_the_image_best_first(
    marked_archive: DeepLesionArchive, tiny_detector
) -> None:
    detector = LesionDetector.load(tiny_detector.trained.path, cut=EVERYTHING)
    slab = marked_archive.slab(marked_archive.lesions[0], half_depth_mm=detector.half_depth_mm)
    proposals = detector.detect(slab)
    assert proposals
    scores = [proposal.score for proposal in proposals]
    assert scores == sorted(scores, reverse=True)
    for proposal in proposals:
        x, y = proposal.box.center
        assert 0 <= x < slab.columns
        assert 0 <= y < slab.rows
        assert proposal.long_mm is not None
    assert detector.detect_slices(slab, [slab.key_slice])[0] == proposals


def test_a_slice_of_air_gives_an_answer(tiny_detector: TinyDetector) -> None:
    air = Slab(np.full((1, 64, 64), -1000, np.float32), (1.0, 1.0), 2.0)
    detector = LesionDetector.load(tiny_detector.trained.path, cut=EVERYTHING)
    for proposal in detector.detect(air):
        assert 0 <= proposal.box.center[0] < 64
        assert 0 <= proposal.box.center[1] < 64


def test_a_detector_file_keeps_all_it_needs(tiny_detector: TinyDetector) -> None:
    network, config, grid, name = load_detection_network(tiny_detector.trained.path)
    recipe = tiny_detector.recipe
    assert (config, grid, name) == (recipe.network, recipe.grid, f"{recipe.network.head}-tiny")
    assert not any(torch.isnan(p).any() for p in network.parameters())


def test_files_that_are_no_detectors(tiny_detector: TinyDetector, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="does not exist"):
        LesionDetector.load(tmp_path / "none.safetensors")
    garbled = tmp_path / "garbled.safetensors"
    garbled.write_bytes(b"no tensors")
    with pytest.raises(DetectorError, match="cannot be read"):
        LesionDetector.load(garbled)
    changed = bytearray(tiny_detector.trained.path.read_bytes())
    changed[-5] ^= 0xFF
    garbled.write_bytes(changed)
    with pytest.raises(DetectorError, match="the file was changed"):
        LesionDetector.load(garbled)


def test_the_command_trains_and_answers_in_json(
    marked_archive: DeepLesionArchive,
    tiny_detector: TinyDetector,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = with_cache(tiny_detector.out, tmp_path / "run")
    told = ["train", "detector", "--archive", str(marked_archive.root), "--out", str(out)]
    status = main([*told, "--recipe", "tiny", "--set", "optimiser.steps=6", "--json"])
    assert status == 0
    assert tiny_detector.trained.fingerprint in capsys.readouterr().out
    assert (out / "loss_curve.png").is_file()
