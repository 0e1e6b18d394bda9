"""Gut: walls, and contents that settle: gas in front, fluid or stool behind."""

from __future__ import annotations

import numpy as np

from retrieval.sources.phantom.anatomy import Anatomy
from retrieval.sources.phantom.canvas import Canvas
from retrieval.sources.phantom.organs import HOLLOW
from retrieval.sources.phantom.points import Floats
from retrieval.sources.phantom.tissues import Tissue

WALL_MM = 2.6
GAS_HU, WATER_HU = -960.0, 14.0


def paint_gut(canvas: Canvas, anatomy: Anatomy, belly: Floats) -> None:
    """All loops of gut within the belly."""
    for number, name in enumerate(HOLLOW):
        distance = canvas.tube_distance(anatomy.organs.tubes[name])
        if distance is None:
            continue
        folds = np.float32(1.2) * canvas.grain(4.0, 20)
        canvas.paint(canvas.covered(distance) * belly, canvas.tissue(Tissue.GUT_WALL))
        lumen = canvas.covered(distance + np.float32(WALL_MM) + folds) * belly
        canvas.paint(lumen, _contents(canvas, anatomy, number, name))


def _contents(canvas: Canvas, anatomy: Anatomy, number: int, name: str) -> Floats:
    """HU of what fills a loop; it varies along the gut and between patients."""
    mottle = canvas.grain(2.2, 21)
    filling = canvas.grain(15.0, 22 + number)
    stool = name.startswith(("colon", "sigmoid", "rectum"))
    fluid = WATER_HU + 6 * mottle
    if stool:
        fluid = fluid + 25 + 45 * mottle - 330 * np.clip(mottle - 1.0, 0, 1)
    elif anatomy.oral_hu:
        fluid = fluid + np.float32(anatomy.oral_hu) * np.clip(filling + 0.6, 0, 1)
    front = -canvas.grid.points.y / 60
    share = anatomy.gas * (1.5 if stool else 0.8)
    level = filling + front + np.float32(2.2 * share - 2.0)
    gas = np.clip(level * 8, 0, 1)
    return np.asarray(fluid + gas * (GAS_HU - fluid), np.float32)
