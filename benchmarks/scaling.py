"""How cost grows with the number of lesions: memory, disk, build, opening, adding, searching.

    python benchmarks/scaling.py --lesions 10000 100000 1000000

Made-up lesions of 256 numbers, eight a patient: points of a 32-dimensional Gaussian turned into
the 256 dimensions, with a little noise in all of them, then of unit norm. Trained embeddings are
of such low inner dimension; wholly random vectors would have no near neighbours to find. Every
step runs in a process of its own, so that memory and opening are those of a program that starts.

``--folder`` keeps the indexes and goes on with those that are there; the additions that are timed
are taken out again. Writes benchmarks/results/scaling.json and the table of docs/scaling.md after
each size; sizes measured before stay in both.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray

from index.catalog.reader import EncoderBinding, LesionRecord
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion, LesionType

DIMENSION = 256
INNER_DIMENSION = 32
NOISE = 0.05
LESIONS_A_PATIENT = 8
BATCH = 10_000
ADDED = 1_000
QUERIES = 200
SLOW_QUERIES = 50
RESULT = Path(__file__).parent / "results" / "scaling.json"
PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN = "<!-- measured: written by benchmarks/scaling.py -->"
END = "<!-- end of measured -->"

BINDING = EncoderBinding("scaling", "made-up vectors", DIMENSION)


def vectors(first: int, count: int) -> NDArray[np.float32]:
    """The vectors of ``count`` lesions from number ``first``, a multiple of BATCH, on."""
    turn = np.random.default_rng(0).standard_normal((INNER_DIMENSION, DIMENSION), dtype=np.float32)
    rng = np.random.default_rng((1, first))
    inner = rng.standard_normal((count, INNER_DIMENSION), dtype=np.float32)
    drawn = inner @ turn / np.sqrt(INNER_DIMENSION, dtype=np.float32)
    drawn += NOISE * rng.standard_normal((count, DIMENSION), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def records(first: int, count: int) -> Iterator[LesionRecord]:
    """Lesions with every field a hospital's archive has."""
    kinds = list(LesionType)
    for number, vector in enumerate(vectors(first, count), start=first):
        patient, study = f"{number // LESIONS_A_PATIENT:07d}", f"{number % 4 + 1:02d}"
        series = f"{patient}_{study}_01"
        lesion = Lesion(
            lesion_id=f"{series}_{number:08d}",
            patient_id=patient,
            study_id=f"{patient}_{study}",
            series_id=series,
            key_slice_index=number % 400,
            box=Box(100.0 + number % 200, 120.0, 130.0 + number % 200, 150.0),
            long_mm=8.0 + number % 40,
            short_mm=6.0 + number % 20,
            location=(number % 97 / 97, number % 89 / 89, number % 83 / 83),
            lesion_type=kinds[number % len(kinds)],
        )
        image = f"Images_png/{series}/{number % 400:03d}.png"
        yield LesionRecord(lesion, vector, ImageSource("/archive", image, (0.8, 0.8), 2.5))


def build(folder: Path, count: int) -> dict[str, Any]:
    """Adds the lesions and closes, which saves the snapshot."""
    started = time.perf_counter()
    index = LesionIndex.create(folder, BINDING)
    for first in range(0, count, BATCH):
        index.add(records(first, min(BATCH, count - first)))
    added = time.perf_counter()
    index.close()
    closed = time.perf_counter()
    return {
        "add_s": round(added - started, 1),
        "added_a_second": round(count / (added - started)),
        "close_with_snapshot_s": round(closed - added, 2),
        "catalog_bytes_a_lesion": round((folder / "catalog.sqlite").stat().st_size / count),
        "snapshot_bytes_a_lesion": round(_bytes(folder, "flat-*.faiss") / count),
    }


def use(folder: Path, count: int) -> dict[str, Any]:
    """Opens and searches exactly; adds lesions that must be found at once; memory of it all."""
    with _opened(folder, count) as (index, facts):
        queries = vectors(10**9, QUERIES)
        patient = LesionFilter.parse(f"patient={count // 2 // LESIONS_A_PATIENT:07d}")
        liver = LesionFilter.parse("type=liver")
        slow = queries if count <= 100_000 else queries[:SLOW_QUERIES]
        facts["exact_ms"] = _latency(slow, index.search)
        facts["one_patient_ms"] = _latency(
            queries, lambda query: index.search(query, where=patient)
        )
        facts["one_type_ms"] = _latency(slow, lambda query: index.search(query, where=liver))
        facts.update(_added_and_found(index, count))
    return facts


def _added_and_found(index: LesionIndex, count: int) -> dict[str, Any]:
    first = -(-count // BATCH) * BATCH
    more = list(records(first, ADDED))
    started = time.perf_counter()
    index.add(more)
    added = time.perf_counter()
    newest = index.search(more[-1].vector, k=1)[0]
    found = time.perf_counter()
    hits = index.search_batch(np.stack([one.vector for one in more]), k=1)
    missed = sum(
        hit[0].lesion.lesion_id != one.lesion.lesion_id for hit, one in zip(hits, more, strict=True)
    )
    if missed or newest.lesion.lesion_id != more[-1].lesion.lesion_id:
        raise SystemExit(f"{missed} of {ADDED} lesions just added were not found")
    facts = {
        "add_1000_s": round(added - started, 3),
        "first_found_after_s": round(found - added, 3),
        "all_1000_found": True,
    }
    started = time.perf_counter()
    index.remove([one.lesion.lesion_id for one in more])
    return {**facts, "remove_1000_s": round(time.perf_counter() - started, 3)}


def use_approximate(folder: Path, count: int) -> dict[str, Any]:
    """Builds the approximate form the rule chooses."""
    with _opened(folder, count) as (index, _):
        started = time.perf_counter()
        facts = dict(index.build_approximate())
        seconds = time.perf_counter() - started
    size = _bytes(folder, "approximate-*.faiss")
    kept = ("kind", "effort", "recall_at_10")
    return {
        "build_s": round(seconds, 1),
        **{name: facts[name] for name in kept},
        "file_bytes_a_lesion": round(size / count),
    }


def reopen_approximate(folder: Path, count: int) -> dict[str, Any]:
    """Opens with the approximate form and searches by it; takes it away again."""
    with _opened(folder, count) as (index, facts):
        queries = vectors(10**9, QUERIES)
        facts["search_ms"] = _latency(queries, lambda query: index.search(query, approximate=True))
        index.drop_approximate()
    return facts


class _opened:  # noqa: N801 (used as a function)
    """Opens an index, telling how long that took and what memory it needed."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count

    def __enter__(self) -> tuple[LesionIndex, dict[str, Any]]:
        before = psutil.Process().memory_info().rss
        started = time.perf_counter()
        self._index = LesionIndex.open(self._folder, binding=BINDING)
        seconds = time.perf_counter() - started
        grown = psutil.Process().memory_info().rss - before
        facts = {"open_s": round(seconds, 3), "memory_bytes_a_lesion": round(grown / self._count)}
        if self._index.info().store["rebuilt_because"]:
            raise SystemExit("the snapshot was not used")
        return self._index, facts

    def __exit__(self, *_: object) -> None:
        self._index.close()


def _latency(queries: NDArray[np.float32], search: Callable[[Any], object]) -> dict[str, float]:
    """p50 and p99 of one query after another, after a few that warm up."""
    for query in queries[:3]:
        search(query)
    taken = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        taken.append(time.perf_counter() - started)
    p50, p99 = np.percentile(taken, (50, 99)) * 1000
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def _bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def _apart(step: Callable[[Path, int], dict[str, Any]], folder: Path, count: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(step, folder, count).result()


def measured(folder: Path, count: int) -> dict[str, Any]:
    """Every step at one size; an index that is there already is not built again."""
    before = os.getloadavg()[0]
    row: dict[str, Any] = {"lesions": count}
    if not folder.exists():
        building = folder.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)  # what a run that was ended left
        row["build"] = _apart(build, building, count)
        building.rename(folder)
    row["exact"] = _apart(use, folder, count)
    row["approximate"] = _apart(use_approximate, folder, count)
    row["approximate"] |= _apart(reopen_approximate, folder, count)
    row["load_average_before_and_after"] = [round(before, 2), round(os.getloadavg()[0], 2)]
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, a size a column."""
    lines = {
        "memory when open, bytes a lesion": lambda row: row["exact"]["memory_bytes_a_lesion"],
        "catalog, bytes a lesion": lambda row: row["build"]["catalog_bytes_a_lesion"],
        "snapshot, bytes a lesion": lambda row: row["build"]["snapshot_bytes_a_lesion"],
        "stored, lesions a second": lambda row: row["build"]["added_a_second"],
        "opening, s": lambda row: row["exact"]["open_s"],
        "adding 1,000, s": lambda row: row["exact"]["add_1000_s"],
        "until the last of them is found, ms": lambda row: round(
            1000 * row["exact"]["first_found_after_s"]
        ),
        "exact, p50 ms": lambda row: row["exact"]["exact_ms"]["p50"],
        "one patient, p50 ms": lambda row: row["exact"]["one_patient_ms"]["p50"],
        "one type of nine, p50 ms": lambda row: row["exact"]["one_type_ms"]["p50"],
        "approximate form": lambda row: row["approximate"]["kind"],
        "its building, s": lambda row: row["approximate"]["build_s"],
        "its recall@10": lambda row: row["approximate"]["recall_at_10"],
        "its search, p50 ms": lambda row: row["approximate"]["search_ms"]["p50"],
        "memory with it, bytes a lesion": lambda row: row["approximate"]["memory_bytes_a_lesion"],
        "load of the machine meanwhile": lambda row: row["load_average_before_and_after"][1],
    }
    head = "| lesions | " + " | ".join(f"{row['lesions']:,}" for row in rows) + " |"
    body = [
        f"| {name} | " + " | ".join(str(of(row)) for row in rows) + " |"
        for name, of in lines.items()
    ]
    return "\n".join([head, "| --- |" + " --- |" * len(rows), *body])


def write_page(page: Path, rows: list[dict[str, Any]]) -> None:
    """Puts the table between the page's two marks."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks its marks {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n{table(rows)}\n{end}{after}")


def main() -> None:
    """Measures each size and writes the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lesions", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="keeps the indexes; else they are deleted")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for count in options.lesions:
            row = measured(folder / f"scaling-{count}", count)
            rows = write(options.out, row)
            if options.out == RESULT:
                write_page(PAGE, rows)
            print(json.dumps(row, indent=2), flush=True)


def write(out: Path, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Puts a size's row in place of an earlier one, keeping its build; returns all rows."""
    document = json.loads(out.read_text()) if out.exists() else {"rows": []}
    rows = {one["lesions"]: one for one in document["rows"]}
    if "build" not in row and row["lesions"] in rows:
        row["build"] = rows[row["lesions"]].get("build")
    rows[row["lesions"]] = row
    machine = {
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "faiss": faiss.__version__,
    }
    document = {
        "dimension": DIMENSION,
        **machine,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "rows": [rows[count] for count in sorted(rows)],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    measured_rows: list[dict[str, Any]] = document["rows"]
    return measured_rows


if __name__ == "__main__":
    main()
