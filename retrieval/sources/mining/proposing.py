"""Words that name an image and lengths, but draw nothing: a detector's box becomes their lesion.

Which box is meant is decided by size, and by the words' place on the image where they have one. A
box that is one of several alike is not taken: which of them the reader measured nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box, LesionSearchError, Recist
from retrieval.sources.marks.verdicts import JudgedMark, Verdict
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.planes import SourceUnavailableError
from retrieval.sources.mining.stacks import SliceStack
from retrieval.sources.mining.sub_volume import ReadImage, read_sub_volume

LEAST_SCORE, LEAST_FAR, LEAST_ALONE = 0.1, 0.5, 0.5
"""The least probability of a box at the words' place, of one farther than ``BESIDE_MM`` from it,
and of words without a place. Size alone tells little: of boxes that show no lesion one in five or
six has any given size. Of the pairs for words with a place these keep the most right boxes of those
that have 19 right of 20 at every distance, on development patients (benchmarks/text_marks.py)."""

BESIDE_MM = 5.0
"""A box whose edge is farther from the words' place is not meant by its place alone."""

NEAR_PART, NEAR_MM = 0.3, 3.0
"""A box fits a stated length that it misses by less (of its size, or mm). A box tells a diameter to
4.4 mm in nine of ten official rows, and a detector's box is not the reader's."""

MOST_AWAY_MM = 60.0
"""Words stand beside their lesion: a box whose edge is farther away is another's."""

CLEARLY = 3.0
"""A box is the one where every other that fits is so many times less likely, or, of words with a
place, so many times farther away."""

SAME_IOU = 0.3
"""Boxes that overlap more are one lesion."""


@dataclass(frozen=True)
class SizedBox:
    """A box that a detector proposes.

    Attributes:
        box: in pixels of the image, with DeepLesion's padding.
        score: probability that it is a lesion.
        long_mm: the diameter that the box speaks for.
    """

    box: Box
    score: float
    long_mm: float


Propose = Callable[[Slab], Sequence[SizedBox]]
"""A detector: the boxes on a slab's key slice, best first."""


@dataclass(frozen=True)
class BoxProposer:
    """A detector as mining uses it.

    Attributes:
        propose: its boxes on a key slice.
        half_depth_mm: how far beyond a slice it looks.
    """

    propose: Propose
    half_depth_mm: float


class NoProposalError(LesionSearchError):
    """Words whose lesion no box can be; ``verdict`` is its name."""

    def __init__(self, verdict: Verdict, words: str) -> None:
        super().__init__(words)
        self.verdict = verdict


def proposed(
    judged: JudgedMark,
    place: tuple[ImageHeader, SliceStack],
    proposer: BoxProposer,
    read: ReadImage,
) -> JudgedMark:
    """The verdict of words that wait for a proposal: its box, or why there is none.

    Raises SourceUnavailableError where the images cannot be had now.
    """
    header, stack = place
    position = stack.positions[header.key]
    try:
        slab = _slab(stack, position, proposer.half_depth_mm, read)
        spacing = header.plane.spacing_mm_px or (1.0, 1.0)
        return with_box(judged, chosen(judged, proposer.propose(slab), spacing), spacing)
    except SourceUnavailableError:
        raise
    except NoProposalError as none:
        return replace(judged, verdict=none.verdict, words=str(none))
    except LesionSearchError as wrong:
        return replace(judged, verdict=Verdict.UNREADABLE, words=str(wrong))


def chosen(
    judged: JudgedMark, boxes: Sequence[SizedBox], spacing_mm_px: tuple[float, float]
) -> SizedBox:
    """The box whose size the words state, nearest to their place where they have one.

    Raises NoProposalError: no box fits, or several do alike.
    """
    long_mm = judged.long_mm or 0.0
    likely = [one for one in boxes if one.score >= LEAST_SCORE]
    fitting = [one for one in likely if _fits(one, judged, spacing_mm_px)]
    if judged.point is not None:
        fitting = [one for one in fitting if _away(one, judged, spacing_mm_px) <= MOST_AWAY_MM]
        fitting = [
            one
            for one in fitting
            if one.score >= LEAST_FAR or _away(one, judged, spacing_mm_px) <= BESIDE_MM
        ]
        fitting.sort(key=lambda one: _away(one, judged, spacing_mm_px))
    else:
        fitting.sort(key=lambda one: -one.score)
    if not fitting:
        sizes = ", ".join(f"{one.long_mm:.0f}" for one in likely[:5])
        seen = f"{len(likely)} boxes of {sizes} mm" if likely else "no box"
        words = f"{long_mm:.0f} mm are stated, and the detector proposes {seen} there"
        raise NoProposalError(Verdict.NO_PROPOSAL, words)
    best, *others = fitting
    others = [one for one in others if one.box.iou(best.box) < SAME_IOU]
    if judged.point is None and best.score < LEAST_ALONE:
        words = (
            f"{long_mm:.0f} mm are stated without a place, and the likeliest box of that size has "
            f"the score {best.score:.2f}: {LEAST_ALONE} is needed"
        )
        raise NoProposalError(Verdict.NO_PROPOSAL, words)
    rival = next((one for one in others if not _is_clear(best, one, judged, spacing_mm_px)), None)
    if rival is not None:
        words = (
            f"{long_mm:.0f} mm are stated, and the detector proposes {len(others) + 1} boxes of "
            f"that size: {best.long_mm:.0f} mm ({best.score:.2f}) and {rival.long_mm:.0f} mm "
            f"({rival.score:.2f}) alike"
        )
        raise NoProposalError(Verdict.SEVERAL_PROPOSALS, words)
    return best


def with_box(judged: JudgedMark, found: SizedBox, spacing_mm_px: tuple[float, float]) -> JudgedMark:
    """The mark with a proposed box, and its stated diameters as lines along the box's sides."""
    box = found.box
    extent = (
        Box(
            *(edge + BOX_PADDING_PX for edge in (box.x1, box.y1)),
            *(edge - BOX_PADDING_PX for edge in (box.x2, box.y2)),
        )
        if min(box.width, box.height) > 2 * BOX_PADDING_PX + 0.5
        else _smallest(box)
    )
    where = "nearest to the words" if judged.point is not None else "the only one of that size"
    return replace(
        judged,
        verdict=Verdict.PROPOSED,
        words=f"the detector's box of {found.long_mm:.0f} mm, {where}, score {found.score:.2f}",
        extent=extent,
        recist=_stated_lines(judged, box, spacing_mm_px),
        is_doubtful=True,
        proposal_score=found.score,
    )


def _smallest(box: Box) -> Box:
    return Box.around(box.center, 0.5)


def _stated_lines(judged: JudgedMark, box: Box, spacing_mm_px: tuple[float, float]) -> Recist:
    (x, y), (x_mm, y_mm) = box.center, spacing_mm_px
    long_mm = judged.long_mm or 1.0
    short_mm = judged.short_mm or long_mm
    is_wide = box.width * x_mm >= box.height * y_mm
    half_x, half_y = (long_mm, short_mm) if is_wide else (short_mm, long_mm)
    half_x, half_y = half_x / x_mm / 2, half_y / y_mm / 2
    across, down = ((x - half_x, y), (x + half_x, y)), ((x, y - half_y), (x, y + half_y))
    return Recist((*across, *down) if is_wide else (*down, *across))


def _fits(one: SizedBox, judged: JudgedMark, spacing_mm_px: tuple[float, float]) -> bool:
    long_mm, short_mm = judged.long_mm or 0.0, judged.short_mm
    if not math.isclose(one.long_mm, long_mm, rel_tol=NEAR_PART, abs_tol=NEAR_MM):
        return False
    if short_mm is None:
        return True
    # Of an oblique mark the shorter side is longer than its short diameter, never much shorter.
    sides = zip((one.box.width, one.box.height), spacing_mm_px, strict=True)
    narrow = min((side - 2 * BOX_PADDING_PX) * mm for side, mm in sides)
    return narrow >= short_mm - max(NEAR_PART * short_mm, NEAR_MM)


def _away(one: SizedBox, judged: JudgedMark, spacing_mm_px: tuple[float, float]) -> float:
    """Millimetres from the words' place to the box without its padding; 0 inside of it."""
    assert judged.point is not None
    box = one.box
    x, y = judged.point
    off = (
        max(box.x1 + BOX_PADDING_PX - x, 0.0, x - box.x2 + BOX_PADDING_PX),
        max(box.y1 + BOX_PADDING_PX - y, 0.0, y - box.y2 + BOX_PADDING_PX),
    )
    return math.hypot(off[0] * spacing_mm_px[0], off[1] * spacing_mm_px[1])


def _is_clear(
    best: SizedBox, other: SizedBox, judged: JudgedMark, spacing_mm_px: tuple[float, float]
) -> bool:
    if best.score >= CLEARLY * other.score:
        return True
    if judged.point is None:
        return False
    near, far = (_away(one, judged, spacing_mm_px) for one in (best, other))
    # A tenth of the reach: whoever stands on a box stands on no other one.
    return far >= CLEARLY * max(near, MOST_AWAY_MM / 10)


def _slab(stack: SliceStack, position: int, half_depth_mm: float, read: ReadImage) -> Slab:
    depths = stack.depths_mm
    near = abs(depths - depths[position]) <= half_depth_mm + stack.interval_mm
    first = last = position
    while first > 0 and near[first - 1]:
        first -= 1
    while last + 1 < len(depths) and near[last + 1]:
        last += 1
    volume = read_sub_volume(stack, range(first, last + 1), position, read)
    slab = volume.key_slab(position)
    assert slab is not None
    return slab
