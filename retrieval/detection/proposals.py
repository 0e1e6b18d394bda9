"""Proposal: a box a detector proposes on one slice, and the diameter such a box speaks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box, LesionSearchError, LesionType

SHORT_SIDE_SHARE = 0.1
"""What the shorter side of a mark's extent adds to the estimate of its long diameter."""


SHOWN = 5
"""The best few that an answer shows where nobody asks for all."""

LEAST_SHOWN_SCORE = 0.05
"""Below it a box is not shown where nobody asks for all."""


class ProposalError(LesionSearchError):
    """A proposal that cannot be one, or proposals that cannot be merged."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that may hold a lesion.

    Attributes:
        box: in pixels of the slice it was found on, with DeepLesion's padding.
        score: in [0, 1], bigger is surer; the probability that the box is a lesion where the
            detector is calibrated.
        long_mm: the estimated RECIST-like long diameter; None where the spacing is not known.
        lesion_type: what the detector takes it for; unknown where it has one class only.
        category: the mined category it takes it for; None where it has learnt none.
    """

    box: Box
    score: float
    long_mm: float | None = None
    lesion_type: LesionType = LesionType.UNKNOWN
    category: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.score) and 0.0 <= self.score <= 1.0):
            raise ProposalError(f"a proposal's score is {self.score}: a number in [0, 1] is needed")

    def to_json(self) -> dict[str, Any]:
        """``box``, ``score``, ``long_mm``, ``lesion_type`` and ``category``."""
        return {
            "box": self.box.to_list(),
            "score": self.score,
            "long_mm": self.long_mm,
            "lesion_type": self.lesion_type.value,
            "category": self.category,
        }


class SliceDetector(Protocol):
    """What the product needs of a detector; ``LesionDetector`` is its own."""

    @property
    def name(self) -> str:
        """What the detector is called."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of its weights and settings."""
        ...

    @property
    def half_depth_mm(self) -> float:
        """How far beyond a slice its context reaches."""
        ...

    def detect(self, slab: Slab) -> Sequence[Proposal]:
        """The proposals on the slab's key slice, best first; empty where nothing is found."""
        ...

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> Sequence[Sequence[Proposal]]:
        """The proposals on each of the slices at ``positions`` in the slab, in their order."""
        ...


def best_few(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """What is shown of proposals, best first, where nobody asks for all."""
    return tuple(one for one in proposals[:SHOWN] if one.score >= LEAST_SHOWN_SCORE)


def of_kind(proposals: Sequence[Proposal], wanted: str) -> tuple[Proposal, ...]:
    """The proposals that the detector takes for a category or a lesion type, in their order."""
    return tuple(one for one in proposals if wanted in (one.category, one.lesion_type.value))


@dataclass(frozen=True)
class OneKind:
    """A detector of which the proposals of one category or lesion type alone are asked for."""

    detector: SliceDetector
    wanted: str

    @property
    def name(self) -> str:
        """The detector's."""
        return self.detector.name

    @property
    def fingerprint(self) -> str:
        """The detector's."""
        return self.detector.fingerprint

    @property
    def half_depth_mm(self) -> float:
        """The detector's."""
        return self.detector.half_depth_mm

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        """The proposals of the kind on the slab's key slice, best first."""
        return of_kind(self.detector.detect(slab), self.wanted)

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[tuple[Proposal, ...]]:
        """The proposals of the kind on each of the slices at ``positions``."""
        return [of_kind(x, self.wanted) for x in self.detector.detect_slices(slab, positions)]


def estimated_long_mm(box: Box, spacing_mm_px: tuple[float, float]) -> float:
    """The long diameter in mm of the RECIST mark whose extent, padded by 5 px, is ``box``.

    The padding is taken off, and a tenth of the extent's shorter side is added to its longer
    one: an upright mark is as long as the longer side, an oblique one longer than both. On
    DeepLesion's 9,816 validation and test rows, whose boxes and diameters are both known, the
    share was chosen on validation; the median absolute error there is 1.09 mm, on test 1.16 mm
    (mean 1.94 mm, nine in ten under 4.4 mm, no bias). The longer side alone reads 1.2 mm short.

    A box smaller than its padding speaks for a mark of one pixel.
    """
    sides = (
        max(box.width - 2 * BOX_PADDING_PX, 1.0) * spacing_mm_px[0],
        max(box.height - 2 * BOX_PADDING_PX, 1.0) * spacing_mm_px[1],
    )
    return max(sides) + SHORT_SIDE_SHARE * min(sides)
