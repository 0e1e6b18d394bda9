"""Body position against real CT: left-out series, and once, at the end, the two test sets.

    python benchmarks/position.py --data shared/data            # left-out series and speed
    python benchmarks/position.py --data shared/data --test     # NIH slices and DeepLesion's 23 too

Left-out series never trained the network. ``--test`` opens what chose nothing: 50 8-bit NIH
slices with the scores of NIH's own regressor, and the 23 lesions of ``deeplesion_sample``. Writes
benchmarks/results/position.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from retrieval.image import Slab
from retrieval.position.learning.recipe import load_height_recipe
from retrieval.position.locator import BodyLocator
from retrieval.position.order import SliceOrder, check_series
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.grey_picture import read_grey_picture

RESULT = Path(__file__).parent / "results" / "position.json"
FOLDERS = ("real_ct_1mm", "real_ct_extra")
NIH_SPACING = (0.8, 0.8)
"""Their headers are not published: a usual value stands for all."""

SLAB_MM = 15.0


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--test", action="store_true", help="also open the two test sets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    locator = BodyLocator.load()
    measured: dict[str, Any] = {
        "fingerprint": locator.calibration.fingerprint,
        "left_out_series": left_out_series(arguments.data, locator),
        "speed": speed(arguments.data, locator),
        "torch_threads": arguments.threads,
        "machine": platform.machine(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    if arguments.test:
        measured["nih_slices"] = nih_slices(arguments.data, locator)
        measured["deeplesion_sample"] = sample_lesions(arguments.data, locator)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))


def left_out_series(data: Path, locator: BodyLocator) -> dict[str, Any]:
    """Correlation of height and millimetres along each series, and its reversal flagged."""
    left_out = tuple(load_height_recipe("small").data.left_out)
    found = {}
    for folder in FOLDERS:
        index = pd.read_csv(data / folder / "index.csv")
        index["series"] = index["path"].str.rpartition("/")[0]
        chosen = index[index["series"].str.startswith(left_out)]
        for name, rows in chosen.groupby("series"):
            ordered = rows.sort_values("slice")
            heights = (ordered["slice"] * ordered["slice_interval_mm"]).to_numpy(float)
            scores = series_scores(data / folder, ordered, locator)
            found[str(name)] = {
                "slices": len(ordered),
                "span_mm": float(np.ptp(heights)),
                "r": round(float(np.corrcoef(heights, scores)[0, 1]), 4),
                "slope": round(float(np.polyfit(heights, scores, 1)[0]), 3),
                "order_accuracy": order_accuracy(heights, scores),
                "kept_order_flagged": is_flagged(scores, heights - heights[0]),
                "reversed_flagged": is_flagged(scores[::-1], heights[-1] - heights[::-1]),
            }
    return found


def series_scores(folder: Path, rows: pd.DataFrame, locator: BodyLocator) -> NDArray[np.float64]:
    """Single-slice scores of a series; its slices are of different sizes."""
    return np.array(
        [
            locator.scores_mm(read_deeplesion_png(folder / path)[None], (mm, mm))[0]
            for path, mm in zip(rows["path"], rows["spacing_mm_px"].astype(float), strict=True)
        ]
    )


def is_flagged(scores: NDArray[np.float64], heights_mm: NDArray[np.float64]) -> bool:
    """Whether slices in this order are held to run from head to feet."""
    return check_series(scores, heights_mm).order is SliceOrder.HEAD_FIRST


def order_accuracy(truth: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """Share of pairs of different truth that the estimate orders alike."""
    first, second = np.triu_indices(len(truth), 1)
    apart = truth[second] - truth[first]
    agree = np.sign(apart) == np.sign(estimate[second] - estimate[first])
    return round(float(agree[apart != 0].mean()), 4)


def nih_slices(data: Path, locator: BodyLocator) -> dict[str, Any]:
    """Agreement of z with the scores of NIH's own regressor, both rising towards the feet."""
    given, found = [], []
    for path in sorted((data / "samples" / "ssbr_nih_50").glob("*_score_*.png")):
        place = locator.locate(read_grey_picture(path, NIH_SPACING)).slices[0].place
        given.append(float(path.name.split("_")[2]))
        found.append(np.nan if place is None else place.location[2])
    truth, z = np.array(given), np.array(found)
    seen = np.isfinite(z)
    return {
        "slices": len(truth),
        "without_body": int((~seen).sum()),
        "spearman": round(float(spearmanr(truth[seen], z[seen]).statistic), 4),
        "order_accuracy": order_accuracy(truth[seen], z[seen]),
    }


def sample_lesions(data: Path, locator: BodyLocator) -> dict[str, Any]:
    """Errors of x, y, z against the official locations, and coverage of both intervals."""
    archive = DeepLesionArchive.open(data / "deeplesion_sample")
    deep, alone = [], []
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=SLAB_MM)
        one = Slab(slab.hu[slab.key_slice][None], slab.spacing_mm_px, slab.slice_interval_mm)
        truth = np.array(lesion.location)
        for errors, image in ((deep, slab), (alone, one)):
            place = locator.locate_box(image, lesion.box)
            errors.append(
                (
                    np.abs(np.array(place.location) - truth),
                    place.location_error,
                    place.location_error_90,
                )
            )
    patients = [lesion.patient_id for lesion in archive.lesions]
    return {
        "lesions": len(deep),
        "patients": len(set(patients)),
        "slab": summary(deep, patients),
        "single_slice": summary(alone, patients),
    }


def summary(errors: Sequence[tuple[Any, Any, Any]], patients: Sequence[str]) -> dict[str, Any]:
    """Median and 90th percentile of the errors of x, y, z; coverage of both intervals.

    The lesions of one patient share an error, so the 95 % intervals of z resample patients.
    """
    off, half, most = (np.array([one[part] for one in errors]) for part in range(3))
    return {
        "z_median_95": over_patients(off[:, 2], patients, np.median),
        "z_coverage_50_95": over_patients((off <= half)[:, 2], patients, np.mean),
        "z_coverage_90_95": over_patients((off <= most)[:, 2], patients, np.mean),
        "median": np.median(off, axis=0).round(4).tolist(),
        "p90": np.quantile(off, 0.9, axis=0).round(4).tolist(),
        "coverage_50": (off <= half).mean(axis=0).round(3).tolist(),
        "coverage_90": (off <= most).mean(axis=0).round(3).tolist(),
    }


def over_patients(
    values: NDArray[Any], patients: Sequence[str], statistic: Callable[[NDArray[Any]], Any]
) -> list[float]:
    """The 95 % interval of a statistic over 2,000 bootstrap resamples of patients."""
    rows = [np.flatnonzero(np.array(patients) == name) for name in sorted(set(patients))]
    rng = np.random.default_rng(0)
    drawn = [
        float(statistic(values[np.concatenate([rows[n] for n in chosen])]))
        for chosen in rng.integers(len(rows), size=(2000, len(rows)))
    ]
    return [round(float(v), 4) for v in np.quantile(drawn, (0.025, 0.975))]


def speed(data: Path, locator: BodyLocator) -> dict[str, float]:
    """Milliseconds a slice of 512 x 512 pixels: a series of 64, and one slice alone.

    Processor time is what the work costs; wall time also counts waiting on a busy machine.
    """
    folder = data / "deeplesion_windowed" / "Images_png" / "000015_01_01"
    plane = read_deeplesion_png(sorted(folder.glob("*.png"))[-7])
    series = Slab(np.repeat(plane[None], 64, axis=0), (0.94, 0.94), 5.0)
    single = Slab(plane[None], (0.94, 0.94), 5.0)
    locator.locate(single)
    spent: dict[str, list[float]] = {}
    for _ in range(5):
        for name, slab in (("series", series), ("single", single)):
            for kind, clock in (("wall", time.perf_counter), ("processor", time.process_time)):
                start = clock()
                locator.locate(slab)
                took = (clock() - start) * 1000 / len(slab.hu)
                spent.setdefault(f"{name}_{kind}_ms_a_slice_p50", []).append(took)
    return {name: round(statistics.median(times), 2) for name, times in spent.items()}


if __name__ == "__main__":
    main()
