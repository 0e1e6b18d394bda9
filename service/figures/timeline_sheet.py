"""The dark page of a timeline: a grid of studies and lesion tracks, measured in inches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from retrieval.patch import PatchSpec
from service.figures.query import BACKGROUND, MARGIN, PANEL_EDGE, TEXT, Panel, draw_picture

# Inches: a picture, one study's column, one track's row, and the bands above and below the rows.
PICTURE, COLUMN, ROW = 1.18, 1.66, 1.98
LABELS, HEADER, CHART, FOOT = 1.5, 1.28, 2.75, 0.86
LEAST_WIDTH = 8.6
FAN = 2.5
"""Width of the column of forecasts."""


@dataclass(frozen=True)
class Place:
    """The middle of a picture, in inches from the page's top-left corner."""

    x: float
    y: float


class TimelineSheet:
    """A page for ``columns`` studies and ``rows`` tracks, with a column of fans if wanted."""

    def __init__(self, columns: int, rows: int, *, with_fans: bool = False) -> None:
        self.fans_x = MARGIN + LABELS + columns * COLUMN + 0.25
        own = self.fans_x - 0.25 + (FAN if with_fans else 0.0)
        self.width = max(LEAST_WIDTH, own + MARGIN)
        self.height = HEADER + rows * ROW + CHART + FOOT
        self.figure = Figure(figsize=(self.width, self.height), facecolor=BACKGROUND)
        FigureCanvasAgg(self.figure)
        self.chart_top = HEADER + rows * ROW
        self._ground: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0), zorder=0)
        self._ground.set_xlim(0, self.width)
        self._ground.set_ylim(self.height, 0)
        self._ground.set_axis_off()

    def column_x(self, column: int) -> float:
        """The middle of a study's column."""
        return MARGIN + LABELS + (column + 0.5) * COLUMN

    def place(self, row: int, column: int) -> Place:
        """The middle of the picture of a track in a study."""
        return Place(self.column_x(column), HEADER + row * ROW + 0.3 + PICTURE / 2)

    def text(self, x: float, y: float, words: str, colour: str = TEXT, **style: Any) -> None:
        """Words whose top-left corner is there, unless the style says otherwise."""
        self._ground.text(x, y, words, color=colour, **{"va": "top", **style})

    def line(self, start: Place, end: Place, colour: str, *, dashed: bool = False) -> None:
        """A line behind the pictures; between two rows it leaves and arrives level."""
        style: dict[str, Any] = {"color": colour, "lw": 2.0, "ls": (0, (3, 2)) if dashed else "-"}
        if start.y == end.y:
            self._ground.plot([start.x, end.x], [start.y, end.y], **style)
            return
        bend = f"arc,angleA=0,angleB=180,armA={14},armB={14},rad=8"
        curve = FancyArrowPatch(
            (start.x + PICTURE / 2, start.y),
            (end.x - PICTURE / 2, end.y),
            arrowstyle="-",
            connectionstyle=bend,
            shrinkA=0,
            shrinkB=0,
            **style,
        )
        self._ground.add_patch(curve)

    def rule(self, y: float) -> None:
        """A faint line across the page."""
        self._ground.plot([MARGIN, self.width - MARGIN], [y, y], color=PANEL_EDGE, lw=0.8)

    def dot(self, place: Place, colour: str) -> None:
        """A hollow mark where a picture would be."""
        self._ground.plot(
            [place.x], [place.y], "o", ms=9, mfc=BACKGROUND, mec=colour, mew=1.6, zorder=3
        )

    def picture(self, place: Place, panel: Panel, spec: PatchSpec) -> None:
        """The panel's picture with a frame of its colour."""
        axes = self.axes(place.x - PICTURE / 2, place.y - PICTURE / 2, PICTURE, PICTURE)
        draw_picture(axes, panel, spec=spec, name_window=False)
        for spine in axes.spines.values():
            spine.set_color(panel.colour)
            spine.set_linewidth(1.4)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose top-left corner is at (x, y)."""
        corner = (x / self.width, 1 - (y + height) / self.height)
        size = (width / self.width, height / self.height)
        return self.figure.add_axes((*corner, *size), zorder=2, facecolor=BACKGROUND)
