"""Training with a second view of every lesion, from a worse scan."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.embedding import train
from retrieval.embedding.batches import BatchSource
from retrieval.embedding.encoder import load_network
from retrieval.embedding.recipe import Recipe, load_recipe
from retrieval.embedding.sampling import SequenceSampler
from retrieval.embedding.train import FROZEN, train_encoder
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.degradation.random import DegradationConfig
from retrieval.training import run_log
from retrieval.training.loop import Reports
from tests.retrieval.embedding.conftest import TinyRun

VIEWS = {"loss.views_weight": "0.5", "loss.distillation_weight": "1.0", "optimiser.steps": "4"}


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "_draw", lambda rows, path: None)


def run(archive: DeepLesionArchive, tiny: TinyRun, out: Path, **reports: Reports) -> str:
    if not (out / "cache").exists():
        shutil.copytree(tiny.out / "cache", out / "cache")
    recipe = load_recipe("tiny", VIEWS)
    return train_encoder([archive], recipe, out, device="cpu", **reports).fingerprint


def test_a_run_with_worse_views_is_resumed_to_the_same_weights(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    whole = run(phantom_archive, tiny_run, tmp_path / "whole")

    def stop(done: int, total: int, loss: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(phantom_archive, tiny_run, tmp_path / "killed", reports=Reports(step=stop))
    assert run(phantom_archive, tiny_run, tmp_path / "killed") == whole
    with (tmp_path / "whole" / "losses.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["views"]) > 0
    assert float(row["distillation"]) > 0
    network, _ = load_network(tmp_path / "whole" / "encoder.safetensors")
    assert not any("memory" in name for name in network.state_dict())


def test_the_teacher_is_the_frozen_start_of_the_lesions_that_are_trained_on(
    phantom_archive: DeepLesionArchive,
    phantom_training: TrainingData,
    tiny_run: TinyRun,
    tmp_path: Path,
) -> None:
    from retrieval.embedding.robustness.teacher import frozen_vectors

    rows = phantom_training.rows(Split.TRAIN)
    path = tmp_path / FROZEN
    torch.manual_seed(0)
    vectors = frozen_vectors(
        tiny_run.recipe, phantom_training, rows, path, torch.device("cpu")
    ).numpy()
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[rows] == pytest.approx(1.0, abs=1e-5)
    assert not np.delete(lengths, rows).any()
    written = path.stat().st_mtime_ns
    again = frozen_vectors(tiny_run.recipe, phantom_training, rows, path, torch.device("cpu"))
    assert (again.numpy() == vectors).all()
    assert path.stat().st_mtime_ns == written


def test_a_batch_holds_every_patch_a_second_time_and_always_the_same(
    phantom_training: TrainingData, tiny_run: TinyRun
) -> None:
    recipe: Recipe = replace(tiny_run.recipe)
    rows = phantom_training.rows(Split.TRAIN)
    sampler = SequenceSampler(
        phantom_training.table, rows, phantom_training.weights, recipe.similarity
    )
    source = BatchSource(
        phantom_training, sampler, 3, seed=5, degradation=DegradationConfig(blur_mm=2.0)
    )
    batch, again = source.batch(2), source.batch(2)
    assert batch.worse.shape == batch.hu.shape
    assert torch.equal(batch.worse, again.worse)
    assert (batch.worse - batch.hu).abs().mean() > 1
    assert set(batch.rows.tolist()) <= set(rows.tolist())
    plain = BatchSource(phantom_training, sampler, 3, seed=5).batch(2)
    assert torch.equal(plain.hu, batch.hu)
    assert len(plain.worse) == 0


def test_shallow_maps_stay_as_they_are_and_deep_ones_learn(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    """With everything at once: views, ratings and a teacher's vectors of both views."""
    shutil.copytree(tiny_run.out / "cache", tmp_path / "cache")
    teacher = str(tiny_run.out / "encoder.safetensors")
    changes = {
        **VIEWS,
        "teacher": teacher,
        "start": teacher,
        "loss.ratings_weight": "0.5",
        "loss.kept_weight": "1.0",
        "loss.found_weight": "0.5",
        "optimiser.frozen_levels": "2",
        "optimiser.backbone_rate": "1e-2",
    }
    trained = train_encoder([phantom_archive], load_recipe("tiny", changes), tmp_path, device="cpu")
    before, _ = load_network(tmp_path / "start.safetensors")
    after, _ = load_network(trained.path)
    still = {id(one) for one in before.backbone.parameters_behind(2)}
    pairs = list(zip(before.backbone.parameters(), after.backbone.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs if id(one) in still)
    assert not any(torch.equal(one, other) for one, other in pairs if id(one) not in still)
    assert torch.equal(before.channel_mixer.weight, after.channel_mixer.weight)
    with (tmp_path / "losses.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["kept"]) > 0
    assert float(row["found"]) > 0
