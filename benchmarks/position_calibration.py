"""Calibrates the height network to DeepLesion's z and measures the error of all coordinates.

    python benchmarks/position_calibration.py --data shared/data

No image that evaluates is opened. Used are:
* the curve's shape: official val and test rows without pixels, less the patients of the sample;
* the landmarks' z: medians of the rows that reports place there (LesaNet tags), the same patients
  left out, and their heights on real series (benchmarks/position_landmarks.csv, read off by eye);
* the errors: landmarks of series that were left out of training, and the five lesions of the
  development set (deeplesion_windowed), which choose but do not train.

Writes ``retrieval/weights/position.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrieval.position.calibration import ErrorModel, HeightCalibration
from retrieval.position.frame import body_frame
from retrieval.position.learning.calibrate import (
    HeightCurve,
    SeriesHeights,
    height_curve,
    score_knots,
)
from retrieval.position.learning.recipe import load_height_recipe
from retrieval.position.locator import BUNDLED_CALIBRATION, BUNDLED_POSITION, BodyLocator
from retrieval.position.network_file import load_height_network
from retrieval.sources.deeplesion.png import read_deeplesion_png

LANDMARKS = Path(__file__).parent / "position_landmarks.csv"
WORDS = {"shape": "official rows", "z": "tags of reports", "errors": "left-out real series"}
FULL_HU = -900.0


def main() -> None:
    """Fits, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--weights", type=Path, default=BUNDLED_POSITION)
    parser.add_argument("--recipe", default="small", help="whose left-out series give the errors")
    parser.add_argument("--out", type=Path, default=BUNDLED_CALIBRATION)
    arguments = parser.parse_args()
    network, spec, header = load_height_network(arguments.weights)
    rows = official_rows(arguments.data)
    curve = height_curve(rows_by_series(rows))
    nothing = ErrorModel((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    unfitted = HeightCalibration((0.0, 1.0), (1.0, 0.0), (0.0, 1.0), nothing, header["fingerprint"])
    locator = BodyLocator(network, spec, unfitted)
    table = landmark_table(arguments.data, locator)
    left_out = tuple(load_height_recipe(arguments.recipe).data.left_out)
    is_left_out = np.array([str(name).startswith(left_out) for name in table["series"]])
    scores, knots = fit(curve, table[~is_left_out])
    development = development_lesions(arguments.data, locator)
    z_errors = errors_of(scores, knots, table[is_left_out], development)
    calibration = assembled(
        (scores, knots), header["fingerprint"], z_errors, development, table[is_left_out]
    )
    calibration.write(arguments.out)
    print(json.dumps({"error": asdict(calibration.error), **calibration.sources}, indent=1))


def official_rows(data: Path) -> pd.DataFrame:
    """Val and test rows without the sample's patients: patient, series, depth_mm, z, row."""
    rows = pd.read_csv(data / "DL_info_val_test_9816.csv")
    sample = pd.read_csv(data / "deeplesion_sample" / "DL_info.csv", usecols=["Patient_index"])
    location = rows["Normalized_lesion_location"].str.split(",", expand=True).astype(float)
    interval = rows["Spacing_mm_px_"].str.split(",").str[2].astype(float)
    rows = rows.assign(z=location[2], depth_mm=rows["Key_slice_index"] * interval)
    return rows[~rows["Patient_index"].isin(set(sample["Patient_index"]))]


def rows_by_series(rows: pd.DataFrame) -> list[SeriesHeights]:
    """The rows of each series that has two or more slices."""
    keys = ["Patient_index", "Study_index", "Series_ID"]
    return [
        SeriesHeights(part["depth_mm"].to_numpy(float), part["z"].to_numpy(float))
        for _, part in rows.drop_duplicates([*keys, "depth_mm"]).groupby(keys)
        if len(part) > 1
    ]


def landmark_z(data: Path) -> dict[str, tuple[float, int]]:
    """Median z and number of lesions by tag, the sample's patients left out."""
    every = pd.read_csv(data / "deeplesion_reconstructed_32735.csv.gz", low_memory=False)
    sample = pd.read_csv(data / "deeplesion_sample" / "DL_info.csv", usecols=["Patient_index"])
    usable = every["z_norm"].notna() & ~every["patient"].isin(set(sample["Patient_index"]))
    z = every["z_norm"].where(usable).to_numpy(float)
    tags = json.loads((data / "lesanet" / "text_mined_labels_171_and_split.json").read_text())
    names, found = tags["term_list"], {}
    for split in ("train", "val"):
        pairs = zip(tags[f"{split}_lesion_idxs"], tags[f"{split}_relevant_labels"], strict=True)
        for row, labels in pairs:
            for label in labels:
                if row < len(z) and np.isfinite(z[row]):
                    found.setdefault(names[label], []).append(z[row])
    return {tag: (float(np.median(values)), len(values)) for tag, values in found.items()}


def landmark_table(data: Path, locator: BodyLocator) -> pd.DataFrame:
    """The landmarks with their z and the network's score at their height."""
    known = landmark_z(data)
    table = pd.read_csv(LANDMARKS)
    scores = []
    for (source, series), marks in table.groupby(["source", "series"], sort=False):
        heights, values = series_scores(data / str(source), str(series), locator)
        # Runs of slices with gaps: the score between two of them is on the line that joins them.
        scores.append(pd.Series(np.interp(marks["height_mm"], heights, values), marks.index))
    return table.assign(z=[known[tag][0] for tag in table["landmark"]], score_mm=pd.concat(scores))


def series_scores(
    folder: Path, series: str, locator: BodyLocator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights in mm and single-slice scores of one series of a folder with an index."""
    index = pd.read_csv(folder / "index.csv")
    rows = index[index["path"].str.startswith(series + "/")].sort_values("slice")
    values = []
    for path, spacing in zip(rows["path"], rows["spacing_mm_px"], strict=True):
        hu = read_deeplesion_png(folder / path)
        values.append(locator.scores_mm(hu[None], (float(spacing),) * 2)[0])
    heights = (rows["slice"] * rows["slice_interval_mm"]).to_numpy(float)
    return heights, np.array(values)


def fit(curve: HeightCurve, table: pd.DataFrame) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The knots through the landmarks of the series trained on."""
    return score_knots(curve, table["z"].to_numpy(float), table["score_mm"].to_numpy(float))


def development_lesions(data: Path, locator: BodyLocator) -> pd.DataFrame:
    """The development set's lesions: true x, y, z, estimated x and y, score, and whether HU."""
    folder, found = data / "deeplesion_windowed", []
    for row in pd.read_csv(folder / "DL_info.csv").to_dict("records"):
        name = str(row["File_name"])
        hu = read_deeplesion_png(folder / "Images_png" / name[:-8] / name[-7:])
        spacing = tuple(float(v) for v in str(row["Spacing_mm_px_"]).split(","))[:2]
        x, y, z = (float(v) for v in str(row["Normalized_lesion_location"]).split(","))
        x1, y1, x2, y2 = (float(v) for v in str(row["Bounding_boxes"]).split(","))
        frame = body_frame(hu)
        assert frame is not None
        got = frame.normalised(((x1 + x2) / 2 - 1, (y1 + y2) / 2 - 1))
        score = locator.scores_mm(hu[None], spacing)[0]
        found.append(
            {"x": abs(got[0] - x), "y": abs(got[1] - y), "z": z, "score_mm": score,
             "has_air": hu.min() < FULL_HU, "name": name}
        )  # fmt: skip
    return pd.DataFrame(found)


def errors_of(
    scores: Sequence[float], knots: Sequence[float], *tables: pd.DataFrame
) -> NDArray[np.float64]:
    """|z estimated - z| of every left-out landmark and development lesion."""
    parts = [np.abs(np.interp(t["score_mm"], scores, knots) - t["z"]) for t in tables]
    return np.concatenate(parts)


def assembled(
    curve: tuple[tuple[float, ...], tuple[float, ...]],
    fingerprint: str,
    z_errors: NDArray[np.float64],
    development: pd.DataFrame,
    left_out: pd.DataFrame,
) -> HeightCalibration:
    """The calibration with its error model and what it was made from."""
    half, most = quantile(z_errors, 0.5), quantile(z_errors, 0.9)
    x, y = development["x"].to_numpy(float), development["y"].to_numpy(float)
    model = ErrorModel(
        (quantile(x, 0.5), quantile(y, 0.5), half), (quantile(x, 0.9), quantile(y, 0.9), most)
    )
    sources = {
        **WORDS,
        "left_out_landmarks": len(left_out),
        "left_out_series": int(left_out["series"].nunique()),
        "development_lesions": len(development),
        "z_errors": [round(float(e), 4) for e in np.sort(z_errors)],
        "coverage_leave_one_out": {str(level): coverage(z_errors, level) for level in (0.5, 0.9)},
    }
    heights = np.concatenate([left_out["z"], development["z"]])
    measured = (float(heights.min()), float(heights.max()))
    return HeightCalibration(*curve, measured, model, fingerprint, sources)


def quantile(errors: NDArray[np.float64], level: float) -> float:
    """The split-conformal quantile: the ceil((n + 1) level)-th smallest, at most the largest."""
    rank = min(int(np.ceil((len(errors) + 1) * level)), len(errors))
    return round(float(np.sort(errors)[rank - 1]), 4)


def coverage(errors: NDArray[np.float64], level: float) -> float:
    """Share of errors within the quantile of all others."""
    inside = [
        error <= quantile(np.delete(errors, number), level) for number, error in enumerate(errors)
    ]
    return round(float(np.mean(inside)), 3)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
