"""A detector without a network, for the tests of what is built around one."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.detection.proposals import Proposal
from retrieval.image import Slab


class FixedDetector:
    """Always proposes the same boxes; remembers the slabs it was shown."""

    name = "fixed"
    fingerprint = "fixed0"

    def __init__(self, *proposals: Proposal, half_depth_mm: float = 12.0) -> None:
        self.half_depth_mm = half_depth_mm
        self.seen: list[Slab] = []
        self._proposals = proposals

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        self.seen.append(slab)
        return self._proposals

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[tuple[Proposal, ...]]:
        return [self.detect(slab.with_key_slice(position)) for position in positions]
