"""The verdicts of lines: pairs that a carrier or the rule makes, and single lines by policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Recist
from retrieval.sources.marks.mark import Carrier, LengthRole, MarkKind, StatedLength, mark_id_of
from retrieval.sources.marks.meaning.diameters import (
    SHORT_OF_LONG,
    MarkMeasurement,
    extent_of,
    measured,
)
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.meaning.pairing import MarkLine, pair_lines
from retrieval.sources.marks.meaning.placing import Placed
from retrieval.sources.marks.meaning.single import finished, judged_pair, square_about, told
from retrieval.sources.marks.verdicts import JudgedMark, Verdict

_GROUP_IS_ONE_FINDING = frozenset({Carrier.GSPS, Carrier.RTSTRUCT, Carrier.AIM})
"""Carriers whose groups hold one finding: two lines of one are its diameters. A report names them
long and short axis where they are; two other lengths of one of its groups may be of anything."""

_LONE = "two lines that touch each other and no third one, by the wider bounds of such pairs"

MOST_LINES = 500
"""More lines on one image are no reader's work: none of them is paired."""


def judged_lines(lines: Sequence[Placed], options: JudgingOptions) -> Iterator[JudgedMark]:
    """One verdict for every line or pair of lines."""
    by_image: dict[tuple[str, int | None], list[Placed]] = {}
    for placed in lines:
        image = placed.plane.image
        by_image.setdefault((image.sop_uid, image.frame), []).append(placed)
    for held in by_image.values():
        yield from _on_image(held, options)


def _on_image(held: list[Placed], options: JudgingOptions) -> Iterator[JudgedMark]:
    free = []
    for group in _groups(held):
        if len(group) == 2 and group[0].mark.carrier in _GROUP_IS_ONE_FINDING:
            pair = _longer_first(group[0], group[1])
            yield judged_pair(_joined(*pair), tuple(one.mark.mark_id for one in group))
        else:
            free.extend(group)
    if len(free) > MOST_LINES:
        words = f"one of {len(free)} lines on one image: at most {MOST_LINES} are paired"
        for one in free:
            yield told(one, Verdict.TOO_MANY_POINTS, words, (one.mark.mark_id,))
        return
    found = pair_lines([_line(one) for one in free])
    for first, second in found.pairs:
        pair = (free[first], free[second])
        ids = tuple(one.mark.mark_id for one in sorted(pair, key=free.index))
        is_lone = (first, second) in found.lone
        yield judged_pair(_joined(*pair), ids, _LONE if is_lone else "")
    for n in found.singles:
        yield _single(free[n], options, is_skew=n in found.skew)


def _groups(held: Sequence[Placed]) -> list[list[Placed]]:
    """Lines of one finding together; those of none one by one."""
    groups: dict[str, list[Placed]] = {}
    for n, placed in enumerate(held):
        groups.setdefault(placed.mark.group or f"line {n}", []).append(placed)
    return list(groups.values())


def _line(placed: Placed) -> MarkLine:
    mark = placed.mark
    return MarkLine(_square(placed), mark.source_uid or mark.source, mark.reader)


def _square(placed: Placed) -> NDArray[np.float64]:
    """The line's ends on square pixels of the same area."""
    spacing = placed.plane.spacing_mm_px
    if spacing is None:
        return placed.points
    return np.asarray(placed.points * spacing / np.sqrt(spacing[0] * spacing[1]))


def _longer_first(one: Placed, other: Placed) -> tuple[Placed, Placed]:
    return (one, other) if _line(one).length >= _line(other).length else (other, one)


def _joined(first: Placed, second: Placed) -> Placed:
    """Two lines as one mark: the longer one's words, both ones' lengths."""
    one, other = first.mark, second.mark
    longer = tuple(_as(length, LengthRole.LONG) for length in one.lengths)
    shorter = tuple(_as(length, LengthRole.SHORT) for length in other.lengths)
    points = np.vstack([first.points, second.points])
    mark = replace(
        one,
        mark_id=mark_id_of(one.carrier, one.source_uid, sorted((one.mark_id, other.mark_id))),
        kind=MarkKind.RECIST,
        points=points,
        points_mm=None,
        image=first.plane.image,
        lengths=(*longer, *shorter),
        finding=one.finding or other.finding,
        category=one.category or other.category,
        site=one.site or other.site,
        label=one.label or other.label,
        comment=one.comment or other.comment,
        reader=one.reader or other.reader,
        tracking_uid=one.tracking_uid or other.tracking_uid,
        tracking_id=one.tracking_id or other.tracking_id,
    )
    return Placed(mark, first.plane, points)


def _as(length: StatedLength, role: LengthRole) -> StatedLength:
    return replace(length, role=role) if length.role is LengthRole.LENGTH else length


def _single(placed: Placed, options: JudgingOptions, *, is_skew: bool) -> JudgedMark:
    ids = (placed.mark.mark_id,)
    if is_skew:
        words = "lies on another line at less than 75 degrees: no short and long diameter"
        return told(placed, Verdict.NOT_PERPENDICULAR, words, ids)
    if options.singles is SinglesPolicy.REJECT:
        words = "a line without a perpendicular partner (--singles square or ellipse keeps it)"
        return told(placed, Verdict.SINGLE_LINE, words, ids)
    found = measured(MarkKind.LINE, placed.points, placed.plane.spacing_mm_px)
    if options.singles is SinglesPolicy.SQUARE:
        line = MarkLine(placed.points)
        extent = square_about(line) if line.length > 0 else None
        shaped = MarkMeasurement(extent, None, found.long_mm)
    else:
        shaped = _as_ellipse(placed, found.long_mm)
    return finished(
        placed, shaped, ids, words=f"a single line, taken for the {options.singles.value} about it"
    )


def _as_ellipse(placed: Placed, long_mm: float | None) -> MarkMeasurement:
    """A single line with a short diameter as most lesions have it, told as an estimate."""
    first, second = placed.points
    spacing = np.asarray(placed.plane.spacing_mm_px or (1.0, 1.0))
    along = (second - first) * spacing
    across = np.array([-along[1], along[0]]) * SHORT_OF_LONG / 2 / spacing
    middle = (first + second) / 2
    ends = np.stack([first, second, middle - across, middle + across])
    recist = Recist(tuple((float(x), float(y)) for x, y in ends))
    return MarkMeasurement(extent_of(ends), recist, long_mm)
