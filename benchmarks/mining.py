"""Marks written by other writers in every carrier, mined back: found, exact, nothing else.

    python benchmarks/mining.py --data DATA [--carriers sr,gsps,...] [--parts sample,official,...]

``sample``: the 23 lesions of the DeepLesion sample with their pixels. ``official``: all 9,816
official rows of the val and test splits, on headers without pixels. ``speed``: 2,500, 5,000 and
10,000 marks without pixels, time and peak memory of the process. ``poison``: 200 marks of which
most must be refused. Each result says how many were found, the largest error of box and diameters
over all of them, and what else was mined. A mask (SEG) cannot hold a diameter better than its
pixels: its errors are told as they are.
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
from collections.abc import Iterable, Sequence
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
OFFICIAL = "DL_info_val_test_9816.csv"

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
        "box_px": spread(box),
        "long_mm": spread(long_mm),
        "short_mm": spread(short_mm),
        "within_0.01": int(
            sum(
                one <= 0.01 and a <= 0.01 and b <= 0.01
                for one, a, b in zip(box, long_mm, short_mm, strict=True)
            )
        ),
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
    series: Iterable[Series], carriers: Sequence[str], *more: str
) -> dict[str, dict[str, Any]]:
    """Every carrier mined with the same images."""
    results = {}
    folder = Path(tempfile.mkdtemp(prefix="mining-"))
    try:
        drawn = write_all(series, folder, carriers)
        for carrier in carriers:
            out = folder / f"archive-{carrier}"
            told = mined([folder / "ct", folder / carrier], out, *more)
            results[carrier] = {
                **compared(out, drawn),
                **{key: told[key] for key in ("verdicts", "seconds", "cpu_seconds", "peak_mb")},
            }
            print(carrier, json.dumps(results[carrier]), flush=True)
            shutil.rmtree(out)
    finally:
        shutil.rmtree(folder)
    return results


def speed(table: Path) -> list[dict[str, Any]]:
    """The first so many official rows as GSPS, without pixels: seconds and peak memory."""
    found = []
    everything = list(key_slices_without_pixels(table))
    folder = Path(tempfile.mkdtemp(prefix="mining-speed-"))
    try:
        for size in SPEED_SIZES:
            chosen: list[Series] = []
            marks = 0
            while marks < size:
                for one in everything:
                    if marks >= size:
                        break
                    chosen.append(one)
                    marks += len(one[1])
                # Fewer official rows than wanted: some come twice, as further patients' marks.
                everything = [renamed(one) for one in everything]
            part = folder / str(size)
            write_all(chosen, part, ["gsps"])
            told = mined([part / "ct", part / "gsps"], part / "archive", "--table-only")
            again = mined([part / "ct", part / "gsps"], part / "archive", "--table-only")
            found.append(
                {
                    "marks": marks,
                    "lesions": told["lesions"],
                    "seconds": told["seconds"],
                    "cpu_seconds": told["cpu_seconds"],
                    "peak_mb": told["peak_mb"],
                    "second_run_seconds": again["seconds"],
                    "second_run_patients_mined": again["patients_mined_now"],
                }
            )
            print(json.dumps(found[-1]), flush=True)
    finally:
        shutil.rmtree(folder)
    return found


def renamed(series: Series) -> Series:
    """The same images and marks as those of another patient."""
    datasets, drawn = series
    for one in datasets:
        one.PatientID = f"{one.PatientID}B"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(one, keyword, f"{getattr(one, keyword)[:58]}.9")
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    return datasets, drawn


def main() -> None:
    """Runs the parts that are asked for and writes their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--carriers", default=",".join(WRITERS))
    parser.add_argument("--parts", default="sample,official,speed,poison")
    given = parser.parse_args()
    carriers, parts = given.carriers.split(","), given.parts.split(",")
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if "sample" in parts:
        sample = DeepLesionArchive.open(given.data / "deeplesion_sample")
        results["sample"] = round_trip(series_with_pixels(sample), carriers)
    if "official" in parts:
        series = key_slices_without_pixels(given.data / OFFICIAL)
        results["official"] = round_trip(series, carriers, "--table-only")
    if "speed" in parts:
        results["speed"] = speed(given.data / OFFICIAL)
    if "poison" in parts:
        from tests.service.jobs.mining.poison import poisoned_hospital
        from tests.service.jobs.mining.poison_score import score_poisoned

        folder = Path(tempfile.mkdtemp(prefix="mining-poison-"))
        expected = poisoned_hospital(folder)
        mined([folder / "source"], folder / "archive", "--no-locate")
        results["poison"] = score_poisoned(folder / "archive", expected)
        shutil.rmtree(folder)
        print(json.dumps(results["poison"], indent=1))
    results["machine"] = {
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
