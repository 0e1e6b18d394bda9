"""Vectors held where a teacher puts them: the terms, and a run of them."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retrieval.embedding import train
from retrieval.embedding.batches import BatchSource
from retrieval.embedding.encoder import load_network
from retrieval.embedding.recipe import load_recipe
from retrieval.embedding.robustness.known_vectors import KnownVectors
from retrieval.embedding.sampling import SequenceSampler
from retrieval.embedding.train import KEPT, train_encoder
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.degradation.random import DegradationConfig
from retrieval.training import run_log
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports
from tests.retrieval.embedding.conftest import TinyRun


def known() -> tuple[KnownVectors, torch.Tensor]:
    """Four lesions of a table of five, the last two of one track."""
    vectors = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(3)), dim=1)
    rows, tracks = np.array([0, 2, 3, 4]), np.array([7, 9, 1, 4, 4])
    return KnownVectors.of(vectors, rows, tracks), vectors


def test_a_lesion_alone_on_its_track_keeps_the_teachers_vector() -> None:
    of_teacher, vectors = known()
    assert torch.allclose(of_teacher.vectors[:2], vectors[[0, 2]], atol=1e-6)
    middle = F.normalize(vectors[3] + vectors[4], dim=0)
    assert torch.allclose(of_teacher.vectors[2], F.normalize(vectors[3] + middle, dim=0), atol=1e-6)


def test_the_cosine_term_is_zero_at_the_teachers_vectors_and_two_at_their_opposites() -> None:
    of_teacher, _ = known()
    rows = torch.tensor([4, 0])
    own = of_teacher.vectors[[3, 0]]
    assert float(of_teacher.kept(own, rows)) == pytest.approx(0, abs=1e-6)
    assert float(of_teacher.kept(-own, rows)) == pytest.approx(2, abs=1e-6)


def test_the_cross_entropy_counts_every_stranger_but_the_own_track() -> None:
    of_teacher, _ = known()
    vector = F.normalize(torch.ones(1, 8), dim=1)
    similar = (of_teacher.vectors @ vector[0]) / 0.1
    strangers = [0, 1]  # the fourth lesion's track mate, the third, is none
    total = sum(math.exp(float(similar[place])) for place in [*strangers, 3])
    expected = math.log(total) - float(similar[3])
    found = of_teacher.found(vector, torch.tensor([4]), temperature=0.1)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "_draw", lambda rows, path: None)


@pytest.mark.usefixtures("no_curves")
def test_a_run_under_a_teacher_stays_near_it_and_is_resumed_to_the_same_weights(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher = tiny_run.out / "encoder.safetensors"
    recipe = load_recipe(
        "tiny",
        {
            "start": str(teacher),
            "teacher": str(teacher),
            "loss.kept_weight": "5",
            "loss.found_weight": "1",
            "optimiser.steps": "3",
        },
    )

    def run(out: Path, reports: Reports | None = None) -> str:
        if not (out / "cache").exists():
            shutil.copytree(tiny_run.out / "cache", out / "cache")
        return train_encoder(
            [phantom_archive], recipe, out, device="cpu", reports=reports
        ).fingerprint

    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    whole = run(tmp_path / "whole")

    def stop(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Reports(step=stop))
    assert run(tmp_path / "killed") == whole
    with (tmp_path / "whole" / "losses.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["kept"]) > 0
    assert float(first["found"]) > 0
    (path,) = (tmp_path / "whole").glob(KEPT.format("*"))
    kept = np.load(path)
    assert np.linalg.norm(kept, axis=1).max() == pytest.approx(1, abs=1e-5)


def test_a_teacher_of_another_length_is_refused(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run.out / "cache", tmp_path / "cache")
    teacher = tiny_run.out / "encoder.safetensors"
    dimension = load_network(teacher)[0].config.dimension + 8
    changes = {"teacher": str(teacher), "network.dimension": str(dimension)}
    with pytest.raises(RecipeError, match=f"numbers a vector, recipe tiny {dimension}"):
        train_encoder([phantom_archive], load_recipe("tiny", changes), tmp_path, device="cpu")


def test_under_a_teacher_a_batch_holds_worse_scans_and_some_as_they_are(
    phantom_training: TrainingData, tiny_run: TinyRun
) -> None:
    rows = phantom_training.rows(Split.TRAIN)
    sampler = SequenceSampler(
        phantom_training.table, rows, phantom_training.weights, tiny_run.recipe.similarity
    )
    config = DegradationConfig(plain=0.5)
    batch = BatchSource(
        phantom_training, sampler, 4, seed=5, degradation=config, worse_alone=True
    ).batch(2)
    plain = BatchSource(phantom_training, sampler, 4, seed=5).batch(2)
    as_it_is = (batch.hu == plain.hu).flatten(1).all(dim=1)
    assert 0 < int(as_it_is.sum()) < len(as_it_is)
    assert len(batch.worse) == 0
