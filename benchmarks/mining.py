"""Marks written by other writers in every carrier, mined back: found, exact, nothing else.

    python benchmarks/mining.py --data DATA

``sample``: the 23 lesions of the DeepLesion sample with their pixels. ``official``: all 9,816
official rows of the val and test splits, on headers without pixels, a thousand at a time so that
the disk is bounded. ``speed``: 2,500, 5,000 and 10,000 marks of all carriers mixed, without pixels:
time and peak memory of ``mine`` as a process. ``poison``: 200 marks of which most must be refused.
Each result says how many were found, the largest error of box and diameters over all of them, and
what else was mined. A mask (SEG) cannot hold a diameter better than its pixels: its errors are told
as they are; ``seg-measured`` has the report (TID 1411) that states its segments' lengths beside it.

All parts in one run are the result; ``--parts`` or ``--carriers`` with ``--out`` look at some.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.archive_as_dicom import (
    key_slices_without_pixels,
    series_with_pixels,
)
from tests.service.jobs.mining.carriers import WRITERS, write_marks
from tests.service.jobs.mining.drawn import Drawn

RESULT = Path(__file__).parent / "results" / "mining.json"
SPEED_SIZES = (2_500, 5_000, 10_000)
OFFICIAL, FURTHER = "DL_info_val_test_9816.csv", "DL_info_real_rows.csv"
PARTS = ("sample", "official", "speed", "poison")
AT_ONCE = 1_000
LIMIT = 0.01
ERRORS = ("box_px", "long_mm", "short_mm")
MIXED = ("sr", "gsps", "seg", "rtstruct", "aim", "gsps-lines", "rtstruct-outline")
"""Carriers of the mixed marks; a measured segmentation is two files a mark."""

Series = tuple[list[Dataset], list[Drawn]]


def mined(sources: Sequence[Path], out: Path, *more: str) -> dict[str, Any]:
    """``mine`` in a process of its own: its answer, seconds of wall and CPU, peak memory in MB."""
    words = [sys.executable, "-m", "service.cli", "mine", *map(str, sources), "--out", str(out)]
    start = time.monotonic()
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen([*words, "--own-ids", "--json", *more], stdout=answer)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        answer.seek(0)
        text = answer.read()
    if status:
        raise RuntimeError(f"mine ended with {status}")
    return {
        **json.loads(text),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": used.ru_maxrss >> 10,
    }


def compared(out: Path, drawn: Sequence[Drawn]) -> dict[str, Any]:
    """What was mined beside what was drawn, mark by mark on the same image."""
    rows = {row.lesion.lesion_id: row for row in DeepLesionArchive.open(out).rows}
    on_image: dict[str, list[Any]] = {}
    for line in (out / "mined.jsonl").read_text().splitlines():
        told = json.loads(line)
        if told["lesion_id"]:
            on_image.setdefault(told["sop_uid"], []).append(rows[told["lesion_id"]])
    box, long_mm, short_mm = [], [], []
    for one in drawn:
        candidates = on_image.get(str(one.header.SOPInstanceUID), [])
        wanted = np.array(one.recist.box().to_list())
        if not candidates:
            continue
        errors = [np.abs(np.array(row.lesion.box.to_list()) - wanted).max() for row in candidates]
        best = candidates.pop(int(np.argmin(errors)))
        lengths = one.recist.diameters_mm(one.spacing_mm_px)
        box.append(min(errors))
        long_mm.append(abs(best.lesion.long_mm - lengths[0]))
        short_mm.append(abs(best.lesion.short_mm - lengths[1]))
    return {
        "drawn": len(drawn),
        "found": len(box),
        "nothing_else": not any(on_image.values()),
        "box_px": box,
        "long_mm": long_mm,
        "short_mm": short_mm,
    }


def spread(errors: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and largest of errors."""
    if not errors:
        return {}
    median, most = np.percentile(errors, (50, 95))
    return {
        "median": round(float(median), 5),
        "p95": round(float(most), 5),
        "largest": round(float(max(errors)), 5),
    }


def write_all(series: Iterable[Series], folder: Path, carriers: Sequence[str]) -> list[Drawn]:
    """Images once, marks in every carrier; a folder a hundred series."""
    everything: list[Drawn] = []
    for number, (datasets, drawn) in enumerate(series):
        part = f"{number // 100:03d}"
        write_files(datasets, folder / "ct" / part / str(number))
        for carrier in carriers:
            write_marks(carrier, drawn, folder / carrier / part, str(number))
        everything += drawn
    return everything


def round_trip(
    series: Iterable[Series], carriers: Sequence[str], *more: str, at_once: int = AT_ONCE
) -> dict[str, dict[str, Any]]:
    """Every carrier mined with the same images, so many marks at a time."""
    parts: dict[str, list[dict[str, Any]]] = {carrier: [] for carrier in carriers}
    for held in in_parts(series, at_once):
        folder = Path(tempfile.mkdtemp(prefix="mining-"))
        try:
            drawn = write_all(held, folder, carriers)
            for carrier in carriers:
                out = folder / f"archive-{carrier}"
                told = mined([folder / "ct", folder / carrier], out, *more)
                parts[carrier].append({**compared(out, drawn), **told})
                shutil.rmtree(out)
                shutil.rmtree(folder / carrier)
        finally:
            shutil.rmtree(folder)
        found = {carrier: sum(one["found"] for one in parts[carrier]) for carrier in parts}
        print(json.dumps(found), flush=True)
    return {carrier: joined(found) for carrier, found in parts.items()}


def in_parts(series: Iterable[Series], at_once: int) -> Iterator[list[Series]]:
    """Series together until they hold so many marks."""
    held: list[Series] = []
    marks = 0
    for one in series:
        held.append(one)
        marks += len(one[1])
        if marks >= at_once:
            yield held
            held, marks = [], 0
    if held:
        yield held


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The parts of one carrier as one result."""
    verdicts: Counter[str] = Counter()
    for one in parts:
        verdicts.update(one["verdicts"])
    errors = {name: [error for one in parts for error in one[name]] for name in ERRORS}
    within = sum(
        all(error <= LIMIT for error in errors_of)
        for errors_of in zip(*errors.values(), strict=True)
    )
    return {
        "drawn": sum(one["drawn"] for one in parts),
        "found": sum(one["found"] for one in parts),
        "nothing_else": all(one["nothing_else"] for one in parts),
        **{name: spread(values) for name, values in errors.items()},
        f"within_{LIMIT}": within,
        "verdicts": dict(verdicts),
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in parts), 1),
        "peak_mb": max(one["peak_mb"] for one in parts),
    }


def speed(tables: Sequence[Path]) -> list[dict[str, Any]]:
    """The first so many official rows, of all carriers in turn: seconds and peak memory."""
    found = []
    for size in SPEED_SIZES:
        folder = Path(tempfile.mkdtemp(prefix="mining-speed-"))
        try:
            drawn = write_mixed(rows_of(tables), folder, size)
            words = [folder / "source"], folder / "archive", "--table-only"
            told, again = mined(*words), mined(*words)
            found.append(
                {
                    "marks": drawn,
                    "judged": sum(told["verdicts"].values()),
                    "verdicts": told["verdicts"],
                    **{key: told[key] for key in ("lesions", "seconds", "cpu_seconds", "peak_mb")},
                    "second_run_seconds": again["seconds"],
                    "second_run_peak_mb": again["peak_mb"],
                    "second_run_patients_mined": again["patients_mined_now"],
                    "load_average": round(os.getloadavg()[0], 1),
                }
            )
        finally:
            shutil.rmtree(folder)
        print(json.dumps(found[-1]), flush=True)
    return found


def rows_of(tables: Sequence[Path]) -> Iterator[Series]:
    """The series of all tables; patients of an earlier table are left out of a later one."""
    seen: set[str] = set()
    for table in tables:
        new: set[str] = set()
        for datasets, drawn in key_slices_without_pixels(table):
            patient = str(datasets[0].PatientID)
            if patient not in seen:
                new.add(patient)
                yield datasets, drawn
        seen |= new


def write_mixed(series: Iterable[Series], folder: Path, size: int) -> int:
    """Series after series in another carrier, until so many marks are written."""
    written = 0
    for number, (datasets, drawn) in enumerate(series):
        chosen = drawn[: size - written]
        part = folder / "source" / f"{number // 100:03d}"
        write_files(datasets, part / str(number))
        write_marks(MIXED[number % len(MIXED)], chosen, part / "marks", str(number))
        written += len(chosen)
        if written >= size:
            break
    return written


def main() -> None:
    """Runs the parts that are asked for and writes their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--carriers", default=",".join(WRITERS))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--rows", type=int, help="official rows, evenly over all of them")
    given = parser.parse_args()
    carriers, parts = given.carriers.split(","), given.parts.split(",")
    is_whole = set(carriers) == set(WRITERS) and set(parts) == set(PARTS) and not given.rows
    if given.out == RESULT and not is_whole:
        parser.error("the results are of one run of all parts: give --out for some of them")
    words = [
        f"--{name} {value}" for name, value in (("parts", ",".join(parts)), ("rows", given.rows))
    ]
    command = "python benchmarks/mining.py --data DATA"
    results: dict[str, Any] = {"command": command if is_whole else " ".join([command, *words])}
    if "speed" in parts:
        results["speed"] = speed([given.data / OFFICIAL, given.data / FURTHER])
    if "sample" in parts:
        sample = DeepLesionArchive.open(given.data / "deeplesion_sample")
        results["sample"] = round_trip(series_with_pixels(sample), carriers)
    if "official" in parts:
        step = 1 if given.rows is None else max(9816 // given.rows, 1)
        series = islice(key_slices_without_pixels(given.data / OFFICIAL), 0, None, step)
        results["official"] = round_trip(series, carriers, "--table-only")
    if "poison" in parts:
        results["poison"] = poisoned()
    results["machine"] = {
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    given.out.write_text(json.dumps(results, indent=1) + "\n")


def poisoned() -> dict[str, Any]:
    """The poisoned hospital: precision, recall, refusals by name."""
    from tests.service.jobs.mining.poison import poisoned_hospital
    from tests.service.jobs.mining.poison_score import score_poisoned

    folder = Path(tempfile.mkdtemp(prefix="mining-poison-"))
    try:
        expected = poisoned_hospital(folder)
        mined([folder / "source"], folder / "archive", "--no-locate")
        return score_poisoned(folder / "archive", expected)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
