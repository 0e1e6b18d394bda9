"""A picture of categories found without labels: a row each, its surest lesions, and the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from retrieval.labels.categories.file import CategoryFile
from retrieval.labels.categories.hierarchy import Join, leaf_order
from retrieval.lesion import Lesion, LesionSearchError
from service.figures.pictures import LesionPictures
from service.figures.query import FAINT, GAP, MARGIN, TEXT, Panel, Sheet

SHOWN = 7
"""Lesions of a row, each of another patient where there are so many."""

TREE, WORDS, SIDE, STEP, HEAD = 1.8, 1.9, 1.25, 1.75, 0.6
"""Inches: width of the tree and of the words, a picture's side, from row to row, the heading."""


def draw_categories(
    found: CategoryFile, lesions: Sequence[Lesion], pictures: LesionPictures
) -> Figure:
    """The sheet of categories.

    Args:
        found: the categories.
        lesions: of the index.
        pictures: of the index; a lesion whose pixels are not at hand is left out.
    """
    order = leaf_order(found.tree, list(found.names))
    left = MARGIN + TREE + WORDS
    sheet = Sheet(left + SHOWN * (SIDE + GAP) + MARGIN, HEAD + len(order) * STEP + 0.3)
    sheet.caption(MARGIN, "Confused with each other", top=0)
    sheet.caption(left, "The surest lesions of each category, one a patient", top=0)
    middles = {key: HEAD + row * STEP + SIDE / 2 for row, key in enumerate(order)}
    _draw_tree(sheet, found.tree, middles)
    for key in order:
        top, name = middles[key] - SIDE / 2, found.names[key]
        share = f"{name.share:.0%} of {name.typed_tracks} typed" if name.typed_tracks else "untyped"
        sheet.text(MARGIN + TREE, top + 0.2, name.name, TEXT, fontsize=11, fontweight="bold")
        words = "\n".join([key, f"{name.tracks} tracks", share, *name.tags])
        sheet.text(MARGIN + TREE, top + 0.45, words, FAINT, fontsize=8.4, linespacing=1.35)
        for place, panel in enumerate(_panels(key, found, lesions, pictures)):
            sheet.panel(panel, x=left + place * (SIDE + GAP), y=top, size=SIDE)
    ended = "settled" if found.settled else "not settled"
    sheet.note(f"encoder {found.encoder} · {len(found.rounds)} rounds, {ended} · research use only")
    return sheet.figure


def _panels(
    key: str, found: CategoryFile, lesions: Sequence[Lesion], pictures: LesionPictures
) -> list[Panel]:
    own = [one for one in lesions if one.lesion_id in found.members]
    own = [one for one in own if found.members[one.lesion_id].category == key]
    own.sort(key=lambda one: (-found.members[one.lesion_id].confidence, one.lesion_id))
    panels: list[Panel] = []
    seen: set[str] = set()
    for lesion in own:
        if lesion.patient_id in seen:
            continue
        try:
            slab = pictures.slab(lesion.lesion_id)
        except LesionSearchError:
            continue
        seen.add(lesion.patient_id)
        sure = f"{found.members[lesion.lesion_id].confidence:.2f}"
        panels.append(
            Panel(sure, (lesion.lesion_type.value,), slab, lesion.box, lesion.lesion_type)
        )
        if len(panels) == SHOWN:
            break
    return panels


def _draw_tree(sheet: Sheet, tree: Sequence[Join], middles: Mapping[str, float]) -> None:
    """Joins as brackets: a leaf stands on the right, a join as far left as its rank."""
    right = MARGIN + TREE - 0.15
    depth = (TREE - 0.3) / max(len(tree), 1)
    places = {key: (right, middle) for key, middle in middles.items()}
    for number, join in enumerate(tree):
        x = right - (number + 1) * depth
        ends = [places[join.left], places[join.right]]
        for end_x, end_y in ends:
            sheet.line((x, end_y), (end_x, end_y))
        sheet.line((x, ends[0][1]), (x, ends[1][1]))
        places[f"join {number}"] = (x, (ends[0][1] + ends[1][1]) / 2)
