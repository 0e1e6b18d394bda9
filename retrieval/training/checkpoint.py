"""A training run's state as safetensors: weights, AdamW's moments and the step, nothing pickled."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError


class CheckpointError(LesionSearchError):
    """A checkpoint that belongs to another run, or that cannot be read."""


def save_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, step: int, run: str
) -> None:
    """Writes the state after ``step`` steps, replacing the last one only once it is whole.

    ``run`` names what the run was started with; a checkpoint of another is refused.
    """
    tensors = {f"weights/{k}": v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimiser/{number}/{key}"] = torch.as_tensor(value).cpu().contiguous()
    partial = path.with_suffix(".partial")
    save_file(tensors, str(partial), metadata={"step": str(step), "run": run})
    partial.replace(path)


def load_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, run: str
) -> int:
    """Restores everything in place and returns the step; 0 where there is no checkpoint.

    Raises:
        CheckpointError: it belongs to another run, or is damaged.
    """
    if not path.is_file():
        return 0
    try:
        with safe_open(str(path), framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({error}): delete it to start over"
        ) from None
    if metadata.get("run") != run:
        raise CheckpointError(
            f"checkpoint {path} belongs to another recipe, archive or network: name another "
            "output folder, or delete it to start over"
        )
    weights = {k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("w")}
    model.load_state_dict(weights)
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser/"):
            _, number, key = name.split("/")
            states.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    return int(metadata["step"])


def run_identity(settings: object) -> str:
    """One string for what a run was started with."""
    return json.dumps(settings, sort_keys=True, default=str)
