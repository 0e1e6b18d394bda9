"""Lines that put the heights of known series on one common scale of millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

ANCHORS = Path(__file__).parent / "anchors.csv"


@dataclass(frozen=True, slots=True)
class Anchor:
    """Common millimetres = slope * the series' own + offset_mm."""

    slope: float
    offset_mm: float


@cache
def anchors() -> dict[str, Anchor]:
    """The anchor of every series whose landmarks were read off, by the series' name."""
    table = pd.read_csv(ANCHORS)
    return {
        str(row["series"]): Anchor(float(row["slope"]), float(row["offset_mm"]))
        for row in table.to_dict("records")
    }
