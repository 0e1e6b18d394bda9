"""Wrong and missed links as pictures: the two lesions side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from retrieval.lesion import Lesion
from retrieval.tracking.track_types import RESEARCH_USE
from service.figures.colours import QUERY_COLOUR
from service.figures.mistakes.links import LinkMistake, MistakeKind
from service.figures.pictures import LesionPictures
from service.figures.query import GAP, MARGIN, PANEL, ROW, TOP, Panel, Sheet
from service.figures.result_panels import size_text

PAIRS_PER_ROW = 2
PAIR_GAP = 0.5
COLOURS = {MistakeKind.WRONG: "#ff7b72", MistakeKind.MISSED: QUERY_COLOUR}


def draw_mistakes(
    mistakes: Sequence[LinkMistake], pictures: LesionPictures, *, most: int = 6
) -> Figure:
    """The first ``most`` mistakes, two a row: the earlier lesion on the left, the later beside it.

    Raises:
        LesionSearchError: the pixels of a lesion are no longer there.
    """
    shown = mistakes[:most]
    pair = 2 * PANEL + GAP
    width = 2 * MARGIN + PAIRS_PER_ROW * pair + (PAIRS_PER_ROW - 1) * PAIR_GAP
    rows = max(1, math.ceil(len(shown) / PAIRS_PER_ROW))
    sheet = Sheet(width, TOP + rows * ROW + 0.2)
    title = f"{len(shown)} of {len(mistakes)} mistaken links" if mistakes else "no mistaken link"
    sheet.caption(MARGIN, title, top=0)
    for place, mistake in enumerate(shown):
        row, column = divmod(place, PAIRS_PER_ROW)
        x, y = MARGIN + column * (pair + PAIR_GAP), TOP + row * ROW
        heading = f"{mistake.kind}   score {mistake.score:.2f}"
        colour = COLOURS[mistake.kind]
        sheet.panel(_panel(mistake.earlier, heading, colour, pictures), x=x, y=y, size=PANEL)
        later = _panel(mistake.later, "", colour, pictures)
        sheet.panel(later, x=x + PANEL + GAP, y=y, size=PANEL)
    sheet.note(RESEARCH_USE)
    return sheet.figure


def _panel(lesion: Lesion, heading: str, colour: str, pictures: LesionPictures) -> Panel:
    words = (f"{lesion.lesion_type} · {size_text(lesion)}", f"study {lesion.study_id}")
    slab = pictures.slab(lesion.lesion_id)
    return Panel(heading, words, slab, lesion.box, lesion.lesion_type, colour)
