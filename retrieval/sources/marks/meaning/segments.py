"""Reports and annotations that measure a segment without drawing it meet that segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.sources.marks.mark import Mark, MarkKind
from retrieval.sources.marks.verdicts import JudgedMark, Verdict


def with_segments(
    marks: Sequence[Mark],
) -> tuple[list[Mark], dict[str, tuple[str, ...]], list[JudgedMark]]:
    """Marks with the segments put into what measures them.

    The report's finding, site, lengths, reader and tracking ids go to the segment's points. Of a
    segment of several parts, the largest takes them: lengths are of one lesion.

    Returns:
        The marks with points; the ids that each of them stands for, by its own id; and verdicts
        for those whose segment is not among the marks.
    """
    parts_of: dict[tuple[str, int], list[Mark]] = {}
    for mark in marks:
        if mark.segment is not None and mark.has_geometry:
            parts_of.setdefault((mark.segment.sop_uid, mark.segment.number), []).append(mark)
    joined = {mark.mark_id: mark for mark in marks if not _only_names(mark)}
    ids: dict[str, tuple[str, ...]] = {mark_id: (mark_id,) for mark_id in joined}
    lost = []
    for mark in marks:
        if not _only_names(mark) or mark.segment is None:
            continue
        held = parts_of.get((mark.segment.sop_uid, mark.segment.number))
        if not held:
            words = f"its segment {mark.segment.number} of {mark.segment.sop_uid} is not there"
            lost.append(JudgedMark(mark, Verdict.NO_COORDINATES, words, parts=(mark.mark_id,)))
            continue
        drawn = max(held, key=_size)
        joined[drawn.mark_id] = _told(joined[drawn.mark_id], mark)
        ids[drawn.mark_id] = (*ids[drawn.mark_id], mark.mark_id)
    return list(joined.values()), ids, lost


def _only_names(mark: Mark) -> bool:
    return mark.kind is MarkKind.MASK and mark.segment is not None and not mark.has_geometry


def _size(mark: Mark) -> tuple[int, int]:
    points = 0 if mark.points_mm is None else len(mark.points_mm)
    return len(mark.others), points


def _told(drawn: Mark, told: Mark) -> Mark:
    """The drawn segment with what a report says of it."""
    return replace(
        drawn,
        lengths=(*drawn.lengths, *told.lengths),
        finding=told.finding or drawn.finding,
        category=told.category or drawn.category,
        site=told.site or drawn.site,
        tracking_uid=told.tracking_uid or drawn.tracking_uid,
        tracking_id=told.tracking_id or drawn.tracking_id,
        reader=told.reader or drawn.reader,
        drawn_on=told.drawn_on or drawn.drawn_on,
        comment=told.comment or drawn.comment,
    )
