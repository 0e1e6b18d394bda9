"""The detector's candidates about an expected place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.detection.proposals import Proposal, SliceDetector
from retrieval.detection.volumes import Candidate3D, LinkOptions, join_slices
from retrieval.image import Slab
from retrieval.tracking.following.dense_search import Comparison, Sighting
from retrieval.tracking.following.search_area import SearchArea

SLICE_GAP_MM = 5.0
SLICES_AT_ONCE = 8
NEAR_MM = 80.0
"""Candidates further from the expected point in the plane are another lesion."""

MOST_CANDIDATES = 30
MOST_SLICES = 9
"""Only so many slices, the nearest to the expected height: the detector is the slowest part."""


def proposed(detector: SliceDetector, area: SearchArea) -> list[Candidate3D]:
    """The detector's candidates on the area's slices, best first, in the display grid."""
    slab = area.slab.as_displayed()
    level = area.expected.location[2]
    near = sorted(area.thinned(SLICE_GAP_MM), key=lambda at: abs(area.heights[at] - level))
    looked = sorted(near[:MOST_SLICES])
    found: list[Sequence[Proposal]] = [()] * len(slab.hu)
    for first in range(0, len(looked), SLICES_AT_ONCE):
        positions = looked[first : first + SLICES_AT_ONCE]
        for at, proposals in zip(positions, detector.detect_slices(slab, positions), strict=True):
            found[at] = proposals
    # Slices that were left out must not part a candidate in two.
    gap_mm = 2 * max(SLICE_GAP_MM, slab.slice_interval_mm)
    return list(join_slices(found, slab, LinkOptions(max_gap_mm=gap_mm)))


def compared(
    candidates: Sequence[Candidate3D], area: SearchArea, comparison: Comparison
) -> list[Sighting]:
    """The likeliest candidates near the place, each compared on its best slice."""
    near = [
        one
        for one in candidates
        if _inside(one, area.slab) and area.distance_mm(one.key_slice_index, one.box) <= NEAR_MM
    ][:MOST_CANDIDATES]
    sightings = comparison.compare([(one.key_slice_index, one.box) for one in near])
    return [
        replace(seen, detector_score=one.score) for seen, one in zip(sightings, near, strict=True)
    ]


def _inside(one: Candidate3D, slab: Slab) -> bool:
    x, y = one.box.center
    return 0 <= x <= slab.columns - 1 and 0 <= y <= slab.rows - 1
