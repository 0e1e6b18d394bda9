"""The field's detector recipes on equal terms: same slices, same steps, same seeds.

    python benchmarks/recipes.py --archive phantom --out runs/recipes --steps 150 --seeds 0 1 2
    python benchmarks/recipes.py --archive DeepLesion --out runs/recipes --steps 20000 \
        --slices 16 --crop 384 --seeds 0 1 2 --most 5000 --device cuda

Every recipe trains on the train split of all archives and is scored on the validation split of the
first: protocol A (key slices) with its interval and by size, protocol B on the slabs about the key
slices, where a lesion is as deep as it is wide, milliseconds of one thread a slice, and the loss
at the start and at the end. A recipe and seed that is done is not run again; one that was killed
goes on. Writes OUT/recipes.json after each. With few steps the scores rank nothing.

One class against eight types, half of the marks hidden, at equal steps; the second line's classes
are the lesions' types:

    python benchmarks/recipes.py --archive phantom --out runs/classes --recipes small \
        --steps 2000 --seeds 0 1 2 --set data.hidden=0.5 --set data.backgrounds=[]
    python benchmarks/recipes.py --archive phantom --out runs/classes --recipes small \
        --steps 2000 --seeds 0 1 2 --set data.hidden=0.5 --set data.backgrounds=[] \
        --set network.classes=8
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from retrieval.detection.detector import EVERYTHING, LesionDetector
from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe
from retrieval.detection.train import train_detector
from retrieval.detection.volumes import scan_volume
from retrieval.evaluation.detection.boxes_3d import evaluate_boxes_3d
from retrieval.evaluation.detection.key_slices import (
    DetectionOptions,
    KeySlice,
    key_slices,
    score_key_slices,
    scored_boxes,
)
from retrieval.lesion import Split
from retrieval.sources.archive import Archive, open_archive
from retrieval.training.loop import Reports

RECIPES = ("small", "3dce-9", "slice-attention", "mvp-net", "uldor", "dense-anchors")
VOLUME_HALF_DEPTH_MM = 20.0


def main() -> None:
    """Trains and scores each, in turn over the recipes of a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--slices", type=int, default=8, help="of a batch")
    parser.add_argument("--crop", type=int, default=224, help="side of a crop, grid pixels")
    parser.add_argument("--most", type=int, default=200, help="key slices that are scored")
    parser.add_argument("--volumes", type=int, default=10, help="slabs of protocol B; 0 for none")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, of each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    archives = [open_archive(folder) for folder in arguments.archive]
    arguments.out.mkdir(parents=True, exist_ok=True)
    written = arguments.out / "recipes.json"
    results = json.loads(written.read_text()) if written.is_file() else {}
    for seed in arguments.seeds:
        for name in arguments.recipes:
            key = ", ".join([name, f"seed {seed}", f"{arguments.steps} steps", *arguments.set])
            if key not in results:
                results[key] = _measured(name, seed, archives, arguments)
                written.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(key, json.dumps(results[key]["summary"]), flush=True)


def _measured(
    name: str, seed: int, archives: list[Archive], arguments: argparse.Namespace
) -> dict[str, object]:
    recipe = _recipe(name, seed, arguments)
    changed = "".join(f"-{change}" for change in arguments.set).replace("/", "_")
    out = arguments.out / f"{name}-{seed}-{arguments.steps}{changed}"
    shared = arguments.out / f"cache-{recipe.grid.slices}-slices"
    shared.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    if not (out / "cache").exists():
        (out / "cache").symlink_to(shared.resolve())
    losses: list[float] = []
    reports = Reports(step=lambda _, __, loss: losses.append(loss))
    start = time.process_time()
    trained = train_detector(archives, recipe, out, device=arguments.device, reports=reports)
    trained_s = time.process_time() - start
    detector = LesionDetector.load(
        trained.path, device=arguments.device, cut=replace(EVERYTHING, close_look=None)
    )
    found = key_slices(archives[0], (Split.VALIDATION,))
    chosen = found[:: max(1, len(found) // arguments.most)][: arguments.most]
    scores, milliseconds = _on_key_slices(detector, archives[0], chosen)
    volumes = _on_volumes(detector, archives[0], chosen[: arguments.volumes], out)
    summary = {
        "A": round(float(scores["all"]["mean of 0.5, 1, 2, 4"]["value"]), 3),
        "ms_a_slice": round(milliseconds),
        "loss": [round(float(np.mean(part)), 3) for part in (losses[:5], losses[-5:])],
        "training_s": round(trained_s),
    }
    return {"summary": summary, "A": scores, "B": volumes}


def _recipe(name: str, seed: int, arguments: argparse.Namespace) -> DetectorRecipe:
    """The recipe at the length and size that all are run at, on marked slices alone."""
    recipe = load_detector_recipe(name, dict(change.split("=", 1) for change in arguments.set))
    return replace(
        recipe,
        seed=seed,
        data=replace(recipe.data, backgrounds=(), weights={}, reach_mm={}),
        missing=recipe.missing if recipe.data.hidden else replace(recipe.missing, remedy="none"),
        augment=replace(recipe.augment, crop_px=arguments.crop),
        optimiser=replace(recipe.optimiser, steps=arguments.steps, slices=arguments.slices),
    )


def _on_key_slices(
    detector: LesionDetector, archive: Archive, slices: tuple[KeySlice, ...]
) -> tuple[dict[str, dict[str, dict[str, object]]], float]:
    boxes, spent = [], 0.0
    for image in slices:
        slab = archive.slab(image.lesions[0], half_depth_mm=detector.half_depth_mm)
        start = time.process_time()
        boxes.append(scored_boxes(detector.detect(slab)))
        spent += time.process_time() - start
    scored = score_key_slices(slices, boxes, DetectionOptions())
    groups = {
        group: {name: estimate.to_json() for name, estimate in estimates.items()}
        for group, estimates in scored.groups.items()
    }
    return groups, spent / len(slices) * 1000


def _on_volumes(
    detector: LesionDetector, archive: Archive, slices: tuple[KeySlice, ...], out: Path
) -> object:
    """Protocol B on slabs of key slices; a lesion is taken for a ball of its long diameter."""
    if not slices:
        return None
    truth, predictions = {}, {}
    for image in slices:
        first = image.lesions[0]
        slab = archive.slab(first, half_depth_mm=VOLUME_HALF_DEPTH_MM)
        deep = slab.slice_interval_mm
        truth[image.name] = [
            [*x.box.to_list()[:2], z - half, *x.box.to_list()[2:], z + half]
            for x in image.lesions
            for z, half in [(x.key_slice_index, (x.long_mm or 0.0) / 2 / deep)]
        ]
        predictions[image.name] = [one.to_row() for one in scan_volume(detector, slab)]
    files = (out / "truth.json", out / "predictions.json")
    for path, rows in zip(files, (truth, predictions), strict=True):
        path.write_text(json.dumps(rows), encoding="utf-8")
    return evaluate_boxes_3d(*files).to_json()


if __name__ == "__main__":
    main()
