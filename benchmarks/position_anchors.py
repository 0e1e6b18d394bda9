"""Puts the series that train the height network on one scale of millimetres.

    python benchmarks/position_anchors.py --data shared/data

Each series has heights in mm from an origin of its own. Landmarks read off by eye
(benchmarks/position_landmarks.csv) tie them together: the z of a landmark is the median of the
lesions that reports place there, and the curve of official rows turns z into millimetres. A line
per series, its slope from landmarks that lie 140 mm or more apart, else 1. Writes
``retrieval/position/learning/anchors.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from position_calibration import LANDMARKS, landmark_z, official_rows, rows_by_series
from scipy.stats import theilslopes

from retrieval.position.learning.anchors import ANCHORS
from retrieval.position.learning.calibrate import height_curve

MIDDLE_Z = 0.6
"""Where the common scale has its 0: the adrenal glands."""

LONG_MM = 140.0
SLOPES = (0.85, 1.18)


def main() -> None:
    """Fits a line per series and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--out", type=Path, default=ANCHORS)
    arguments = parser.parse_args()
    curve = height_curve(rows_by_series(official_rows(arguments.data)))
    known = landmark_z(arguments.data)
    table = pd.read_csv(LANDMARKS)
    z = np.array([known[tag][0] for tag in table["landmark"]])
    table["common_mm"] = curve.below(np.array([MIDDLE_Z])) - curve.below(z)
    rows = []
    for series, marks in table.groupby("series", sort=True):
        heights, common = marks["height_mm"].to_numpy(float), marks["common_mm"].to_numpy(float)
        slope = 1.0
        if np.ptp(heights) >= LONG_MM:
            slope = float(np.clip(theilslopes(common, heights)[0], *SLOPES))
        offset = float(np.median(common - slope * heights))
        rest = common - slope * heights - offset
        rows.append((series, round(slope, 3), round(offset, 1), round(np.abs(rest).max(), 1)))
    columns = ["series", "slope", "offset_mm", "worst_landmark_mm"]
    pd.DataFrame(rows, columns=columns).to_csv(arguments.out, index=False)
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
