from __future__ import annotations

import copy
import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.embedding import train
from retrieval.embedding.batches import BatchSource
from retrieval.embedding.encoder import LesionEncoder, load_network
from retrieval.embedding.recipe import Recipe, load_recipe
from retrieval.embedding.sampling import SequenceSampler
from retrieval.embedding.train import TrainedEncoder, blend, train_encoder
from retrieval.embedding.training_data import TrainingData, TrainingDataError
from retrieval.lesion import LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.training import run_log
from retrieval.training.checkpoint import CheckpointError
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports
from service.cli import main
from tests.retrieval.embedding.conftest import TinyRun


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny run drew its curve before; drawing one for every checkpoint takes most of a test."""
    monkeypatch.setattr(run_log, "_draw", lambda rows, path: None)


def with_cache(run: TinyRun, out: Path) -> Path:
    """A fresh run folder with the patches already cut."""
    shutil.copytree(run.out / "cache", out / "cache")
    return out


def kill_at(step: int) -> Reports:
    def report(done: int, total: int, loss: float) -> None:
        if done == step:
            raise KilledError

    return Reports(step=report)


def half_typed(archive: DeepLesionArchive) -> DeepLesionArchive:
    """The archive with every other lesion's type unknown, so that refinement has work."""
    opened = DeepLesionArchive.open(archive.root)
    opened.lesions = [
        lesion.with_changes(lesion_type=LesionType.UNKNOWN) if number % 2 else lesion
        for number, lesion in enumerate(opened.lesions)
    ]
    return opened


def run_tiny(archive: DeepLesionArchive, recipe: Recipe, out: Path, **more: Reports) -> str:
    trained: TrainedEncoder = train_encoder([archive], recipe, out, device="cpu", **more)
    return trained.fingerprint


@pytest.fixture(scope="module")
def half_typed_run(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The fingerprint of an uninterrupted run on the half typed archive."""
    out = with_cache(tiny_run, tmp_path_factory.mktemp("whole") / "run")
    return run_tiny(half_typed(phantom_archive), tiny_run.recipe, out)


def test_a_run_leaves_an_encoder_a_log_and_a_curve(tiny_run: TinyRun) -> None:
    trained, out = tiny_run.trained, tiny_run.out
    encoder = LesionEncoder.load(trained.path)
    assert trained.path == out / "encoder.safetensors"
    assert (encoder.fingerprint, encoder.name) == (trained.fingerprint, "dlg-tiny")
    assert encoder.spec == tiny_run.recipe.patch
    assert (trained.steps, trained.lesions) == (6, 18)
    with (out / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0.0", "5.0"]
    terms = ("sequence", "identity", "type", "location", "attributes")
    assert float(rows[0]["total"]) == pytest.approx(sum(float(rows[0][term]) for term in terms))
    assert (out / "loss_curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list((out / "tensorboard").glob("events*"))


def test_a_seed_decides_every_bit(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    again = run_tiny(phantom_archive, tiny_run.recipe, with_cache(tiny_run, tmp_path / "again"))
    assert again == tiny_run.trained.fingerprint
    other = replace(tiny_run.recipe, seed=1)
    assert run_tiny(phantom_archive, other, with_cache(tiny_run, tmp_path / "other")) != again


@pytest.mark.parametrize("killed_at", [3, 5])
def test_a_killed_run_goes_on_to_the_same_encoder(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    half_typed_run: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
) -> None:
    """Killed before and after the refinement at step 3, each past a checkpoint at 2 or 4."""
    archive = half_typed(phantom_archive)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 2)
    out = with_cache(tiny_run, tmp_path / "killed")
    with pytest.raises(KilledError):
        run_tiny(archive, tiny_run.recipe, out, reports=kill_at(killed_at))
    assert not (out / "encoder.safetensors").exists()
    done: list[int] = []
    reports = Reports(step=lambda step, *_: done.append(step))
    assert run_tiny(archive, tiny_run.recipe, out, reports=reports) == half_typed_run
    assert done == list(range(killed_at, 7))
    assert half_typed_run != tiny_run.trained.fingerprint


def test_a_checkpoint_of_another_recipe_is_refused(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    out = with_cache(tiny_run, tmp_path / "run")
    with pytest.raises(KilledError):
        run_tiny(phantom_archive, tiny_run.recipe, out, reports=kill_at(2))
    other = load_recipe("tiny", {"optimiser.head_rate": "0.5"})
    with pytest.raises(CheckpointError, match="another recipe"):
        run_tiny(phantom_archive, other, out)


def test_the_loss_falls(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    recipe = load_recipe("tiny", {"optimiser.steps": "24", "optimiser.backbone_rate": "1e-3"})
    losses: list[float] = []
    reports = Reports(step=lambda _, __, loss: losses.append(loss))
    run_tiny(phantom_archive, recipe, with_cache(tiny_run, tmp_path / "run"), reports=reports)
    assert len(losses) == 24
    assert np.mean(losses[-8:]) < 0.85 * np.mean(losses[:8])


def test_an_archive_without_a_train_split_is_refused(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    tested = DeepLesionArchive.open(phantom_archive.root)
    tested.lesions = [lesion.with_changes(split=Split.TEST) for lesion in tested.lesions]
    with pytest.raises(TrainingDataError, match="0 of 33 lesions are in the train split"):
        run_tiny(tested, tiny_run.recipe, with_cache(tiny_run, tmp_path / "run"))


def test_the_command_trains_and_answers_in_json(
    phantom_archive: DeepLesionArchive,
    tiny_run: TinyRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = with_cache(tiny_run, tmp_path / "run")
    arguments = ["train", "encoder", "--archive", str(phantom_archive.root), "--out", str(out)]
    changes = ["--set", "refine.rounds=1", "--set", "refine.confidence=0.3", "--device", "cpu"]
    assert main([*arguments, "--recipe", "tiny", *changes, "--json"]) == 0
    answered = json.loads(capsys.readouterr().out)
    assert answered == {
        "encoder": str(out / "encoder.safetensors"),
        "fingerprint": tiny_run.trained.fingerprint,
        "recipe": "tiny",
        "steps": 6,
        "lesions": 18,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "tiny", "--set", "optimiser.stepz=3"], "has no key 'stepz'"),
        (["--recipe", "tiny", "--set", "optimiser.steps"], "write section.key=value"),
        (["--recipe", "tinny"], "'tinny' is not a file nor one of"),
    ],
)
def test_the_command_refuses_a_misspelt_option_in_one_line(
    phantom_archive: DeepLesionArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    arguments = ["train", "encoder", "--archive", str(phantom_archive.root)]
    assert main([*arguments, "--out", str(tmp_path / "run"), *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_each_worker_draws_batches_of_its_own_and_always_the_same(
    phantom_training: TrainingData, tiny_run: TinyRun
) -> None:
    """The short form of the test below: what two workers must not share."""
    sampler = SequenceSampler(
        phantom_training.table,
        phantom_training.rows(Split.TRAIN),
        phantom_training.weights,
        tiny_run.recipe.similarity,
    )
    first, second = (BatchSource(phantom_training, sampler, 3, seed=0, rank=n) for n in (0, 1))
    batches = dict(first.ahead(2, 6))
    assert list(batches) == [2, 3, 4, 5]
    for step, batch in batches.items():
        same, other = first.batch(step), second.batch(step)
        assert torch.equal(batch.hu, same.hu)
        assert torch.equal(batch.flips, same.flips)
        assert batch.hu.shape != other.hu.shape or not torch.equal(batch.hu, other.hu)


@pytest.mark.slow
def test_two_workers_write_one_encoder(
    phantom_archive: DeepLesionArchive, tiny_run: TinyRun, tmp_path: Path
) -> None:
    out = with_cache(tiny_run, tmp_path / "run")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["train", "encoder", "--archive", str(phantom_archive.root), "--out", str(out)]
    options = ["--recipe", "tiny", "--set", "optimiser.steps=3", "--device", "cpu", "--json"]
    finished = subprocess.run(
        [sys.executable, *command, "-m", "service.cli", *arguments, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answered = json.loads(finished.stdout)
    assert LesionEncoder.load(Path(answered["encoder"])).fingerprint == answered["fingerprint"]
    written = sorted(path.name for path in out.glob("*.safetensors"))
    assert written == ["encoder.safetensors", "start.safetensors"]
    assert answered["fingerprint"] != tiny_run.trained.fingerprint


def test_a_blend_lies_between_the_start_and_the_trained_weights_but_for_its_heads(
    tiny_run: TinyRun,
) -> None:
    start, _ = load_network(tiny_run.out / train.START)
    trained, _ = load_network(tiny_run.trained.path)
    with torch.no_grad():
        trained.location_head.weight += 1
    half = copy.deepcopy(trained)
    blend(half, start, trained_share=0.5)
    middle = (start.project.weight + trained.project.weight) / 2
    torch.testing.assert_close(half.project.weight, middle)
    assert torch.equal(half.location_head.weight, trained.location_head.weight)
    none = copy.deepcopy(trained)
    blend(none, start, trained_share=0.0)
    assert torch.equal(none.project.weight, start.project.weight)


def test_a_run_goes_on_from_an_encoder_and_refuses_another_network(
    tiny_run: TinyRun, phantom_archive: DeepLesionArchive, tmp_path: Path
) -> None:
    tiny = load_recipe("tiny")
    begun = replace(
        tiny,
        start=str(tiny_run.trained.path),
        optimiser=replace(tiny.optimiser, steps=1, sequences=2, backbone_rate=0.0, head_rate=0.0),
    )
    unmoved = train_encoder([phantom_archive], begun, tmp_path / "unmoved")
    before, _ = load_network(tiny_run.trained.path)
    after, _ = load_network(unmoved.path)
    assert torch.equal(before.project.weight, after.project.weight)
    other = replace(begun, network=replace(tiny.network, dimension=32))
    with pytest.raises(RecipeError, match="needs NetworkConfig"):
        train_encoder([phantom_archive], other, tmp_path / "other")
