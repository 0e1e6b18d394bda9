"""How well anchors fit DeepLesion's official boxes; no pixels are needed.

    python benchmarks/anchors.py --rows DL_info_val_test_9816.csv

Fitted on the rows of the validation split, shown for both. Printed are the mean IoU of a box with
its best anchor and the share of boxes under an IoU of 0.5, in image pixels and, for this
project's detectors, in millimetres with the padding that their grid has. Writes
benchmarks/results/anchors.json.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.detection.parts.anchors import (
    TORCHVISION,
    AnchorSearch,
    AnchorShapes,
    anchor_fit,
    fitted_anchors,
)
from retrieval.lesion import BOX_PADDING_PX
from retrieval.patch import CANONICAL_PADDING_MM

RESULT = Path(__file__).parent / "results" / "anchors.json"
VALIDATION, TEST = "2", "3"
GRID_MAPS = (8.0, 16.0, 32.0, 64.0)
"""Sides in mm of the smallest anchors of a pyramid from stride 4 on a 1 mm grid."""


def main() -> None:
    """Fits and measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    by_split = {split: _sides(arguments.rows, split) for split in (VALIDATION, TEST)}
    results = {}
    for place, unit in enumerate(("pixels", "millimetres")):
        sides = {split: both[place] for split, both in by_split.items()}
        search = AnchorSearch() if unit == "pixels" else AnchorSearch(base_px=GRID_MAPS)
        fitted = fitted_anchors(sides[VALIDATION], search, np.random.default_rng(arguments.seed))
        candidates = {"torchvision's default": TORCHVISION} if unit == "pixels" else {}
        candidates["one square a map, 3 ratios"] = AnchorShapes(
            search.base_px, (1.0,), (0.5, 1.0, 2.0)
        )
        candidates["two sizes a map, 3 ratios"] = AnchorShapes(
            search.base_px, (1.0, 1.35), (0.6, 1.0, 1.7)
        )
        candidates["differential evolution"] = fitted
        results[unit] = {
            name: {
                **asdict(shapes),
                "validation": asdict(anchor_fit(sides[VALIDATION], shapes)),
                "test": asdict(anchor_fit(sides[TEST], shapes)),
            }
            for name, shapes in candidates.items()
        }
    arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


def _sides(rows: Path, split: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) widths and heights of a split's boxes, in image pixels and on a grid of 1 mm."""
    pixels, millimetres = [], []
    with rows.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Train_Val_Test"] == split:
                x1, y1, x2, y2 = (float(edge) for edge in row["Bounding_boxes"].split(","))
                spacing = float(row["Spacing_mm_px_"].split(",")[0])
                size = np.array([x2 - x1, y2 - y1])
                pixels.append(size)
                bare = np.maximum(size - 2 * BOX_PADDING_PX, 1) * spacing
                millimetres.append(bare + 2 * CANONICAL_PADDING_MM)
    return np.array(pixels), np.array(millimetres)


if __name__ == "__main__":
    main()
