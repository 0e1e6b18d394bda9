"""Speed of training: samples a second of the real loop, over the bare network fed from memory.

    python benchmarks/train.py --archive demo/archive --recipe small --steps 12

The real loop is ``train_encoder`` itself: sequences drawn, patches gathered from the cache on
disk, augmented, embedded, every loss, AdamW. The bare network does forward, a plain sum as its
loss, backward and AdamW on one batch of as many patches that stays in the device's memory, before
and after the loop, so that a machine that grows busier slows both. Medians of steps. Writes
benchmarks/results/train.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from retrieval.embedding.initialise import plain_views
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.recipe import Recipe, load_recipe
from retrieval.embedding.sampling import MISSING, SequenceSampler
from retrieval.embedding.train import train_encoder
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.training.loop import Reports

TRAINING_LESIONS = 22_919
LIMIT = 0.85
WARM_UP = 2
RESULT = Path(__file__).parent / "results" / "train.json"


def main() -> None:
    """Runs both and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each kind")
    parser.add_argument("--device", help="default: a GPU when there is one")
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    recipe = load_recipe(arguments.recipe)
    archives = [DeepLesionArchive.open(folder) for folder in arguments.archive]
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(archives, recipe, device, steps=arguments.steps, out=Path(folder))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


def measure(
    archives: list[DeepLesionArchive],
    recipe: Recipe,
    device: torch.device,
    *,
    steps: int,
    out: Path,
) -> dict[str, object]:
    """Cuts the patches, then times bare steps, the loop, and bare steps again."""
    training = TrainingData.open(archives, recipe, out / "cache")
    samples = patches_a_step(training, recipe)
    bare_step = bare_training(training, recipe, device, batch=round(samples))
    bare = timed_steps(bare_step, device, steps=steps)
    loop = loop_steps(archives, recipe, device, steps=steps, out=out)
    bare += timed_steps(bare_step, device, steps=steps)
    loop_rate, bare_rate = (samples / statistics.median(seconds) for seconds in (loop, bare))
    epochs = recipe.optimiser.steps * recipe.optimiser.sequences / TRAINING_LESIONS
    return {
        "recipe": recipe.name,
        "backbone": recipe.network.backbone,
        "device": device_name(device),
        "torch_threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "timed_steps": steps,
        "samples_a_step": round(samples, 1),
        "loop_samples_a_second": round(loop_rate, 2),
        "bare_samples_a_second": round(bare_rate, 2),
        "loop_over_bare": round(loop_rate / bare_rate, 3),
        "limit": LIMIT,
        "projection": {
            "training_lesions": TRAINING_LESIONS,
            "steps": recipe.optimiser.steps,
            "anchors_a_lesion": round(epochs, 2),
            "hours": round(recipe.optimiser.steps * samples / loop_rate / 3600, 2),
            "hours_for_each_lesion_once_as_anchor": round(
                TRAINING_LESIONS / recipe.optimiser.sequences * samples / loop_rate / 3600, 2
            ),
        },
    }


def loop_steps(
    archives: list[DeepLesionArchive],
    recipe: Recipe,
    device: torch.device,
    *,
    steps: int,
    out: Path,
) -> list[float]:
    """Seconds of each step of ``train_encoder``, after a few that are not counted."""
    count = WARM_UP + steps
    short = replace(
        recipe,
        optimiser=replace(recipe.optimiser, steps=count),
        refine=replace(recipe.refine, rounds=0),
    )
    # A step's losses are read as numbers before it is reported: the device has finished it.
    ends: list[float] = []
    reports = Reports(step=lambda *_: ends.append(time.perf_counter()))
    train_encoder(archives, short, out, device=str(device), reports=reports)
    return [end - start for start, end in pairwise(ends)][WARM_UP - 1 :]


def timed_steps(step: Callable[[], None], device: torch.device, *, steps: int) -> list[float]:
    """Seconds of each call, after a few that are not counted."""
    seconds = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def patches_a_step(training: TrainingData, recipe: Recipe) -> float:
    """The mean number of lesions present in a step's sequences."""
    sampler = SequenceSampler(
        training.table,
        training.rows(Split.TRAIN),
        training.weights,
        recipe.similarity,
        same_patient=recipe.data.same_patient,
    )
    drawn = sampler.draw(50 * recipe.optimiser.sequences, np.random.default_rng(0))
    return float((drawn != MISSING).sum() / 50)


def bare_training(
    training: TrainingData, recipe: Recipe, device: torch.device, *, batch: int
) -> Callable[[], None]:
    """One training step of the network alone, on patches that already lie on the device."""
    network = DLGNetwork(recipe.network, recipe.patch, pretrained=recipe.pretrained).to(device)
    if recipe.optimiser.backbone_rate == 0:
        for parameter in (*network.backbone.parameters(), *network.channel_mixer.parameters()):
            parameter.requires_grad_(False)
    network.train(not recipe.pretrained)
    rows = np.resize(training.rows(Split.TRAIN), batch)
    hu, boxes = plain_views(training, rows, network, device)
    optimiser = torch.optim.AdamW(p for p in network.parameters() if p.requires_grad)
    mixed = device.type == "cuda"

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16) if mixed else nullcontext():
            output = network(hu, boxes)
        loss = output.vectors.sum() + output.type_logits.sum() + output.locations.sum()
        optimiser.zero_grad(set_to_none=True)
        loss.float().backward()
        optimiser.step()

    return step


def device_name(device: torch.device) -> str:
    """The GPU's own name, or the processor's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


if __name__ == "__main__":
    main()
