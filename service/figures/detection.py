"""Proposals drawn on their slices: numbered boxes under the windows a reader would choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from retrieval.image import CT_HU, Slab, apply_window
from retrieval.lesion import Box
from retrieval.tissue import body_mask
from service.figures.colours import HIT_COLOUR, QUERY_COLOUR
from service.figures.query import (
    BACKGROUND,
    FAINT,
    GAP,
    MARGIN,
    PANEL_EDGE,
    SCALE_BAR_MM,
    TOP,
    Sheet,
)

SHOWN_SLICES = 6
ONE_SLICE, SEVERAL_SLICES = 5.6, 3.7
"""Inches of a picture's side."""

AERATED_HU = -500.0
AERATED_SHARE = 0.15
"""A slice with this share of its body aerated is read under the lung window too."""

VIEW_MARGIN_MM = 12.0

NumberedBoxes = Sequence[tuple[int, Box, float]]
"""Rank, box and score."""


def draw_proposals(slab: Slab, boxes: Mapping[int, NumberedBoxes], *, note: str = "") -> Figure:
    """One picture of each slice and window, the slices with the best proposals first.

    Args:
        slab: the slices.
        boxes: position in the slab -> what lies there; at most SHOWN_SLICES slices are drawn.
        note: a small line at the foot.
    """
    ordered = sorted(boxes.items(), key=lambda item: min((rank for rank, *_ in item[1]), default=0))
    shown = ordered[:SHOWN_SLICES]
    pictures = [
        (position, window, numbered)
        for position, numbered in shown
        for window in reading_windows(slab, position)
    ]
    side = ONE_SLICE if len(pictures) <= 2 else SEVERAL_SLICES
    across = min(len(pictures), 2 if len(pictures) <= 4 else 3)
    rows = math.ceil(len(pictures) / max(across, 1))
    width = 2 * MARGIN + max(across, 1) * (side + GAP) - GAP
    sheet = Sheet(width, TOP + rows * (side + 0.42) + 0.2)
    sheet.text(MARGIN, 0.16, _title(boxes), fontsize=13, fontweight="bold")
    for place, (position, window, numbered) in enumerate(pictures):
        row, column = divmod(place, across)
        x, y = MARGIN + column * (side + GAP), TOP + row * (side + 0.42)
        words = f"slice {slab.grid.to_file_slice(position)} · {window} window"
        sheet.text(x, y - 0.2, words, FAINT, fontsize=9.5)
        _draw_slice(sheet.axes(x, y, side), slab, position, window, numbered)
    sheet.note(f"{note} · not a medical device" if note else "not a medical device")
    return sheet.figure


def reading_windows(slab: Slab, position: int) -> tuple[str, ...]:
    """The windows of a slice: soft tissue, and lung where much of the body is aerated."""
    plane = slab.hu[position]
    body = body_mask(plane)
    aerated = np.count_nonzero(plane[body] < AERATED_HU)
    chest = aerated > AERATED_SHARE * max(int(np.count_nonzero(body)), 1)
    return ("soft tissue", "lung") if chest else ("soft tissue",)


def _title(boxes: Mapping[int, NumberedBoxes]) -> str:
    count = sum(len(numbered) for numbered in boxes.values())
    if count == 0:
        return "No proposal"
    slices = sum(bool(numbered) for numbered in boxes.values())
    where = "one slice" if slices == 1 else f"{slices} slices"
    return f"{count} proposals on {where}, best first"


def _draw_slice(
    axes: Axes, slab: Slab, position: int, window: str, numbered: NumberedBoxes
) -> None:
    low, high = CT_HU.windows[window]
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(PANEL_EDGE)
    x_mm, y_mm = slab.spacing_mm_px
    grey = apply_window(slab.hu[position], low, high)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, aspect=y_mm / x_mm, interpolation="lanczos")
    left, top, across = _view(slab, position)
    axes.set_xlim(left, left + across / x_mm)
    axes.set_ylim(top + across / y_mm, top)
    # The best is drawn last, so that it lies on top.
    for rank, box, _ in sorted(numbered, key=lambda one: -one[0]):
        colour = QUERY_COLOUR if rank == 1 else HIT_COLOUR
        corner = (box.x1, box.y1)
        axes.add_patch(Rectangle(corner, box.width, box.height, fill=False, ec=colour, lw=1.5))
        axes.text(
            box.x1,
            box.y1 - 1,
            str(rank),
            color=BACKGROUND,
            fontsize=7.5,
            fontweight="bold",
            va="bottom",
            clip_on=True,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.2},
        )
    end, foot = left + across / x_mm, top + across / y_mm
    start = left + 0.03 * (end - left)
    y = foot - 0.03 * (foot - top)
    axes.plot([start, start + SCALE_BAR_MM / x_mm], [y, y], color="white", lw=2)
    words: dict[str, Any] = {"color": "white", "fontsize": 8, "va": "center"}
    axes.text(start + (SCALE_BAR_MM + 4) / x_mm, y, f"{SCALE_BAR_MM:.0f} mm", **words)


def _view(slab: Slab, position: int) -> tuple[float, float, float]:
    """Left and top pixel of a square view of the body, and its side in mm."""
    body = body_mask(slab.hu[position])
    if not body.any():
        body = np.ones_like(body)
    x_mm, y_mm = slab.spacing_mm_px
    top, bottom = _ends(np.asarray(body.any(axis=1)))
    left, right = _ends(np.asarray(body.any(axis=0)))
    middle = (left + right) / 2, (top + bottom) / 2
    across = max((right - left + 1) * x_mm, (bottom - top + 1) * y_mm) + 2 * VIEW_MARGIN_MM
    return middle[0] - across / x_mm / 2, middle[1] - across / y_mm / 2, across


def _ends(occupied: NDArray[Any]) -> tuple[int, int]:
    places = np.flatnonzero(occupied)
    return int(places[0]), int(places[-1])
