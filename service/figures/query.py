"""One figure of a query: its picture, the nearest lesions, and the follow-ups in time order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from retrieval.image import CT_HU, Slab, apply_window
from retrieval.lesion import Box, LesionSearchError, LesionType
from retrieval.patch import PatchSpec, extract_patch
from service.figures.colours import HIT_COLOUR
from service.figures.vocabulary import window_of

DISPLAY_SPEC = PatchSpec(size_px=240, mm_px=0.5, slices=1)
"""Every panel shows 120 mm, so that sizes can be compared by eye."""

SCALE_BAR_MM = 20.0
NO_PICTURE = "no partner marked"
SIMILAR = "Most similar lesions of other patients, by similarity"
HITS_PER_ROW = 4

# Inches: a picture's side, the space between two, and from one row of pictures to the next.
PANEL, GAP, ROW = 1.95, 0.16, 2.76
# A row has room for so many lines below its pictures; each further one takes so much.
ROW_LINES, LINE = 3, 0.16
MARGIN, TOP = 0.2, 0.72

BACKGROUND = "#0d1117"
PANEL_EDGE = "#30363d"
TEXT = "#e6edf3"
FAINT = "#9aa4af"


class FigureError(LesionSearchError):
    """A figure that cannot be written."""


@dataclass(frozen=True)
class Panel:
    """One lesion's picture with its words.

    Attributes:
        heading: the bold line above the picture.
        details: small lines below it.
        slab: the slices, of which the key slice is drawn; None leaves the picture empty.
        box: the lesion on it.
        lesion_type: chooses the HU window.
        colour: of the box and the heading.
        blank: what stands where there is no picture.
    """

    heading: str
    details: tuple[str, ...] = ()
    slab: Slab | None = None
    box: Box | None = None
    lesion_type: LesionType = LesionType.UNKNOWN
    colour: str = HIT_COLOUR
    blank: str = NO_PICTURE


def display_window(lesion_type: LesionType) -> tuple[str, tuple[float, float]]:
    """Name and (low, high) HU of the window a reader would choose for that type."""
    name = window_of(lesion_type)
    return name, CT_HU.windows[name]


def draw_query_figure(
    query: Panel,
    hits: Sequence[Panel],
    follow_ups: Sequence[Panel] = (),
    *,
    note: str = "",
    caption: str = SIMILAR,
) -> Figure:
    """The query on the left, its hits beside it, the follow-ups in rows below.

    ``note`` is a small line at the foot, ``caption`` says what the hits are.
    """
    hit_rows = max(1, math.ceil(len(hits) / HITS_PER_ROW))
    hit_row = ROW + LINE * max(0, max((len(hit.details) for hit in hits), default=0) - ROW_LINES)
    query_size = PANEL if hit_rows == 1 else PANEL + hit_row
    left = MARGIN + query_size + GAP
    follow_up_top = TOP + hit_rows * hit_row
    per_row = HITS_PER_ROW + (1 if hit_rows == 1 else 2)
    follow_up_rows = math.ceil(len(follow_ups) / per_row)
    height = follow_up_top + (follow_up_rows * ROW + TOP if follow_ups else 0) + 0.12
    sheet = Sheet(left + HITS_PER_ROW * (PANEL + GAP) - GAP + MARGIN, height)
    sheet.caption(left, caption, top=0)
    sheet.panel(query, x=MARGIN, y=TOP, size=query_size)
    if not hits:
        sheet.text(
            left,
            TOP + PANEL / 2,
            "no similar lesion in this index" if caption == SIMILAR else "no lesion fits",
            FAINT,
        )
    for place, hit in enumerate(hits):
        row, column = divmod(place, HITS_PER_ROW)
        sheet.panel(hit, x=left + column * (PANEL + GAP), y=TOP + row * hit_row, size=PANEL)
    if follow_ups:
        words = "The same patient's other studies, in time order"
        sheet.caption(MARGIN, words, top=follow_up_top)
    for place, follow_up in enumerate(follow_ups):
        row, column = divmod(place, per_row)
        y = follow_up_top + TOP + row * ROW
        sheet.panel(follow_up, x=MARGIN + column * (PANEL + GAP), y=y, size=PANEL)
    sheet.note(note)
    return sheet.figure


def save_figure(figure: Figure, path: Path, *, dots_per_inch: int = 120) -> None:
    """Writes PNG, SVG or PDF by the path's suffix; raises FigureError where it cannot."""
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise FigureError(f"figure {path.name} has no known suffix: .png, .svg or .pdf")
    try:
        figure.savefig(path, dpi=dots_per_inch, facecolor=BACKGROUND)
    except OSError as problem:
        raise FigureError(f"figure {path} cannot be written: {problem.strerror}") from None


class Sheet:
    """A dark page measured in inches from its top-left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor=BACKGROUND)
        self._width, self._height = width, height
        FigureCanvasAgg(self.figure)

    def text(self, x: float, y: float, words: str, colour: str = TEXT, **style: Any) -> None:
        """Words whose top-left corner is at (x, y)."""
        place = (x / self._width, 1 - y / self._height)
        self.figure.text(*place, words, color=colour, va="top", **style)

    def caption(self, x: float, words: str, *, top: float) -> None:
        """A faint heading of a group of pictures."""
        self.text(x, top + 0.14, words, FAINT, fontsize=10.5)

    def note(self, words: str) -> None:
        """A small line at the foot, on the right."""
        foot = self._height - 0.2
        self.text(self._width - MARGIN, foot, words, FAINT, fontsize=7.5, ha="right")

    def line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A thin line between two places."""
        xs = [place[0] / self._width for place in (start, end)]
        ys = [1 - place[1] / self._height for place in (start, end)]
        self.figure.add_artist(Line2D(xs, ys, color=FAINT, linewidth=1.0))

    def axes(self, x: float, y: float, size: float) -> Axes:
        """An empty square of ``size`` whose top-left corner is at (x, y)."""
        corner = (x / self._width, 1 - (y + size) / self._height)
        return self.figure.add_axes((*corner, size / self._width, size / self._height))

    def panel(self, panel: Panel, *, x: float, y: float, size: float) -> None:
        """The picture as a square of ``size``, its heading above and its details below."""
        draw_picture(self.axes(x, y, size), panel)
        bold = {"fontsize": 10, "fontweight": "bold"}
        self.text(x, y - 0.22, panel.heading, panel.colour, **bold)
        details = "\n".join(panel.details)
        self.text(x, y + size + 0.07, details, fontsize=8.4, linespacing=1.35)


def draw_picture(
    axes: Axes, panel: Panel, *, spec: PatchSpec = DISPLAY_SPEC, name_window: bool = True
) -> None:
    """Fills the axes with the panel's picture: spec's width in mm, the box, a scale bar."""
    axes.set_facecolor(BACKGROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(PANEL_EDGE)
    if panel.slab is None or panel.box is None:
        middle: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
        size = 8.4 if panel.blank == NO_PICTURE else 11
        axes.text(0.5, 0.5, panel.blank, color=FAINT, fontsize=size, linespacing=1.6, **middle)
        return
    patch = extract_patch(panel.slab, panel.box, spec)
    window_name, (low, high) = display_window(panel.lesion_type)
    grey = apply_window(patch.hu[0], low, high)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="lanczos")
    corner, box = (patch.box.x1, patch.box.y1), patch.box
    outline = Rectangle(corner, box.width, box.height, fill=False, ec=panel.colour, lw=1.4)
    axes.add_patch(outline)
    axes.set_xlim(-0.5, spec.size_px - 0.5)
    axes.set_ylim(spec.size_px - 0.5, -0.5)
    _draw_scale_bar(axes, window_name if name_window else "", spec)


def _draw_scale_bar(axes: Axes, window_name: str, spec: PatchSpec) -> None:
    side = spec.size_px
    end = 8 + SCALE_BAR_MM / spec.mm_px
    axes.add_patch(Rectangle((0, side - 19), side, 19, fc="black", ec="none", alpha=0.45))
    axes.plot([8, end], [side - 9, side - 9], color="white", lw=1.6)
    small: dict[str, Any] = {"color": "white", "fontsize": 6.5, "va": "center"}
    axes.text(end + 5, side - 9, f"{SCALE_BAR_MM:.0f} mm", **small)
    axes.text(side - 7, side - 9, window_name, ha="right", **small)
