"""Boxes of neighbouring slices become candidates; a scan visits every slice once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.detection.proposals import Proposal, ProposalError
from retrieval.detection.volumes import LinkOptions, join_slices, scan_volume
from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box, LesionType


def slab_of(slices: int, *, interval: float = 2.0) -> Slab:
    hu = np.zeros((slices, 8, 8), np.float32)
    return Slab(hu, (0.5, 0.5), interval, grid=GridMap(origin=(0, 0, 100)))


def at(x: float, score: float, *, side: float = 20, **fields) -> Proposal:
    return Proposal(Box(x, 10, x + side, 10 + side), score, **fields)


def test_a_lesion_over_four_slices_is_one_candidate_with_its_best_slice():
    proposals = [
        [],
        [at(10, 0.4)],
        [at(12, 0.9, side=26, long_mm=7.5, lesion_type=LesionType.LIVER), at(200, 0.5)],
        [at(11, 0.6)],
        [at(11, 0.2)],
    ]
    first, second = join_slices(proposals, slab_of(5), LinkOptions())
    assert first.box == Box(12, 10, 38, 36)
    assert (first.score, first.long_mm, first.lesion_type) == (0.9, 7.5, LesionType.LIVER)
    assert (first.key_slice_index, first.first_slice_index, first.last_slice_index) == (
        102,
        101,
        104,
    )
    assert first.slices == 4
    assert first.extent == Box(10, 10, 38, 36)
    assert first.extent_mm == pytest.approx((9.0, 8.0, 8.0))
    assert (second.score, second.slices, second.extent_mm[2]) == (0.5, 1, 2.0)
    assert second.long_mm == pytest.approx(5.5)


def test_a_candidate_survives_a_gap_as_long_as_allowed_and_no_longer():
    proposals = [[at(10, 0.9)], [], [], [], [at(10, 0.8)]]
    assert len(join_slices(proposals, slab_of(5), LinkOptions(max_gap_mm=6.0))) == 1
    assert len(join_slices(proposals, slab_of(5), LinkOptions(max_gap_mm=5.9))) == 2
    # Thick slices: the next one is a neighbour whatever the gap.
    next_slice = [[at(10, 0.9)], [at(10, 0.8)]]
    thick = slab_of(2, interval=10.0)
    assert len(join_slices(next_slice, thick, LinkOptions(max_gap_mm=0.0))) == 1


def test_two_lesions_side_by_side_stay_two():
    proposals = [[at(0, 0.9), at(8, 0.8)], [at(9, 0.7), at(1, 0.6)]]
    left, right = join_slices(proposals, slab_of(2), LinkOptions())
    assert (left.extent.x1, left.extent.x2, left.slices) == (0, 21, 2)
    assert (right.extent.x1, right.extent.x2, right.slices) == (8, 29, 2)


def test_weak_proposals_are_not_linked_and_the_limit_holds():
    proposals = [[at(0, 0.9), at(100, 0.1)], [at(50, 0.5), at(0, 0.05)]]
    kept = join_slices(proposals, slab_of(2), LinkOptions(min_score=0.1, limit=2))
    assert [candidate.score for candidate in kept] == [0.9, 0.5]
    assert kept[0].slices == 1


def test_json_and_the_row_of_protocol_b_say_the_same():
    (candidate,) = join_slices([[at(10, 0.5)], [at(11, 0.7)]], slab_of(2), LinkOptions())
    document = json.loads(json.dumps(candidate.to_json()))
    assert document["extent"] == [10, 10, 31, 30]
    assert candidate.to_row() == [10, 10, 100, 31, 30, 101, 0.7]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=4),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=80, deadline=None)
def test_every_box_stands_in_exactly_one_candidate(drawn):
    proposals = [[at(x, score / 20) for x, score in row] for row in drawn]
    candidates = join_slices(proposals, slab_of(len(drawn)), LinkOptions(limit=10_000))
    assert sum(candidate.slices for candidate in candidates) == sum(map(len, drawn))
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    best = max((score / 20 for row in drawn for _, score in row), default=None)
    assert best is None or scores[0] == best
    for candidate in candidates:
        assert candidate.extent.overlap_area(candidate.box) == pytest.approx(candidate.box.area)
        assert (
            candidate.first_slice_index <= candidate.key_slice_index <= candidate.last_slice_index
        )


class OneEachSlice:
    """Proposes the same box on every slice with a score that rises with the position."""

    name = fingerprint = "one"
    half_depth_mm = 0.0

    def __init__(self) -> None:
        self.visited: list[int] = []

    def detect(self, slab: Slab) -> Sequence[Proposal]:
        self.visited.append(slab.key_slice)
        return [at(10, slab.key_slice / 100)]

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[Sequence[Proposal]]:
        return [self.detect(slab.with_key_slice(position)) for position in positions]


def test_a_scan_visits_every_slice_once_and_reports():
    detector, reported = OneEachSlice(), []
    candidates = scan_volume(
        detector, slab_of(19), progress=lambda done, total: reported.append((done, total))
    )
    assert detector.visited == list(range(19))
    assert reported == [(8, 19), (16, 19), (19, 19)]
    assert [(one.slices, one.key_slice_index) for one in candidates] == [(19, 118)]


@pytest.mark.parametrize("wrong", [{"iou": 0.0}, {"iou": 1.5}, {"max_gap_mm": -1}, {"limit": 0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ProposalError, match=str(next(iter(wrong.values())))):
        LinkOptions(**wrong)


def test_as_many_lists_as_slices():
    with pytest.raises(ProposalError, match=r"2 lists .* 3 slices"):
        join_slices([[], []], slab_of(3), LinkOptions())
