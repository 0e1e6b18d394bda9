"""Gut: walls, and contents that settle: gas in front, fluid or stool behind."""

from __future__ import annotations

import numpy as np

from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.canvas import Canvas
from retrieval.synthesis.phantom.body.organs import HOLLOW
from retrieval.synthesis.phantom.body.points import Floats, Window
from retrieval.synthesis.phantom.body.tissues import Tissue

WALL_MM = 2.6
GAS_HU, WATER_HU = -960.0, 14.0


def paint_gut(canvas: Canvas, anatomy: Anatomy, belly: Floats) -> None:
    """All loops of gut within the belly."""
    for number, name in enumerate(HOLLOW):
        loop = canvas.near(anatomy.organs.tubes[name])
        if loop is None:
            continue
        window = loop.window
        folds = np.float32(1.2) * canvas.grain(4.0, 20)[window]
        inside = belly[window]
        wall = canvas.covered(loop.distance) * inside
        canvas.paint_at(window, wall, canvas.tissue(Tissue.GUT_WALL))
        lumen = canvas.covered(loop.distance + np.float32(WALL_MM) + folds) * inside
        canvas.paint_at(window, lumen, _contents(canvas, anatomy, number, window))


def _contents(canvas: Canvas, anatomy: Anatomy, number: int, window: Window) -> Floats:
    """HU of what fills a loop; it varies along the gut and between patients."""
    mottle = canvas.grain(2.2, 21)[window]
    filling = canvas.grain(15.0, 22 + number)[window]
    stool = HOLLOW[number].startswith(("colon", "sigmoid", "rectum"))
    fluid = WATER_HU + 6 * mottle
    if stool:
        fluid = fluid + 25 + 45 * mottle - 330 * np.clip(mottle - 1.0, 0, 1)
    elif anatomy.oral_hu:
        fluid = fluid + np.float32(anatomy.oral_hu) * np.clip(filling + 0.6, 0, 1)
    front = -canvas.grid.points.y[window] / 60
    share = anatomy.gas * (1.5 if stool else 0.8)
    level = filling + front + np.float32(2.2 * share - 2.0)
    gas = np.clip(level * 8, 0, 1)
    return np.asarray(fluid + gas * (GAS_HU - fluid), np.float32)
