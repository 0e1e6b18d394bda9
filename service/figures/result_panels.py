"""A search result as the panels of a figure."""

from __future__ import annotations

import textwrap
from collections import Counter

from matplotlib.figure import Figure

from retrieval.image import Slab
from retrieval.labels.words.parsing import WordRole
from retrieval.labels.words.scoring import Known
from retrieval.lesion import Lesion, LesionType
from retrieval.tracking.states import FOLLOW_UP_WORDS, POSITION_ESTIMATED, ROLE_WORDS, Tone
from retrieval.tracking.track_types import FollowUp
from service.engine.results import Hit, SearchResult
from service.figures.colours import DOUBT_COLOUR, FOLLOW_UP_COLOUR, QUERY_COLOUR
from service.figures.pictures import LesionPictures
from service.figures.query import FigureError, Panel, draw_query_figure

SHOWN_HITS = 8
WORDS_WIDTH, TERMS_WIDTH = 60, 31
"""Characters of a line below the words and below a hit."""

CHIP_WIDTH = 24
"""Characters of a line of what was understood, in the smallest panel."""

SURE_TONES = {Tone.SURE, Tone.JOINT}


def draw_result(
    result: SearchResult,
    slab: Slab,
    pictures: LesionPictures,
    *,
    query_lesion: Lesion | None = None,
) -> Figure:
    """The figure of a result.

    Args:
        result: of a query that had a box.
        slab: the query's slices.
        pictures: of the index the hits come from.
        query_lesion: the indexed lesion that was searched with, if it was one.

    Raises:
        FigureError: the query was a bare vector.
        LesionSearchError: the pixels of a hit are no longer there.
    """
    if result.box is None:
        raise FigureError("a vector has no picture: search with an image or an indexed lesion")
    hits = result.hits[:SHOWN_HITS]
    lesion_type = query_lesion.lesion_type if query_lesion else LesionType.UNKNOWN
    if lesion_type is LesionType.UNKNOWN:
        lesion_type = _commonest_type(result)
    words = _query_words(result, query_lesion)
    query = Panel("Query", words, slab, result.box, lesion_type, QUERY_COLOUR)
    return draw_query_figure(
        query,
        [_hit_panel(hit, pictures) for hit in hits],
        [_follow_up_panel(follow_up, pictures, lesion_type) for follow_up in result.follow_ups],
        note=f"encoder {result.encoder['name']} · not a medical device",
    )


def draw_words_result(result: SearchResult, pictures: LesionPictures) -> Figure:
    """The figure of a search by words alone: what was understood, and the hits with their reasons.

    Raises:
        FigureError: the result is not one of words.
        LesionSearchError: the pixels of a hit are no longer there.
    """
    if result.words is None:
        raise FigureError("no words were searched for: give them with --text")
    chips = "\n".join(
        textwrap.fill(f"{chip.role.value}: {chip.label}", CHIP_WIDTH) for chip in result.words.chips
    )
    unknown = ", ".join(word.word for word in result.words.unknown)
    lines = textwrap.wrap(result.words.text, WORDS_WIDTH)
    query = Panel(
        "Words",
        (*lines[:3], *((f"not understood: {unknown}",) if unknown else ())),
        colour=QUERY_COLOUR,
        blank=chips,
    )
    return draw_query_figure(
        query,
        [_word_panel(hit, pictures) for hit in result.hits[:SHOWN_HITS]],
        note=f"encoder {result.encoder['name']} · not a medical device",
        caption="Lesions that fit the words, best first; below each, how likely each term is",
    )


def _word_panel(hit: Hit, pictures: LesionPictures) -> Panel:
    lesion = hit.lesion
    told = _reasons_text(hit)
    long_mm = "" if lesion.long_mm is None else f" {lesion.long_mm:.0f} mm"
    first = textwrap.shorten(
        f"{lesion.lesion_type}{long_mm} · patient {lesion.patient_id}",
        TERMS_WIDTH,
        placeholder="..",
    )
    words = (first, *textwrap.wrap(told, TERMS_WIDTH, max_lines=3, placeholder=" ..."))
    slab = pictures.slab(lesion.lesion_id)
    match = "" if hit.match is None else f"    match {hit.match:.2f}"
    return Panel(f"{hit.rank}{match}", words, slab, lesion.box, lesion.lesion_type)


def _reasons_text(hit: Hit) -> str:
    """Why a hit fits: what is known, with its source; then terms of which little or nothing is."""
    sure, wider, open_ = [], [], []
    for one in hit.words:
        is_not = one.role is WordRole.NOT
        term = f"not {one.term}" if is_not else one.term
        if one.source is Known.NOTHING:
            open_.append(term)
        elif one.source is Known.PARENT:
            wider.append(term)
        else:
            probability = 1 - one.probability if is_not else one.probability
            sure.append(f"{term} {probability:.2f} {one.source.value}")
    parts = [", ".join(sure)] if sure else []
    parts += [f"only a wider term known: {', '.join(wider)}"] if wider else []
    parts += [f"not known: {', '.join(open_)}"] if open_ else []
    return "; ".join(parts)


def size_text(lesion: Lesion) -> str:
    """Long by short diameter in mm, or that it was never measured."""
    if lesion.long_mm is None:
        return "size unknown"
    short = "" if lesion.short_mm is None else f" × {lesion.short_mm:.1f}"
    return f"{lesion.long_mm:.1f}{short} mm"


def change_text(follow_up: FollowUp) -> str:
    """The change of the long diameter with its sign, empty where it is unknown."""
    return "" if follow_up.change_pct is None else f"{follow_up.change_pct:+.0f} %"


def _commonest_type(result: SearchResult) -> LesionType:
    types = Counter(hit.lesion.lesion_type for hit in result.hits[:5])
    return types.most_common(1)[0][0] if types else LesionType.UNKNOWN


def _query_words(result: SearchResult, lesion: Lesion | None) -> tuple[str, ...]:
    if lesion is None:
        estimated = (POSITION_ESTIMATED,) if result.location_error is not None else ()
        return (f"box {result.box_source}", *estimated)
    return (
        f"{lesion.lesion_type} · {size_text(lesion)}",
        f"patient {lesion.patient_id}, study {lesion.study_id}",
    )


def _hit_panel(hit: Hit, pictures: LesionPictures) -> Panel:
    lesion = hit.lesion
    words = (f"{lesion.lesion_type} · {size_text(lesion)}", f"patient {lesion.patient_id}")
    slab = pictures.slab(lesion.lesion_id)
    heading = f"{hit.rank}    {hit.similarity:.3f}"
    return Panel(heading, words, slab, lesion.box, lesion.lesion_type)


def _follow_up_panel(
    follow_up: FollowUp, pictures: LesionPictures, query_type: LesionType
) -> Panel:
    words = FOLLOW_UP_WORDS[follow_up.state]
    colour = FOLLOW_UP_COLOUR if words.tone in SURE_TONES else DOUBT_COLOUR
    role = "" if follow_up.role is None else f"{ROLE_WORDS[follow_up.role]} "
    heading = f"{role}{follow_up.study_id}"
    lesion = follow_up.lesion
    if lesion is None:
        return Panel(heading, (words.label,), colour=colour)
    change = change_text(follow_up)
    lesion_type = lesion.lesion_type
    return Panel(
        heading,
        (
            f"{words.label} · score {follow_up.score:.2f}",
            f"{size_text(lesion)}{f'   {change}' if change else ''}",
            f"similarity {follow_up.similarity:.3f}",
            *follow_up.notes,
        ),
        pictures.slab(lesion.lesion_id),
        lesion.box,
        query_type if lesion_type is LesionType.UNKNOWN else lesion_type,
        colour,
    )
