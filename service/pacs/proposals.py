"""Where nobody marked a lesion: the detector's proposals on the slices at the same body height.

No registration is done. The engine's locator tells the body height of the query's place on a few
slices; a robust line through them says which slice is level with the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from retrieval.image import Slab
from retrieval.lesion import Box
from service.engine.results import Candidate
from service.engine.search_engine import SearchEngine
from service.pacs.client import PacsClient
from service.pacs.series import PacsSeries, read_slab

REACH_MM = 20.0
"""Slices this far from the level of the query are shown to the detector: breathing, and the
locator's error."""

STEP_MM = 5.0
"""Every slice would be the same lesion again and again."""

SAMPLES = 9
LEAST_SAMPLES = 3
"""With a height, of those: fewer tell no line."""

LEAST_CLIMB = 0.02
"""Of body height over all samples: a flatter line tells nothing."""

SAME_PLACE_IOU = 0.3
MOST_PROPOSALS = 20


@dataclass(frozen=True)
class ProposedSlice:
    """A proposal and the slice of the series it lies on."""

    position: int
    candidate: Candidate


@dataclass(frozen=True)
class QueryPlace:
    """Where the query lies in its image: for the same place in another series.

    ``offset_mm`` is the box centre's distance (x, y) from the middle of the image; ``size_mm`` the
    longer side; ``height`` its body height as ``Lesion.location`` has it, None if not known.
    """

    offset_mm: tuple[float, float]
    size_mm: float
    height: float | None

    @classmethod
    def of(cls, slab: Slab, box: Box, height: float | None) -> QueryPlace:
        """The place of a box of the file grid on a slab."""
        box = slab.grid.to_display_box(box)
        (x, y), (x_mm, y_mm) = box.center, slab.spacing_mm_px
        middle = ((slab.columns - 1) / 2, (slab.rows - 1) / 2)
        size = max(box.width * x_mm, box.height * y_mm)
        return cls(((x - middle[0]) * x_mm, (y - middle[1]) * y_mm), size, height)

    def box_on(self, slab: Slab) -> Box:
        """The same place on another slab, in its file grid."""
        x_mm, y_mm = slab.spacing_mm_px
        x = (slab.columns - 1) / 2 + self.offset_mm[0] / x_mm
        y = (slab.rows - 1) / 2 + self.offset_mm[1] / y_mm
        half = (self.size_mm / x_mm / 2, self.size_mm / y_mm / 2)
        # Another field of view may leave the place outside: the nearest pixel stands for it.
        x, y = np.clip(x, 0, slab.columns - 1), np.clip(y, 0, slab.rows - 1)
        place = Box(float(x - half[0]), float(y - half[1]), float(x + half[0]), float(y + half[1]))
        return slab.grid.to_file_box(place)


def propose_at(
    engine: SearchEngine, pacs: PacsClient, series: PacsSeries, place: QueryPlace
) -> list[ProposedSlice] | None:
    """The detector's proposals about the query's body height, best first, each lesion once.

    None where the height cannot be told, or the series does not reach it.
    """
    middle = level_of(engine, pacs, series, place)
    if middle is None:
        return None
    interval = series.interval_mm or 1.0
    reach, step = round(REACH_MM / interval), max(round(STEP_MM / interval), 1)
    first, last = max(middle - reach, 0), min(middle + reach, len(series.images) - 1)
    depth = REACH_MM + engine.half_depth_mm(detecting=True)
    slab = read_slab(pacs, series, middle, half_depth_mm=depth)
    found = [
        ProposedSlice(position, candidate)
        for position in range(first, last + 1, step)
        for candidate in engine.detect(slab.on_file_slice(position))
    ]
    return _once(found)[:MOST_PROPOSALS]


def level_of(
    engine: SearchEngine, pacs: PacsClient, series: PacsSeries, place: QueryPlace
) -> int | None:
    """The slice at the query's body height, None where it cannot be told.

    A series no longer than what is searched needs no estimate: its middle will do.
    """
    depths = np.array([image.depth_mm for image in series.images])
    if depths[-1] - depths[0] <= 2 * REACH_MM:
        return len(depths) // 2
    seen: list[int] = []
    heights: list[float] = []
    for position in np.unique(np.linspace(0, len(depths) - 1, SAMPLES).round().astype(int)):
        slab = read_slab(pacs, series, int(position), half_depth_mm=0.0)
        height = body_height(engine, slab, place.box_on(slab))
        if height is not None:
            seen.append(int(position))
            heights.append(height)
    if place.height is None or len(heights) < LEAST_SAMPLES:
        return None
    samples = np.array(seen)
    slope = float(theilslopes(heights, depths[samples])[0])
    # SciPy's own intercept goes through the two medians, which one outlier moves.
    start = float(np.median(np.asarray(heights) - slope * depths[samples]))
    if abs(slope) * (depths[-1] - depths[0]) < LEAST_CLIMB:
        return None
    level = (place.height - start) / slope
    if not depths[0] - REACH_MM <= level <= depths[-1] + REACH_MM:
        return None
    return int(np.abs(depths - level).argmin())


def body_height(engine: SearchEngine, slab: Slab, box: Box) -> float | None:
    """The body height of a box as ``Lesion.location`` has it, None where it cannot be told."""
    if engine.locator is None:
        return None
    found = engine.locator.locate_lesion(slab, slab.display_box(box))
    return None if found is None else found.location[2]


def _once(found: Sequence[ProposedSlice]) -> list[ProposedSlice]:
    """The best of those that lie over one another on neighbouring slices."""
    kept: list[ProposedSlice] = []
    for one in sorted(found, key=lambda proposed: -proposed.candidate.score):
        if all(one.candidate.box.iou(k.candidate.box) < SAME_PLACE_IOU for k in kept):
            kept.append(one)
    return kept
