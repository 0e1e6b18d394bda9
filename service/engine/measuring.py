"""One marked lesion measured, as the engine does it: its mask, diameters and volume."""

from __future__ import annotations

from functools import cache

from retrieval.image import Slab
from retrieval.segmentation.intervals import bundled_calibration
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, measure
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import chosen_candidate
from service.engine.search_engine import SearchEngine

MEASURED_DEPTH_MM = 250.0
"""Slices are read this far from the key slice: no lesion is followed further."""

CLICK_SIDE_MM = 28.0


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
