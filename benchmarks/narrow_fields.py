"""How far a location is off where a narrow field of view cuts the body off.

    python benchmarks/narrow_fields.py --data REAL_DATA

DeepLesion's x and y are shares of the body that the image shows, and its z was told from that
image: where the field of view is narrow, all three are those of another place. Two measurements,
neither of which opens an image that evaluates:

* given locations: official val and test rows without pixels, the patients of the samples and of
  the Deep Longitudinal Study's test half left out. Mediastinal lesions lie in one small region, so
  the error is how far their middle is shifted against that of wide fields, and what they scatter
  more than those;
* estimated heights: whole slices of ``real_ct_1mm`` and ``real_ct_extra``, cut to a narrow field
  about a point of the inner body, against the height told from the whole slice.

Writes benchmarks/results/narrow_fields.json; the numbers stand in
``retrieval/position/narrow_field.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from dls_matching import EVALUATED_ELSEWHERE, halves, labelled
from matcher_scatter import SAMPLES
from numpy.typing import NDArray

from retrieval.body import body_region
from retrieval.position.locator import BodyLocator
from retrieval.sources.deeplesion.png import read_deeplesion_png

RESULT = Path(__file__).parent / "results" / "narrow_fields.json"
MEDIASTINUM = 3
WIDE_MM = 350.0
FIELDS_MM = ((200.0, 260.0), (260.0, 300.0), (300.0, 350.0))
CUT_MM = (160.0, 200.0, 230.0, 280.0, 325.0, 375.0)
SLICES_A_SERIES = 6
INNER = 0.3
"""A lesion's point lies within this share of the body's box from its middle."""
OFF_CENTRE = 0.1
"""The point lies off the middle of the field by about this share of it."""
SIDE_PX = 512
DEVIATIONS_OF_90_PERCENT = 1.645


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    data = parser.parse_args().data
    cv2.setNumThreads(1)
    report = {"given": given_locations(data), "estimated z": estimated_heights(data)}
    RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def mediastinal_rows(data: Path) -> pd.DataFrame:
    """x, y, z and field of view in mm of the official rows that may be used."""
    table = data / "DL_info_val_test_9816.csv"
    patients = labelled(data / "dls_valid.json", table)
    patients.pop(EVALUATED_ELSEWHERE, None)
    _, test = halves(patients)
    out = SAMPLES | {int(name) for name in test}
    rows = pd.read_csv(table)
    rows = rows[(rows["Coarse_lesion_type"] == MEDIASTINUM) & ~rows["Patient_index"].isin(out)]
    place = rows["Normalized_lesion_location"].str.split(",", expand=True).astype(float)
    spacing = rows["Spacing_mm_px_"].str.split(",").str[0].astype(float)
    columns = {"x": place[0], "y": place[1], "z": place[2], "field_mm": spacing * SIDE_PX}
    return rows[["Patient_index"]].assign(**columns)


def given_locations(data: Path) -> list[dict[str, Any]]:
    """By field of view: rows, patients, middle, and the error of x, y and z."""
    rows = mediastinal_rows(data)
    wide = rows[rows["field_mm"] >= WIDE_MM]
    found = []
    for low, high in FIELDS_MM:
        some = rows[(rows["field_mm"] >= low) & (rows["field_mm"] < high)]
        errors = [_error(some[axis], wide[axis]) for axis in ("x", "y", "z")]
        found.append(
            {
                "field_mm": [low, high],
                "median_field_mm": round(float(some["field_mm"].median()), 1),
                "rows": len(some),
                "patients": int(some["Patient_index"].nunique()),
                "shift": [round(float(some[a].median() - wide[a].median()), 4) for a in "xyz"],
                "error": errors,
            }
        )
    return found


def _error(narrow: pd.Series, wide: pd.Series) -> float:
    """The root of the squared shift of the median, and of what the squared spread exceeds."""
    shift = float(narrow.median() - wide.median())
    spread = [float(one.quantile(0.95) - one.quantile(0.05)) / 2 for one in (narrow, wide)]
    more = max(spread[0] ** 2 - spread[1] ** 2, 0.0) / DEVIATIONS_OF_90_PERCENT**2
    return round(float(np.sqrt(shift**2 + more)), 4)


def estimated_heights(data: Path) -> list[dict[str, Any]]:
    """By field of view: slices, their shift of z, and its error, where the body is cut off."""
    locator, generator = BodyLocator.load(), np.random.default_rng(5)
    shifts: dict[float, list[float]] = {field: [] for field in CUT_MM}
    for hu, mm in whole_slices(data):
        whole = _height(locator, hu, mm)
        for field in CUT_MM:
            narrow = cut(hu, mm, field, generator)
            if whole is None or narrow is None:
                continue
            seen = _height(locator, narrow, field / SIDE_PX)
            if seen is not None:
                shifts[field].append(seen - whole)
    return [
        {
            "field_mm": field,
            "slices": len(some),
            "shift": round(float(np.median(some)), 4),
            "error": round(float(np.quantile(np.abs(some), 0.9)) / DEVIATIONS_OF_90_PERCENT, 4),
        }
        for field, some in shifts.items()
    ]


def whole_slices(data: Path) -> Iterator[tuple[NDArray[np.float32], float]]:
    """A few slices of every series, and their pixel's side in mm."""
    for source in ("real_ct_1mm", "real_ct_extra"):
        index = pd.read_csv(data / source / "index.csv")
        series = index["path"].str.rsplit("/", n=1).str[0]
        for _, rows in index.groupby(series):
            some = rows.sample(min(len(rows), SLICES_A_SERIES), random_state=1)
            for path, mm in zip(some["path"], some["spacing_mm_px"], strict=True):
                yield read_deeplesion_png(data / source / path).astype(np.float32), float(mm)


def cut(
    hu: NDArray[np.float32], mm: float, field_mm: float, generator: np.random.Generator
) -> NDArray[np.float32] | None:
    """A square field about a point of the inner body; None where it does not cut the body off."""
    region = body_region(hu, (mm, mm))
    if region is None:
        return None
    side = round(field_mm / mm)
    (x, y), box = region.box.center, region.box
    off = generator.uniform(-INNER, INNER, 2) * (box.width, box.height)
    off += generator.normal(0.0, OFF_CENTRE * side, 2)
    left, top = round(x + off[0] - side / 2), round(y + off[1] - side / 2)
    around = np.pad(hu, side, constant_values=-1024.0)
    shown = around[top + side : top + 2 * side, left + side : left + 2 * side]
    narrow = np.asarray(cv2.resize(shown, (SIDE_PX, SIDE_PX)), np.float32)
    seen = body_region(narrow, (field_mm / SIDE_PX,) * 2)
    return narrow if seen is not None and any(seen.touches_edge) else None


def _height(locator: BodyLocator, hu: NDArray[np.float32], mm: float) -> float | None:
    score = locator.scores_mm(hu[None], (mm, mm))
    return float(locator.calibration.z_of(score)[0]) if np.isfinite(score[0]) else None


if __name__ == "__main__":
    main()
