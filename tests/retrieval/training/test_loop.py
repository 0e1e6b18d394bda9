"""The loop against the same steps written out by hand, and against a killed run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from retrieval.training.loop import RunFolder, TrainingLoop, two_rates
from retrieval.training.schedule import rate_share
from retrieval.training.workers import Workers


@dataclass(frozen=True)
class Config:
    steps: int = 8
    backbone_rate: float = 0.01
    head_rate: float = 0.05
    warmup: float = 0.25
    clip: float = 0.5
    weight_decay: float = 0.1


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Linear(3, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.backbone(rows).tanh())


def batch(step: int) -> Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(step)) * 10


def terms(model: nn.Module, rows: Tensor, step: int) -> dict[str, Tensor]:
    errors = model(rows) - rows.sum(dim=1, keepdim=True)
    return {"fit": errors.square().mean(), "size": 0.1 * errors.abs().mean()}


def batches(first: int, last: int) -> Iterator[tuple[int, Tensor]]:
    return ((step, batch(step)) for step in range(first, last))


def a_loop(out: Path, config: Config) -> TrainingLoop[Tensor]:
    model = Model()
    folder = RunFolder(out, "run", checkpoint_every=3, log_every=1)
    backbone = model.backbone.parameters()
    return TrainingLoop(model, config, folder, backbone=backbone, workers=Workers("cpu"))


def written_out(config: Config) -> Model:
    model = Model()
    optimiser = torch.optim.AdamW(
        [{"params": model.backbone.parameters()}, {"params": model.head.parameters()}],
        weight_decay=config.weight_decay,
    )
    for step in range(config.steps):
        share = rate_share(step, config.steps, warmup=config.warmup)
        optimiser.param_groups[0]["lr"] = config.backbone_rate * share
        optimiser.param_groups[1]["lr"] = config.head_rate * share
        optimiser.zero_grad()
        sum(terms(model, batch(step), step).values()).backward()
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        for parameter in model.parameters():
            parameter.grad *= min(1.0, config.clip / (float(norm) + 1e-6))
        optimiser.step()
    return model


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_loop_is_adamw_with_two_scheduled_rates_and_clipped_gradients(tmp_path) -> None:
    loop = a_loop(tmp_path, Config())
    loop.go(0, batches(0, 8), terms)
    oracle = written_out(Config())
    for ours, theirs in zip(loop.model.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    free = written_out(Config(clip=1e9))
    assert not same(oracle, free), "the gradients here are too small to be clipped"


def test_a_run_killed_between_checkpoints_ends_at_the_same_weights(tmp_path) -> None:
    whole = a_loop(tmp_path / "whole", Config())
    whole.go(0, batches(0, 8), terms)

    def kill(done: int, total: int, loss: float) -> None:
        if done == 5:
            raise KeyboardInterrupt

    killed = a_loop(tmp_path / "killed", Config())
    with pytest.raises(KeyboardInterrupt):
        killed.go(0, batches(0, 8), terms, kill)
    again = a_loop(tmp_path / "killed", Config())
    first = again.resume()
    assert first == 3
    again.go(first, batches(first, 8), terms)
    assert same(whole.model, again.model)


def test_every_parameter_is_in_one_of_the_two_groups() -> None:
    model = Model()
    groups = two_rates(model, model.backbone.parameters(), weight_decay=0.0).param_groups
    ids = [[id(parameter) for parameter in group["params"]] for group in groups]
    assert ids[0] == [id(parameter) for parameter in model.backbone.parameters()]
    assert sorted(ids[0] + ids[1]) == sorted(id(parameter) for parameter in model.parameters())
