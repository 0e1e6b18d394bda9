"""The field's detector recipes on equal terms: same slices, same steps, same seeds.

    python benchmarks/recipes.py --archive phantom --archive pasted --archive sarcoma \
        --score unseen=phantom:val,test --score nodules=pasted_validation: --out runs/recipes \
        --start retrieval/weights/detector.safetensors --steps 150 --seeds 0 1 2
    python benchmarks/recipes.py --archive phantom --archive pasted --archive sarcoma \
        --score unseen=phantom:val,test --score nodules=pasted_validation: --out runs/recipes \
        --steps 20000 --slices 16 --crop 384 --seeds 0 1 2 --most 500 --volumes 40 --device cuda

Every recipe trains on the train split of all archives, on a GPU in bfloat16. It is scored on each
``--score NAME=ARCHIVE:SPLITS`` (no splits: all): protocol A on its key slices with the interval and
by size, protocol B on the slabs about key slices of the first one, where a lesion is as deep as it
is wide; and in milliseconds of one thread a slice. ``--start`` takes from a detector what fits a
recipe (the rest begins anew) and scores it as it is, as "start".

A recipe may be changed: ``small:network.classes=8`` is another one. Each is compared with the first
recipe and with the start, the mean over seeds, drawing seeds and the same patients of both: no
recipe is better inside the noise. What is done is not run again, and a training that was killed
goes on. Writes OUT/recipes.json after each recipe and seed. With few steps from nothing the scores
rank nothing.

One class against the eight lesion types, half of the marks hidden, at equal steps from common
weights, confident unmarked detections left out of the loss:

    python benchmarks/recipes.py --archive phantom --score unseen=phantom:val,test \
        --out runs/classes --start retrieval/weights/detector.safetensors --steps 200 \
        --recipes small small:network.classes=8 --seeds 0 1 2 --set data.hidden=0.5
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.recipes_compared import compared, group_means, interval
from retrieval.detection.detector import EVERYTHING, LesionDetector
from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe
from retrieval.detection.train import train_detector
from retrieval.detection.volumes import scan_volume
from retrieval.evaluation.detection.boxes_3d import evaluate_boxes_3d
from retrieval.evaluation.detection.froc import resampled_means
from retrieval.evaluation.detection.key_slices import (
    IOU_THRESHOLD,
    RATES,
    DetectionOptions,
    KeySlice,
    key_slices,
    score_key_slices,
    scored_boxes,
)
from retrieval.evaluation.detection.matching import iou, match
from retrieval.lesion import Split
from retrieval.sources.archive import Archive, open_archive
from retrieval.training.loop import Reports

RECIPES = (
    "small",
    "3dce-9",
    "slice-attention",
    "mvp-net",
    "uldor",
    "dense-anchors",
    "domain-attention",
)
START = "start"
VOLUME_HALF_DEPTH_MM = 20.0
BOXES_OF_A_SLICE = 100

Boxes = list[NDArray[np.float64]]
Loaded = Callable[[], LesionDetector]


@dataclass(frozen=True)
class ScoredSet:
    """Key slices that recipes are scored on."""

    name: str
    archive: Archive
    slices: tuple[KeySlice, ...]

    @classmethod
    def of(cls, told: str, most: int) -> ScoredSet:
        """From NAME=ARCHIVE:SPLITS."""
        name, _, rest = told.partition("=")
        folder, _, splits = rest.partition(":")
        archive = open_archive(Path(folder))
        wanted = tuple(Split(split) for split in splits.split(",") if split)
        found = key_slices(archive, wanted)
        spread = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
        return cls(name, archive, tuple(found[k] for k in spread))

    def means(self, boxes: Boxes) -> NDArray[np.float64]:
        """The one score of protocol A, then that of every draw of the patients."""
        truth = [np.array([x.box.to_list() for x in one.lesions]) for one in self.slices]
        owners = [one.lesions[0].patient_id for one in self.slices]
        _, patients = np.unique(owners, return_inverse=True)
        found = match(truth, boxes, iou, threshold=IOU_THRESHOLD)
        return resampled_means(found, patients.astype(np.int64), RATES)

    def by_group(self, boxes: Boxes) -> dict[str, Any]:
        """Protocol A of all lesions, and by size and type."""
        scored = score_key_slices(self.slices, boxes, DetectionOptions())
        names = (RATES.mean_name, "at 1 FP", "best 4")
        return {
            group: {name: estimates[name].to_json() for name in names}
            for group, estimates in scored.groups.items()
        }


def main() -> None:
    """Trains and scores each, in turn over the recipes of a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--score", action="append", default=[], help="NAME=ARCHIVE:SPLITS")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--slices", type=int, default=8, help="of a batch")
    parser.add_argument("--crop", type=int, default=224, help="side of a crop, grid pixels")
    parser.add_argument("--most", type=int, default=200, help="key slices of a scored set")
    parser.add_argument("--volumes", type=int, default=10, help="slabs of protocol B; 0 for none")
    parser.add_argument(
        "--start", default="", help="a detector whose weights are taken if they fit"
    )
    parser.add_argument("--set", action="append", default=[], help="section.key=value, of each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    told = chosen.score or [f"validation={chosen.archive[0]}:{Split.VALIDATION.value}"]
    sets = [ScoredSet.of(one, chosen.most) for one in told]
    chosen.out.mkdir(parents=True, exist_ok=True)
    written = chosen.out / "recipes.json"
    results: dict[str, Any] = json.loads(written.read_text()) if written.is_file() else {}
    if chosen.start:
        start = Path(chosen.start)
        measured = _scored(_loader(start, chosen.device), sets, chosen, chosen.out / START)
        results[START] = {"summary": {}, **measured}
    for seed in chosen.seeds:
        for name in chosen.recipes:
            key = f"{name}, seed {seed}"
            if key not in results or set(results[key]["A"]) != {one.name for one in sets}:
                results[key] = _measured(name, seed, sets, chosen)
            results["settings"] = {
                k: v for k, v in vars(chosen).items() if k not in ("out", "archive", "score")
            }
            results["sets"] = {one.name: _told(one) for one in sets}
            results["compared"] = _compared(sets, chosen, results)
            written.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")
            print(key, json.dumps(results[key]["summary"]), flush=True)
    for name, rows in results["compared"].items():
        for recipe, row in rows.items():
            print(name, recipe, json.dumps(row), flush=True)


def _told(one: ScoredSet) -> dict[str, int]:
    lesions = [x for image in one.slices for x in image.lesions]
    patients = len({x.patient_id for x in lesions})
    return {"slices": len(one.slices), "lesions": len(lesions), "patients": patients}


def _folder(name: str, seed: int, chosen: argparse.Namespace) -> Path:
    words = "-".join([name, *chosen.set]).replace("/", "_").replace(":", "-")
    return Path(chosen.out) / f"{words}-{seed}-{chosen.steps}"


def _measured(
    name: str, seed: int, sets: Sequence[ScoredSet], chosen: argparse.Namespace
) -> dict[str, Any]:
    recipe = _recipe(name, seed, chosen)
    out = _folder(name, seed, chosen)
    shared = chosen.out / f"cache-{recipe.grid.slices}-slices"
    shared.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    if not (out / "cache").exists():
        (out / "cache").symlink_to(shared.resolve())
    losses: list[float] = []
    archives = [open_archive(folder) for folder in chosen.archive]
    before = time.process_time()
    reports = Reports(step=lambda _, __, loss: losses.append(loss))
    trained = train_detector(archives, recipe, out, device=chosen.device, reports=reports)
    trained_s = time.process_time() - before
    scored = _scored(_loader(trained.path, chosen.device), sets, chosen, out)
    summary = {
        **{one: round(scored["A"][one]["all"][RATES.mean_name]["value"], 3) for one in scored["A"]},
        "ms_a_slice": scored["ms_a_slice"],
        "loss": [round(float(np.mean(part)), 3) for part in (losses[:10], losses[-10:]) if part],
        "training_s": round(trained_s),
    }
    return {"summary": summary, **scored}


def _loader(path: Path, device: str) -> Loaded:
    """One pass, every box under its raw score."""

    def load() -> LesionDetector:
        cut = replace(EVERYTHING, close_look=None)
        detector = LesionDetector.load(path, device=device, cut=cut)
        detector.calibration = None
        return detector

    return load


def _scored(
    load: Loaded, sets: Sequence[ScoredSet], chosen: argparse.Namespace, out: Path
) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    scores, spent = {}, []
    detector = load()
    for one in sets:
        path = out / f"boxes-{one.name}.npz"
        if not path.is_file():
            _detect(detector, one, path)
        scores[one.name] = one.by_group(_read(path))
        spent.append(float(np.load(path)["ms"]))
    kept = out / "volumes.json"
    if not kept.is_file():
        volumes = _on_volumes(detector, sets[0], chosen.volumes, out)
        kept.write_text(json.dumps(volumes), encoding="utf-8")
    return {"A": scores, "B": json.loads(kept.read_text()), "ms_a_slice": round(spent[0])}


def _detect(detector: LesionDetector, one: ScoredSet, path: Path) -> None:
    """Keeps (n, 5) boxes of every key slice, and milliseconds of processor time a slice."""
    boxes, spent = [], 0.0
    for image in one.slices:
        slab = one.archive.slab(image.lesions[0], half_depth_mm=detector.half_depth_mm)
        start = time.process_time()
        boxes.append(scored_boxes(detector.detect(slab))[:BOXES_OF_A_SLICE])
        spent += time.process_time() - start
    counts = [len(rows) for rows in boxes]
    np.savez(
        path,
        boxes=np.concatenate(boxes),
        counts=np.array(counts),
        ms=np.array(spent / len(boxes) * 1000),
    )


def _read(path: Path) -> Boxes:
    with np.load(path) as stored:
        return np.split(stored["boxes"], np.cumsum(stored["counts"])[:-1])


def _compared(
    sets: Sequence[ScoredSet], chosen: argparse.Namespace, results: Mapping[str, Any]
) -> dict[str, Any]:
    """By set and recipe, over the seeds that are done; see ``recipes_compared``."""
    tables = {}
    for one in sets:
        means: dict[str, dict[int, NDArray[np.float64]]] = {}
        for name in chosen.recipes:
            paths = {s: _folder(name, s, chosen) / f"boxes-{one.name}.npz" for s in chosen.seeds}
            done = {s: one.means(_read(path)) for s, path in paths.items() if path.is_file()}
            if done:
                means[name] = done
        path = chosen.out / START / f"boxes-{one.name}.npz"
        start = one.means(_read(path)) if path.is_file() else None
        table = compared(means, chosen.recipes[0], start)
        for name, row in table.items():
            runs = [results.get(f"{name}, seed {seed}", {}) for seed in chosen.seeds]
            scored = [run["A"][one.name] for run in runs if one.name in run.get("A", {})]
            row["by group"] = group_means(scored, RATES.mean_name)
        if start is not None:
            table = {START: {"A": interval(start)}, **table}
        tables[one.name] = table
    return tables


def _recipe(name: str, seed: int, chosen: argparse.Namespace) -> DetectorRecipe:
    """The recipe at the length and size that all are run at, on marked slices alone.

    Archives are drawn and their backgrounds known as in the recipe ``small``.
    """
    bare, _, changed = name.partition(":")
    changes = ["data.backgrounds=[]", *chosen.set, *(x for x in changed.split(";") if x)]
    recipe = load_detector_recipe(bare, dict(change.split("=", 1) for change in changes))
    usual = load_detector_recipe("small").data
    shares = {folder.name: usual.weights.get(folder.name, 1.0) for folder in chosen.archive}
    return replace(
        recipe,
        seed=seed,
        start=chosen.start,
        start_partly=bool(chosen.start),
        data=replace(recipe.data, backgrounds=(), weights=shares, reach_mm=usual.reach_mm),
        missing=recipe.missing if recipe.data.hidden else replace(recipe.missing, remedy="none"),
        augment=replace(recipe.augment, crop_px=chosen.crop),
        optimiser=replace(recipe.optimiser, steps=chosen.steps, slices=chosen.slices),
    )


def _on_volumes(detector: LesionDetector, one: ScoredSet, count: int, out: Path) -> Any:
    """Protocol B on slabs of key slices; a lesion is taken for a ball of its long diameter."""
    if not count:
        return None
    truth, predictions = {}, {}
    for image in one.slices[:: max(1, len(one.slices) // count)][:count]:
        slab = one.archive.slab(image.lesions[0], half_depth_mm=VOLUME_HALF_DEPTH_MM)
        deep = slab.slice_interval_mm
        truth[image.name] = [
            [*x.box.to_list()[:2], z - half, *x.box.to_list()[2:], z + half]
            for x in image.lesions
            for z, half in [(x.key_slice_index, (x.long_mm or 0.0) / 2 / deep)]
        ]
        predictions[image.name] = [row.to_row() for row in scan_volume(detector, slab)]
    files = (out / "truth.json", out / "predictions.json")
    for path, rows in zip(files, (truth, predictions), strict=True):
        path.write_text(json.dumps(rows), encoding="utf-8")
    return evaluate_boxes_3d(*files).to_json()


if __name__ == "__main__":
    main()
