"""A few made series of simple bodies, and a network trained on them for two steps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

SERIES, SLICES, INTERVAL = 7, 9, 20.0


def body_slice(height_mm: float, width: float = 70.0) -> np.ndarray:
    """(200, 240) HU: an ellipse that narrows towards the head, with lungs above 100 mm."""
    y, x = np.mgrid[:200, :240]
    hu = np.full((200, 240), -1000.0, np.float32)
    reach = width * (1.2 - height_mm / 600)
    hu[((x - 120) / reach) ** 2 + ((y - 100) / (0.7 * reach)) ** 2 <= 1] = 40.0
    if height_mm > 100:
        for side in (-1, 1):
            lung = ((x - 120 - side * 0.45 * reach) / (0.3 * reach)) ** 2
            hu[lung + ((y - 100) / (0.4 * reach)) ** 2 <= 1] = -850.0
    return hu


@pytest.fixture(scope="session")
def series_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``index.csv`` and PNGs of seven series of nine slices; one more is too short."""
    root = tmp_path_factory.mktemp("series")
    rows = []
    for number in range(SERIES + 1):
        name = f"made/patient_{number}"
        (root / name).mkdir(parents=True)
        for position in range(SLICES if number < SERIES else 3):
            hu = body_slice(position * INTERVAL, 60 + 3 * number)
            path = f"{name}/{position:03d}.png"
            cv2.imwrite(str(root / path), (hu + 32768).astype(np.uint16))
            rows.append((path, f"patient_{number}", position, 1.0, INTERVAL))
    columns = ["path", "patient", "slice", "spacing_mm_px", "slice_interval_mm"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "index.csv", index=False)
    return root
