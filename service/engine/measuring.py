"""One marked lesion measured, as the engine does it: its mask, diameters and volume."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

from index.catalog.measures import name_of
from index.measured import MeasuredMask
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, LesionSearchError, Recist
from retrieval.segmentation.intervals import bundled_calibration
from retrieval.segmentation.kept import KeptMask, sizes_of
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, measure
from retrieval.segmentation.prompt import BOX_MARGIN, Prompt
from retrieval.segmentation.segmenter import LesionSegmenter
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import chosen_candidate
from service.engine.search_engine import SearchEngine

MEASURED_DEPTH_MM = 250.0
"""Slices are read this far from the key slice: no lesion is followed further."""

LEAST_DEPTH_MM = 20.0
CLICK_SIDE_MM = 28.0

_log = logging.getLogger(__name__)


def measure_marked(
    query: LesionQuery,
    slab: Slab,
    *,
    engine: SearchEngine | None = None,
    in_3d: bool = True,
) -> LesionMeasurement:
    """The lesion of a query's mark on the slab's key slice.

    A box is taken to stand about 5 pixels off its lesion, as DeepLesion's and the detector's do. A
    point is a click inside the lesion. Without a mark the detector's best box is measured, or that
    of the query's candidate.

    Args:
        query: its box, RECIST mark, point or candidate, in its grid.
        slab: the image on its key slice.
        engine: holds the detector; needed only without a mark.
        in_3d: whether the lesion is followed through the slices.

    Raises:
        QueryError: no mark and no detector, or no proposal that fits.
        PromptError, MeasureError: a mark that cannot be measured.
        LesionError: a mark outside the image.
        PatchError: values that are not numbers near the mark.
    """
    mark = _mark(query.in_file_grid(slab.grid), slab, engine)
    return measure(_segmenter(), bundled_calibration(), slab, mark, in_3d=in_3d)


def measure_kept(slab: Slab, box: Box, recist: Recist | None = None) -> MeasuredMask:
    """A lesion's sizes and mask as an index keeps them; from its RECIST mark where it is known.

    Args:
        slab: the image on the lesion's key slice.
        box: of the lesion, in the slab's file grid.
        recist: its mark, in the same grid.

    Raises:
        LesionSearchError: the mark cannot be measured.
    """
    spacing = slab.spacing_mm_px
    if recist is None:
        mark = GivenMark(Prompt.from_box(slab.display_box(box), spacing))
    else:
        mark = GivenMark.of_recist(slab.grid.to_display_recist(recist), spacing)
    segmenter = _segmenter()
    found = measure(segmenter, bundled_calibration(), slab, mark)
    packed = KeptMask.of(found).pack()
    return MeasuredMask(sizes_of(found, segmenter.fingerprint), packed)


def with_sizes(
    lesion: Lesion, slab: Slab, box: Box, recist: Recist | None
) -> tuple[Lesion, bytes | None]:
    """A lesion that is about to be added, with its sizes and packed mask.

    One that cannot be measured is added as it is.
    """
    try:
        found = measure_kept(slab, box, recist)
    except LesionSearchError as mistake:
        _log.info("a lesion is added without sizes: %s", mistake)
        return lesion, None
    mask = None if found.packed is None else name_of(found.packed)
    return lesion.with_changes(measured=replace(found.sizes, mask=mask)), found.packed


def depth_needed_mm(box: Box, spacing_mm_px: tuple[float, float]) -> float:
    """How far from the key slice a lesion of that box is followed at most."""
    longest = max(box.width * spacing_mm_px[0], box.height * spacing_mm_px[1])
    # A mask may reach to the edge of its view; it is followed for a share of its long diameter.
    return min(MEASURED_DEPTH_MM, max(BOX_MARGIN * longest, LEAST_DEPTH_MM))


def _mark(query: LesionQuery, slab: Slab, engine: SearchEngine | None) -> GivenMark:
    """The mark in the display grid; ``query`` is in the file grid."""
    spacing, grid = slab.spacing_mm_px, slab.grid
    if query.recist is not None:
        return GivenMark.of_recist(grid.to_display_recist(query.recist), spacing)
    if query.box is not None:
        return GivenMark(Prompt.from_box(slab.display_box(query.box), spacing))
    if query.point is not None:
        point = grid.to_display_point(query.point)
        return GivenMark(Prompt.from_point(point, side_mm=CLICK_SIDE_MM))
    if engine is None:
        raise QueryError(
            "no lesion is marked: give its box as x1,y1,x2,y2, its RECIST mark as x1,y1,...,x4,y4 "
            "or a point x,y inside it, in pixels of the key slice"
        )
    box = chosen_candidate(engine.detect(slab), query).box
    return GivenMark(Prompt.from_box(slab.display_box(box), spacing))


@cache
def _segmenter() -> LesionSegmenter:
    """The bundled network, loaded when a lesion is measured for the first time."""
    return LesionSegmenter.load()
