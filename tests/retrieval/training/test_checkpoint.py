from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from retrieval.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    run_identity,
    save_checkpoint,
)


def model_and_optimiser() -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def train(model: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        model(inputs).pow(2).sum().backward()
        optimiser.step()


def test_going_on_from_a_checkpoint_is_never_having_stopped(tmp_path: Path) -> None:
    whole, optimiser = model_and_optimiser()
    train(whole, optimiser, range(10))
    first, optimiser = model_and_optimiser()
    train(first, optimiser, range(4))
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, first, optimiser, step=4, run="r")
    second, optimiser = model_and_optimiser()
    assert load_checkpoint(path, second, optimiser, run="r") == 4
    train(second, optimiser, range(4, 10))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_without_a_checkpoint_the_run_starts_at_zero_unchanged(tmp_path: Path) -> None:
    model, optimiser = model_and_optimiser()
    before = model[0].weight.clone()
    assert load_checkpoint(tmp_path / "none.safetensors", model, optimiser, run="r") == 0
    assert torch.equal(model[0].weight, before)


def test_another_runs_checkpoint_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    model, optimiser = model_and_optimiser()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model, optimiser, step=4, run="r")
    train(model, optimiser, range(2))
    before = model[0].weight.clone()
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        load_checkpoint(path, model, optimiser, run="s")
    assert torch.equal(model[0].weight, before)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    model, optimiser = model_and_optimiser()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model, optimiser, step=4, run="r")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"cannot be read .*delete it to start over"):
        load_checkpoint(path, model, optimiser, run="r")
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="belongs to another"):
        load_checkpoint(path, model, optimiser, run="r")


def test_the_identity_changes_with_any_setting() -> None:
    settings = {"recipe": {"seed": 0, "rate": 1e-4}, "archives": ("a", "b")}
    assert run_identity(settings) == run_identity({**settings})
    assert run_identity(settings) != run_identity({**settings, "archives": ("b", "a")})
    assert run_identity(settings) != run_identity({**settings, "recipe": {"seed": 1}})
