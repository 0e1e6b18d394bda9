"""The verdict of a mark that needs no partner: what it measures, and whether lengths agree."""

from __future__ import annotations

import numpy as np

from retrieval.lesion import Box, Recist
from retrieval.sources.marks.mark import MarkKind
from retrieval.sources.marks.meaning.diameters import MarkMeasurement, measured
from retrieval.sources.marks.meaning.findings import lesion_type_of_mark
from retrieval.sources.marks.meaning.lengths import LengthComparison, compared
from retrieval.sources.marks.meaning.pairing import PARALLEL_DEG, MarkLine, relation
from retrieval.sources.marks.meaning.placing import Placed
from retrieval.sources.marks.verdicts import JudgedMark, LengthSource, Verdict

LEAST_PX = 0.5
"""Smaller marks are slips of the hand; the smallest official row is 0.76 px long."""

LEAST_MASK_MM = 2.0
"""A part of a segment that is shorter is a speck of the painting, as for imported masks, unless it
was measured or has a tracking id."""

MOST_MM = 400.0
"""A longer one is a body contour or a slip; DeepLesion's longest is 343 mm."""

OUTLINES = frozenset({MarkKind.POLYGON, MarkKind.MASK, MarkKind.ELLIPSOID})
_POINTING = frozenset({MarkKind.POINT, MarkKind.ARROW})


def judged_alone(placed: Placed, parts: tuple[str, ...]) -> JudgedMark:
    """The verdict of a mark by itself: RECIST marks, outlines, circles, boxes, points."""
    mark, ids = placed.mark, parts
    if mark.kind in _POINTING:
        x, y = (float(one) for one in placed.points[0])
        return told(placed, Verdict.KEPT_AS_POINT, mark.kind.value, ids, point=(x, y))
    if mark.kind in {MarkKind.RECIST, MarkKind.ELLIPSE}:
        return judged_pair(placed, ids)
    found = measured(
        mark.kind,
        placed.points,
        placed.plane.spacing_mm_px,
        ring_sizes=mark.ring_sizes,
        strip_mm=mark.pixel_mm,
    )
    return finished(placed, found, ids)


def judged_pair(placed: Placed, ids: tuple[str, ...], words: str = "") -> JudgedMark:
    """The verdict of four ends that their carrier, or the calibrated rule, put together.

    ``words`` say how, where that is to be known.
    """
    found = measured(MarkKind.RECIST, placed.points, placed.plane.spacing_mm_px)
    stands = relation(MarkLine(placed.points[:2]), MarkLine(placed.points[2:]))
    if stands.angle_deg < PARALLEL_DEG:
        words = f"its two lines stand at {stands.angle_deg:.0f} degrees to each other"
        return told(placed, Verdict.NOT_PERPENDICULAR, words, ids)
    doubt = not stands.is_close or stands.angle_deg < 45
    if doubt and not words:
        words = (
            f"doubtful: its carrier pairs two lines {stands.gap_px:.0f} px apart at "
            f"{stands.angle_deg:.0f} degrees, short / long {stands.ratio:.2f}"
        )
    return finished(placed, found, ids, words=words, is_doubtful=doubt)


def finished(
    placed: Placed,
    found: MarkMeasurement,
    ids: tuple[str, ...],
    *,
    words: str = "",
    is_doubtful: bool = False,
) -> JudgedMark:
    """A measured mark's verdict: its size is possible and its stated lengths do not contradict."""
    extent = found.extent
    if extent is None or max(extent.width, extent.height) < LEAST_PX:
        return told(placed, Verdict.TOO_SMALL, "covers less than half a pixel", ids)
    is_told = bool(placed.mark.tracking_uid or placed.mark.lengths)
    is_small_mask = placed.mark.kind is MarkKind.MASK and (found.long_mm or MOST_MM) < LEAST_MASK_MM
    is_speck = is_small_mask and not is_told
    if is_speck:
        return told(placed, Verdict.TOO_SMALL, f"is a speck of {found.long_mm:.1f} mm", ids)
    if (found.long_mm or 0.0) > MOST_MM:
        return told(placed, Verdict.TOO_LARGE, f"is {found.long_mm:.0f} mm long", ids)
    lengths = compared(
        placed.mark.lengths,
        [one for one in (found.long_mm, found.short_mm) if one is not None],
        _pixels(found, placed),
        is_outline=placed.mark.kind in OUTLINES,
        is_mask=placed.mark.kind is MarkKind.MASK,
    )
    if lengths.is_contradiction:
        return told(placed, Verdict.CONTRADICTING_LENGTHS, lengths.words, ids)
    return told(
        placed,
        Verdict.KEPT,
        words,
        ids,
        recist=_as_stated(found.recist, lengths, placed.plane.spacing_mm_px),
        extent=extent,
        long_mm=lengths.long_mm,
        short_mm=lengths.short_mm,
        length_source=lengths.source,
        length_words=lengths.words,
        is_doubtful=is_doubtful,
    )


def _as_stated(
    recist: Recist | None, lengths: LengthComparison, spacing_mm_px: tuple[float, float] | None
) -> Recist | None:
    """A mask's four ends under the stated lengths that won: each line about its own middle.

    Nobody drew them: they follow from the mask, and may not contradict the reader's lengths.
    """
    if recist is None or spacing_mm_px is None or lengths.source is not LengthSource.STATED:
        return recist
    ends = np.asarray(recist.points).reshape(2, 2, 2)
    wanted = (lengths.long_mm, lengths.short_mm)
    for line, mm, now in zip(ends, wanted, recist.diameters_mm(spacing_mm_px), strict=True):
        middle = line.mean(axis=0)
        if mm is not None and now > 0:
            line[:] = middle + (line - middle) * mm / now
    return Recist(tuple((float(x), float(y)) for x, y in ends.reshape(4, 2)))


def _pixels(found: MarkMeasurement, placed: Placed) -> list[float]:
    if found.recist is not None:
        return list(found.recist.diameters_mm((1.0, 1.0)))
    if placed.mark.kind is MarkKind.LINE:
        return [MarkLine(placed.points).length]
    return []


def told(
    placed: Placed, verdict: Verdict, words: str, ids: tuple[str, ...], **fields: object
) -> JudgedMark:
    """The verdict of a mark on its image; ``fields`` are others of JudgedMark."""
    return JudgedMark(
        placed.mark,
        verdict,
        words,
        plane=placed.plane,
        lesion_type=lesion_type_of_mark(placed.mark),
        parts=ids,
        **fields,  # type: ignore[arg-type]
    )


def square_about(line: MarkLine) -> Box:
    """The square about a line's middle with its length as side."""
    x, y = line.middle
    return Box.around((float(x), float(y)), line.length)
