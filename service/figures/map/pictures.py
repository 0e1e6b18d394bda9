"""Pictures of an embedding space: the map by type, size and height, and one lesion's neighbours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from index.reports import Neighbour
from retrieval.lesion import Lesion, LesionType
from service.figures.colours import QUERY_COLOUR
from service.figures.map.projection import EmbeddingMap, MapError
from service.figures.map.space import EmbeddingSpace
from service.figures.pictures import LesionPictures
from service.figures.query import Panel, draw_query_figure
from service.figures.result_panels import size_text

TYPE_COLOURS = {
    LesionType.BONE: "#8c6d4f",
    LesionType.ABDOMEN: "#e6a700",
    LesionType.MEDIASTINUM: "#c1407f",
    LesionType.LIVER: "#c43c2b",
    LesionType.LUNG: "#2f7fc1",
    LesionType.KIDNEY: "#6a4fb3",
    LesionType.SOFT_TISSUE: "#2f9e6e",
    LesionType.PELVIS: "#47b5c4",
    LesionType.UNKNOWN: "#c4c8cc",
}
PLAIN = StrMethodFormatter("{x:g}")
UNKNOWN_COLOUR = TYPE_COLOURS[LesionType.UNKNOWN]


def draw_map(space: EmbeddingSpace, found: EmbeddingMap) -> Figure:
    """Three views of one map: coloured by lesion type, by long diameter and by body height z."""
    figure = Figure(figsize=(15, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    by_type, by_size, by_height = figure.subplots(1, 3)
    dot = float(np.clip(6000 / len(found.points), 2, 36))
    types = [lesion.lesion_type for lesion in space.lesions]
    for lesion_type, rows in _rows_by_type(types).items():
        points, colour = found.points[rows], TYPE_COLOURS[lesion_type]
        by_type.scatter(*points.T, color=colour, s=dot, label=f"{lesion_type} ({len(rows)})")
    by_type.legend(fontsize=8, frameon=False, markerscale=1.5, loc="best")
    sizes = _known([lesion.long_mm for lesion in space.lesions])
    heights = _known([lesion.location and lesion.location[2] for lesion in space.lesions])
    for axes, values, norm in (
        (by_size, sizes, LogNorm()),
        (by_height, heights, Normalize()),
    ):
        if drawn := _coloured(axes, found.points, values, norm, dot=dot):
            scale = figure.colorbar(drawn, ax=axes, fraction=0.04, pad=0.02)
            scale.ax.tick_params(which="both", labelsize=8)
            scale.ax.yaxis.set_major_formatter(PLAIN)
            scale.ax.yaxis.set_minor_formatter(PLAIN)
    titles = ("lesion type", "long diameter, mm", "body height z (0 head, 1 feet)")
    for axes, title in zip((by_type, by_size, by_height), titles, strict=True):
        axes.set_title(title, fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.supxlabel(
        f"{found.method.value.upper()} of {len(found.points)} lesions. {found.note}", fontsize=9
    )
    return figure


def hover_map(space: EmbeddingSpace, found: EmbeddingMap) -> Any:
    """The map coloured by type as a plotly figure whose dots tell their lesion ids.

    Raises:
        MapError: plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure as PlotlyFigure
    except ImportError:
        raise MapError(
            "plotly is not installed: pip install 'lesion-search[notebooks]', or use draw_map"
        ) from None
    figure = PlotlyFigure(layout={"width": 760, "height": 620, "template": "plotly_white"})
    for lesion_type, rows in _rows_by_type([one.lesion_type for one in space.lesions]).items():
        lesions = [space.lesions[row] for row in rows]
        figure.add_scattergl(
            x=found.points[rows, 0].tolist(),
            y=found.points[rows, 1].tolist(),
            mode="markers",
            marker={"color": TYPE_COLOURS[lesion_type], "size": 6},
            name=str(lesion_type),
            text=[f"{lesion.lesion_id}<br>{size_text(lesion)}" for lesion in lesions],
            hoverinfo="text+name",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def draw_neighbours(
    lesion: Lesion, neighbours: Sequence[Neighbour], pictures: LesionPictures
) -> Figure:
    """A lesion and its nearest lesions of other patients; raises PictureError without pixels."""
    query = Panel(
        "Chosen lesion",
        _words(lesion),
        pictures.slab(lesion.lesion_id),
        lesion.box,
        lesion.lesion_type,
        QUERY_COLOUR,
    )
    hits = [
        Panel(
            f"{rank}    {near.similarity:.3f}",
            _words(near.lesion),
            pictures.slab(near.lesion.lesion_id),
            near.lesion.box,
            near.lesion.lesion_type,
        )
        for rank, near in enumerate(neighbours, start=1)
    ]
    return draw_query_figure(query, hits, note="not a medical device")


def figure_png(figure: Figure, *, dots_per_inch: int = 80) -> bytes:
    """The figure as PNG, small enough to be kept in a notebook."""
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=dots_per_inch, facecolor=figure.get_facecolor())
    return written.getvalue()


def _words(lesion: Lesion) -> tuple[str, ...]:
    return f"{lesion.lesion_type} · {size_text(lesion)}", f"patient {lesion.patient_id}"


def _rows_by_type(types: Sequence[LesionType]) -> dict[LesionType, list[int]]:
    """Rows of each type that occurs, unknown first: it is drawn below the others."""
    order = [LesionType.UNKNOWN, *(one for one in LesionType if one is not LesionType.UNKNOWN)]
    rows = {one: [row for row, kind in enumerate(types) if kind is one] for one in order}
    return {one: found for one, found in rows.items() if found}


def _known(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _coloured(
    axes: Axes,
    points: NDArray[np.float32],
    values: NDArray[np.float64],
    norm: Normalize,
    *,
    dot: float,
) -> PathCollection | None:
    """Dots coloured by a number, grey where it is unknown; None where it is nowhere known."""
    known = ~np.isnan(values)
    x, y = points.T
    axes.scatter(x[~known], y[~known], color=UNKNOWN_COLOUR, s=dot)
    if not known.any():
        return None
    return axes.scatter(x[known], y[known], c=values[known], norm=norm, s=dot)
