"""Whole series: proposals of every slice, and boxes of neighbouring slices joined to candidates.

A lesion shows on several slices. Boxes of neighbouring slices that overlap far enough are one
candidate in 3D; its score is that of its best slice, so that a long candidate is worth no more
than a sure one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.detection.proposals import Proposal, ProposalError, SliceDetector, estimated_long_mm
from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box, LesionType

SLICES_AT_ONCE = 8
"""Slices handed to the detector together, which may share the work on their neighbours."""

_MANY_SLICES = 10_000


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """When boxes of two slices are one candidate.

    Attributes:
        iou: the least overlap, in (0, 1].
        max_gap_mm: how much of a candidate may lie between two of its boxes without one; the next
            slice is a neighbour whatever the interval.
        min_score: proposals below it are not linked at all.
        limit: the most candidates.
    """

    iou: float = 0.3
    max_gap_mm: float = 6.0
    min_score: float = 0.0
    limit: int = 100

    def __post_init__(self) -> None:
        if not 0.0 < self.iou <= 1.0:
            raise ProposalError(f"boxes are linked at an IoU of {self.iou}: give one in (0, 1]")
        if not (math.isfinite(self.max_gap_mm) and self.max_gap_mm >= 0) or self.limit < 1:
            raise ProposalError(
                f"gap {self.max_gap_mm} mm, limit {self.limit}: 0 mm or more, 1 or more are needed"
            )


@dataclass(frozen=True, slots=True)
class Candidate3D:
    """A place in a series that may hold a lesion.

    Attributes:
        box: on its best slice, in pixels of the file grid.
        score: of that slice.
        key_slice_index: the file's own number of it.
        first_slice_index, last_slice_index: the slices on which it has a box, both included.
        slices: on how many of them it has one.
        extent: what its boxes cover together, in pixels.
        extent_mm: along x, y and z; in the plane without the boxes' padding.
        long_mm: the estimated long diameter on the best slice.
        lesion_type: of the best slice's proposal.
        category: of the best slice's proposal; None where the detector has learnt none.
    """

    box: Box
    score: float
    key_slice_index: int
    first_slice_index: int
    last_slice_index: int
    slices: int
    extent: Box
    extent_mm: tuple[float, float, float]
    long_mm: float
    lesion_type: LesionType = LesionType.UNKNOWN
    category: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "box": self.box.to_list(),
            "score": self.score,
            "long_mm": self.long_mm,
            "lesion_type": self.lesion_type.value,
            "category": self.category,
            "key_slice_index": self.key_slice_index,
            "first_slice_index": self.first_slice_index,
            "last_slice_index": self.last_slice_index,
            "slices": self.slices,
            "extent": self.extent.to_list(),
            "extent_mm": list(self.extent_mm),
        }

    def to_row(self) -> list[float]:
        """``x1, y1, z1, x2, y2, z2, score``: the row of a file of predictions in sub-volumes."""
        low = [self.extent.x1, self.extent.y1, float(self.first_slice_index)]
        high = [self.extent.x2, self.extent.y2, float(self.last_slice_index)]
        return [*low, *high, self.score]


def scan_volume(
    detector: SliceDetector,
    slab: Slab,
    options: LinkOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Candidate3D, ...]:
    """The candidates of every slice of the slab, best first.

    ``progress`` is called with (done, total) slices.
    """
    total = len(slab.hu)
    proposals: list[Sequence[Proposal]] = []
    for first in range(0, total, SLICES_AT_ONCE):
        positions = range(first, min(first + SLICES_AT_ONCE, total))
        proposals.extend(detector.detect_slices(slab, positions))
        if progress is not None:
            progress(len(proposals), total)
    return join_slices(proposals, slab, options or LinkOptions())


def join_slices(
    proposals: Sequence[Sequence[Proposal]], slab: Slab, options: LinkOptions
) -> tuple[Candidate3D, ...]:
    """The candidates of proposals on consecutive slices, best first.

    From slice to slice the pair of an open candidate's last box and a new box that overlap most
    is joined first; each takes part in one pair. What finds no partner opens a candidate, and one
    that found none for longer than the gap is closed.

    Args:
        proposals: of each slice of the slab, in their order.
        slab: gives spacing and slice numbers; its pixels are not read.
        options: when two boxes are one candidate.

    Raises:
        ProposalError: there are not as many lists as slices.
    """
    if len(proposals) != len(slab.hu):
        raise ProposalError(
            f"{len(proposals)} lists of proposals for {len(slab.hu)} slices: one a slice is needed"
        )
    reach = 1 + min(math.floor(options.max_gap_mm / slab.slice_interval_mm + 1e-6), _MANY_SLICES)
    chains: list[_Chain] = []
    open_chains: list[_Chain] = []
    for position, found in enumerate(proposals):
        open_chains = [chain for chain in open_chains if position - chain.last <= reach]
        boxes = [proposal for proposal in found if proposal.score >= options.min_score]
        started = _extend(open_chains, boxes, position, options.iou)
        chains += started
        open_chains += started
    candidates = [chain.candidate(slab) for chain in chains]
    candidates.sort(key=lambda one: (-one.score, one.key_slice_index, one.box.to_list()))
    return tuple(candidates[: options.limit])


@dataclass
class _Chain:
    """A candidate while it grows: (position, proposal) of each of its boxes."""

    links: list[tuple[int, Proposal]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.links[-1][0]

    def candidate(self, slab: Slab) -> Candidate3D:
        position, best = max(self.links, key=lambda link: link[1].score)
        boxes = [proposal.box for _, proposal in self.links]
        extent = Box(
            min(box.x1 for box in boxes),
            min(box.y1 for box in boxes),
            max(box.x2 for box in boxes),
            max(box.y2 for box in boxes),
        )
        first, last = self.links[0][0], self.last
        long_mm = best.long_mm
        if long_mm is None:
            long_mm = estimated_long_mm(best.box, slab.file_spacing_mm_px)
        grid = slab.grid
        ends = sorted((grid.to_file_slice(first), grid.to_file_slice(last)))
        return Candidate3D(
            box=best.box,
            score=best.score,
            key_slice_index=grid.to_file_slice(position),
            first_slice_index=ends[0],
            last_slice_index=ends[1],
            slices=len(self.links),
            extent=extent,
            extent_mm=_extent_mm(extent, last - first + 1, slab),
            long_mm=long_mm,
            lesion_type=best.lesion_type,
            category=best.category,
        )


def _extent_mm(extent: Box, slices: int, slab: Slab) -> tuple[float, float, float]:
    x_mm, y_mm = slab.file_spacing_mm_px
    bare = 2 * BOX_PADDING_PX
    width, height = max(extent.width - bare, 1.0), max(extent.height - bare, 1.0)
    return width * x_mm, height * y_mm, slices * slab.slice_interval_mm


def _extend(
    chains: Sequence[_Chain], boxes: Sequence[Proposal], position: int, iou: float
) -> list[_Chain]:
    """Joins boxes of one slice to open chains, most overlap first; returns the chains started."""
    pairs = [
        (chain.links[-1][1].box.iou(proposal.box), number, place)
        for number, chain in enumerate(chains)
        for place, proposal in enumerate(boxes)
    ]
    joined_chains: set[int] = set()
    joined_boxes: set[int] = set()
    for overlap, number, place in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if overlap < iou:
            break
        if number not in joined_chains and place not in joined_boxes:
            joined_chains.add(number)
            joined_boxes.add(place)
            chains[number].links.append((position, boxes[place]))
    return [
        _Chain([(position, proposal)])
        for place, proposal in enumerate(boxes)
        if place not in joined_boxes
    ]
