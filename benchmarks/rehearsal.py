"""A rehearsal at DeepLesion's true size: 32,735 rows, 4,427 patients, 10,594 studies.

    python benchmarks/rehearsal.py make --shape table.csv.gz --phantom phantom --out big
    python benchmarks/rehearsal.py check --out big
    python benchmarks/rehearsal.py index --out big --lesions 500
    python benchmarks/rehearsal.py track --out big
    python benchmarks/rehearsal.py train --out big --lesions 500 --steps 8
    python benchmarks/rehearsal.py evaluate --out big
    python benchmarks/rehearsal.py similarity --out big

The shape is a table with the columns patient, study, series and split, one row a lesion. Every row
gets the image, mark and size of a phantom lesion; slices are hard links, so that the archive fits
on the disk of the phantoms. Nothing in it looks like DeepLesion: it measures time, memory and
disk, and shows what breaks at that size. ``index`` may embed the first lesions only and says what
all would take; an index of all lesions has their true number of rows with drawn unit vectors where
``--drawn`` is given, so that catalog, search and tracking are rehearsed without the encoder.
Each part adds its numbers to benchmarks/results/rehearsal.json.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

RESULT = Path(__file__).parent / "results" / "rehearsal.json"
REACH = 5
"""Slices linked on either side of a key slice."""

APART = 2 * REACH + 1
SPLIT_CODES = {"train": "1", "val": "2", "test": "3"}


def main() -> None:
    """Runs one part and keeps its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--out", type=Path, required=True, help="the archive; its index beside it")
    parser.add_argument("--shape", type=Path, help="make: a table of patients, studies and series")
    parser.add_argument("--phantom", type=Path, help="make: an archive of phantoms")
    parser.add_argument("--lesions", type=int, default=500, help="index, train: how many are cut")
    parser.add_argument("--steps", type=int, default=8, help="train: how many are taken")
    parser.add_argument("--drawn", action="store_true", help="index: all lesions, drawn vectors")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    start, before = time.perf_counter(), time.process_time()
    found = PARTS[arguments.part](arguments)
    measured = {
        **found,
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(time.process_time() - before, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "load_average": round(os.getloadavg()[0], 1),
    }
    kept = json.loads(arguments.result.read_text()) if arguments.result.is_file() else {}
    kept[arguments.part + (" drawn" if arguments.drawn else "")] = measured
    arguments.result.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))


def make(arguments: argparse.Namespace) -> dict[str, object]:
    """The archive: rows of the shape with the phantoms' pixels."""
    with (arguments.phantom / "DL_info.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or [])
        phantoms = list(reader)
    linked, patients, studies = 0, set(), set()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = arguments.out / "DL_info.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        count = 0
        for row, number in _shape(arguments.shape):
            phantom = phantoms[count % len(phantoms)]
            made = _as_in_shape(phantom, row, number)
            linked += _link(arguments.phantom, arguments.out, phantom, made)
            writer.writerow(made)
            patients.add(row["patient"])
            studies.add((row["patient"], row["study"]))
            count += 1
    return {
        "rows": count,
        "patients": len(patients),
        "studies": len(studies),
        "slices_linked": linked,
        "table_mb": round(table.stat().st_size / 1e6, 1),
    }


def _shape(path: Path) -> Iterator[tuple[dict[str, str], int]]:
    """The rows of the shape, each with its number among those of its series."""
    seen: Counter[tuple[str, str, str]] = Counter()
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            series = (row["patient"], row["study"], row["series"])
            yield row, seen[series]
            seen[series] += 1


def _as_in_shape(phantom: dict[str, str], row: dict[str, str], number: int) -> dict[str, str]:
    key = 1 + REACH + APART * number
    patient, study, series = (int(float(row[name])) for name in ("patient", "study", "series"))
    return {
        **phantom,
        "File_name": f"{patient:06d}_{study:02d}_{series:02d}_{key:03d}.png",
        "Patient_index": str(patient),
        "Study_index": str(study),
        "Series_ID": str(series),
        "Key_slice_index": str(key),
        "Slice_range": f"{key - REACH}, {key + REACH}",
        "Train_Val_Test": SPLIT_CODES.get(row["split"], "1"),
    }


def _link(source: Path, out: Path, phantom: dict[str, str], made: dict[str, str]) -> int:
    from_folder = source / "Images_png" / phantom["File_name"].rsplit("_", 1)[0]
    to_folder = out / "Images_png" / made["File_name"].rsplit("_", 1)[0]
    to_folder.mkdir(parents=True, exist_ok=True)
    linked = 0
    for offset in range(-REACH, REACH + 1):
        image = from_folder / f"{int(phantom['Key_slice_index']) + offset:03d}.png"
        target = to_folder / f"{int(made['Key_slice_index']) + offset:03d}.png"
        if image.is_file() and not target.exists():
            os.link(image, target)
            linked += 1
    return linked


def check(arguments: argparse.Namespace) -> dict[str, object]:
    """The archive opened and its table checked, as ``lesion-search check`` does."""
    from retrieval.sources.archive import open_archive

    opened = open_archive(arguments.out)
    return {
        "lesions": len(opened.lesions),
        "patients": len({lesion.patient_id for lesion in opened.lesions}),
        "studies": len({lesion.study_id for lesion in opened.lesions}),
        "checksum": opened.checksum(),
    }


def index(arguments: argparse.Namespace) -> dict[str, object]:
    """The first lesions embedded, or all of them with drawn vectors."""
    return _drawn(arguments) if arguments.drawn else _embedded(arguments)


def _embedded(arguments: argparse.Namespace) -> dict[str, object]:
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.sources.archive import open_archive
    from service.engine.search_engine import binding_of
    from service.jobs.indexing import index_archive

    opened, encoder = open_archive(arguments.out), LesionEncoder.load()
    total = len(opened.lesions)
    opened.lesions = opened.lesions[: arguments.lesions]
    folder = arguments.out.with_name(arguments.out.name + "-some")
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    with LesionIndex.create(folder, binding_of(encoder)) as held:
        report = index_archive(opened, held, encoder)
    seconds = time.perf_counter() - start
    return {
        "embedded": report.added,
        "failed": len(report.failed),
        "all_would_take_minutes": round(seconds / max(report.added, 1) * total / 60),
        "index_mb": _megabytes(folder),
    }


def _drawn(arguments: argparse.Namespace) -> dict[str, object]:
    from index.catalog.reader import LesionRecord
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.sources.archive import open_archive
    from service.engine.search_engine import binding_of

    opened, encoder = open_archive(arguments.out), LesionEncoder.load()
    folder = arguments.out.with_name(arguments.out.name + "-index")
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(opened.lesions), encoder.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with LesionIndex.create(folder, binding_of(encoder)) as held:
        for first in range(0, len(vectors), 1000):
            held.add(
                LesionRecord(lesion, vector, replace(opened.source(lesion)))
                for lesion, vector in zip(
                    opened.lesions[first : first + 1000],
                    vectors[first : first + 1000],
                    strict=True,
                )
            )
        start = time.perf_counter()
        for vector in vectors[:100]:
            held.search(vector, k=10)
        search_ms = (time.perf_counter() - start) * 10
    start = time.perf_counter()
    with LesionIndex.open(folder, binding=binding_of(encoder)) as held:
        count = held.count()
    return {
        "lesions": count,
        "search_ms": round(search_ms, 2),
        "opening_seconds": round(time.perf_counter() - start, 2),
        "index_mb": _megabytes(folder),
    }


def track(arguments: argparse.Namespace) -> dict[str, object]:
    """Every patient of the drawn index joined into tracks."""
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.tracking.matcher import bundled_matcher
    from service.engine.patient_tracks import tracks_of
    from service.engine.search_engine import binding_of

    folder = arguments.out.with_name(arguments.out.name + "-index")
    matcher, tracks, most = bundled_matcher(), 0, 0.0
    with LesionIndex.open(folder, binding=binding_of(LesionEncoder.load())) as held:
        patients = held.patients()
        for patient in patients:
            start = time.perf_counter()
            tracks += len(tracks_of(held, patient, model=matcher).tracks)
            most = max(most, time.perf_counter() - start)
    return {"patients": len(patients), "tracks": tracks, "slowest_patient_s": round(most, 2)}


def train(arguments: argparse.Namespace) -> dict[str, object]:
    """The patch cache of the first lesions and some steps on them; sequences of all lesions."""
    from retrieval.embedding.recipe import load_recipe
    from retrieval.embedding.sampling import SequenceSampler
    from retrieval.embedding.train import train_encoder
    from retrieval.embedding.training_data import TrainingData
    from retrieval.sources.archive import open_archive
    from retrieval.sources.lesion_table import LesionTable
    from retrieval.training.loop import Reports

    recipe = load_recipe("small", {"optimiser.steps": str(arguments.steps)})
    opened = open_archive(arguments.out)
    total = len(opened.lesions)
    table = LesionTable.of(opened, recipe.data.attributes)
    sampler = SequenceSampler(table, np.flatnonzero(table.splits == 1), (1.0,), recipe.similarity)
    drawing = time.process_time()
    sampler.draw(100, np.random.default_rng(0))
    sequence_ms = (time.process_time() - drawing) * 10
    opened.lesions = opened.lesions[: arguments.lesions]
    folder = arguments.out.with_name(arguments.out.name + "-run")
    shutil.rmtree(folder, ignore_errors=True)
    cutting = time.process_time()
    TrainingData.open([opened], recipe, folder / "cache")
    cut = time.process_time() - cutting
    cache_mb = _megabytes(folder / "cache")
    ends: list[float] = []
    reports = Reports(step=lambda *_: ends.append(time.process_time()))
    train_encoder([opened], recipe, folder, device="cpu", reports=reports)
    step_s = (ends[-1] - ends[0]) / (len(ends) - 1)
    return {
        "cached": arguments.lesions,
        "cache_of_all_processor_minutes": round(cut / arguments.lesions * total / 60, 1),
        "cache_of_all_gb": round(cache_mb / arguments.lesions * total / 1e3, 1),
        "sequence_ms": round(sequence_ms, 2),
        "steps": arguments.steps,
        "sequences_a_step": recipe.optimiser.sequences,
        "step_processor_seconds": round(step_s, 2),
        "steps_200_processor_minutes": round(step_s * 200 / 60, 1),
    }


def evaluate(arguments: argparse.Namespace) -> dict[str, object]:
    """``evaluate retrieval --split released --baselines-only``."""
    from retrieval.evaluation.retrieval.protocol import RetrievalOptions, evaluate_retrieval
    from retrieval.evaluation.retrieval.splits import SplitProtocol
    from retrieval.patch import PatchSpec
    from retrieval.sources.archive import open_archive

    options = RetrievalOptions(SplitProtocol.RELEASED, resamples=200, stability_lesions=0)
    report = evaluate_retrieval(open_archive(arguments.out), None, PatchSpec(), options)
    return {"lesions": report.lesions, "scores": len(report.scores)}


def similarity(arguments: argparse.Namespace) -> dict[str, object]:
    """What ``GET /v1/similarity`` computes when it is first asked of the drawn index."""
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from service.engine.search_engine import binding_of
    from service.engine.similarity_scale import IndexScale

    folder = arguments.out.with_name(arguments.out.name + "-index")
    with LesionIndex.open(folder, binding=binding_of(LesionEncoder.load())) as held:
        start, before = time.perf_counter(), time.process_time()
        scale = IndexScale(held).current()
        taken = (time.perf_counter() - start, time.process_time() - before)
    return {
        "sampled_lesions": scale.lesions,
        "cold_seconds": round(taken[0], 2),
        "cold_processor_seconds": round(taken[1], 2),
    }


def _megabytes(folder: Path) -> float:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return round(size / 1e6, 1)


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
    "make": make,
    "check": check,
    "index": index,
    "track": track,
    "train": train,
    "evaluate": evaluate,
    "similarity": similarity,
}


if __name__ == "__main__":
    main()
