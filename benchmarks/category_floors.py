"""What categories must beat: position and size alone against the types of the official rows.

    python benchmarks/category_floors.py DL_info_val_test_9816.csv

The rows of DeepLesion's validation and test splits, without pixels. As many clusters as types (8)
by k-means of what the table gives, one vote a lesion, since the table knows no tracks; intervals
over patients. Writes benchmarks/results/category_floors.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from retrieval.evaluation.labels.categories import (
    FOUND,
    JudgedTracks,
    evaluate_categories,
)
from retrieval.sources.deeplesion.table import read_lesion_table

RESULT = Path(__file__).parent / "results" / "category_floors.json"
COUNT = 8
SEED = 0


def main() -> None:
    """Measures, writes and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("table", type=Path)
    given = options.parse_args()
    lesions = [row.lesion for row in read_lesion_table(given.table).rows]
    generator = np.random.default_rng(SEED)
    splits = [one.split.value for one in lesions]
    halves = np.unique(splits, return_inverse=True)[1].astype(np.int64)
    judged = JudgedTracks(lesions, halves, ["DeepLesion"] * len(lesions))
    found = evaluate_categories(judged, COUNT, {}, generator).to_json()
    # The official split stands in for categories: it must agree with no type.
    found["methods"]["official split"] = found["methods"].pop(FOUND)
    text = json.dumps(found, indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")
    for method, scores in found["methods"].items():
        print(method, {name: score["value"] for name, score in scores.items()})


if __name__ == "__main__":
    main()
