"""A measured lesion drawn: the outline and both lines on the key slice, the mark beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrieval.image import CT_HU, apply_window
from retrieval.segmentation.diameters import contours_of
from retrieval.segmentation.measuring import LesionMeasurement
from service.figures.vocabulary import NEAR_EXTENTS, NEAR_LEAST_MM, window_around

OUTLINE, LINES, MARK = "#ffb000", "#4cc9f0", "#ffffff"


def save_measurement(found: LesionMeasurement, path: Path) -> None:
    """Writes the key slice about the lesion with what was measured, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.3), layout="constrained")
    FigureCanvasAgg(figure)
    draw_measurement(figure.subplots(), found)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, format="png")


def draw_measurement(axes: Any, found: LesionMeasurement, title: str = "") -> None:
    """Draws a measurement into axes of matplotlib.

    The network's outline is drawn through, an ellipse dashed; the measured lines in blue, a RECIST
    mark that was given in white.
    """
    slab, lesion = found.slab, found.lesion
    values = lesion.values[slab.key_slice - lesion.first]
    rows, columns = np.nonzero(values > 0.5)
    x, y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    extent = max(found.diameters.long_mm, found.prompt.long_mm)
    half = max(NEAR_EXTENTS * extent, NEAR_LEAST_MM) / 2
    half_x, half_y = half / slab.spacing_mm_px[0], half / slab.spacing_mm_px[1]
    plane = slab.hu[slab.key_slice]
    near = plane[
        max(int(y - half_y), 0) : int(y + half_y) + 1, max(int(x - half_x), 0) : int(x + half_x) + 1
    ]
    axes.imshow(
        apply_window(plane, *CT_HU.windows[window_around(near)]),
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect=slab.spacing_mm_px[1] / slab.spacing_mm_px[0],
    )
    style = "-" if found.method.value == "network" else "--"
    for path in contours_of(values):
        axes.plot(path[:, 0], path[:, 1], style, color=OUTLINE, lw=1.2)
    _lines(axes, found.diameters.recist.points, LINES)
    if found.marked is not None:
        _lines(axes, found.marked.recist.points, MARK, ":")
    axes.set_xlim(x - half_x, x + half_x)
    axes.set_ylim(y + half_y, y - half_y)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title or _title(found), fontsize=8)


def _lines(axes: Any, points: Any, colour: str, style: str = "-") -> None:
    for first, second in (points[:2], points[2:]):
        axes.plot([first[0], second[0]], [first[1], second[1]], style, color=colour, lw=1.0)


def _title(found: LesionMeasurement) -> str:
    long, short = found.values["long_mm"], found.values["short_mm"]
    text = f"{long.value:.1f} x {short.value:.1f} mm"
    if long.interval_90 is not None:
        text += f" (long 90 %: {long.interval_90[0]:.1f} to {long.interval_90[1]:.1f})"
    return text if found.method.value == "network" else text + ", ellipse"
