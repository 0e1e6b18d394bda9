"""Merging against naive loops, and what must hold for any detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.detection.merging import MergeMethod, merge_proposals, nms
from retrieval.detection.proposals import Proposal, ProposalError
from retrieval.lesion import Box, LesionType


@st.composite
def _proposal(draw: st.DrawFn) -> Proposal:
    x, y = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    width, height = draw(st.integers(5, 40)), draw(st.integers(5, 40))
    score = draw(st.integers(0, 20)) / 20
    return Proposal(Box(x, y, x + width, y + height), score, long_mm=float(width))


_PROPOSALS = st.lists(_proposal(), max_size=12)


def _naive_nms(proposals: Sequence[Proposal], iou: float) -> list[Proposal]:
    waiting = sorted(proposals, key=lambda proposal: -proposal.score)
    kept: list[Proposal] = []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        waiting = [other for other in waiting if other.box.iou(best.box) <= iou]
    return kept


def _naive_fusion(proposals: Sequence[Proposal], iou: float) -> list[tuple[list[float], float]]:
    groups: list[list[Proposal]] = []

    def fused(group: list[Proposal]) -> list[float]:
        total = sum(member.score for member in group)
        return [
            sum(member.box.to_list()[edge] * member.score for member in group) / total
            for edge in range(4)
        ]

    for proposal in sorted(proposals, key=lambda proposal: -proposal.score):
        overlaps = [proposal.box.iou(Box(*fused(group))) for group in groups]
        if overlaps and max(overlaps) > iou:
            groups[overlaps.index(max(overlaps))].append(proposal)
        else:
            groups.append([proposal])
    return [(fused(group), group[0].score) for group in groups]


@given(_PROPOSALS, st.sampled_from([0.1, 0.33, 0.5, 0.77]))
@settings(max_examples=150, deadline=None)
def test_nms_is_the_naive_loop(proposals: list[Proposal], iou: float) -> None:
    merged = merge_proposals(proposals, method=MergeMethod.NMS, iou=iou, limit=100)
    assert list(merged) == _naive_nms(proposals, iou)


@given(_PROPOSALS, st.sampled_from([0.13, 0.37, 0.51]))
@settings(max_examples=150, deadline=None)
def test_fusion_is_the_naive_loop(proposals: list[Proposal], iou: float) -> None:
    proposals = [proposal for proposal in proposals if proposal.score > 0]
    merged = merge_proposals(proposals, method=MergeMethod.WBF, iou=iou, limit=100)
    expected = _naive_fusion(proposals, iou)
    assert [proposal.score for proposal in merged] == [score for _, score in expected]
    for proposal, (corners, _) in zip(merged, expected, strict=True):
        assert proposal.box.to_list() == pytest.approx(corners)


@given(_PROPOSALS, st.sampled_from(list(MergeMethod)), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_best_first_within_the_limit_and_inside_the_raw_extent(
    proposals: list[Proposal], method: MergeMethod, limit: int
) -> None:
    merged = merge_proposals(proposals, method=method, iou=0.4, limit=limit)
    scores = [proposal.score for proposal in merged]
    assert scores == sorted(scores, reverse=True)
    assert len(merged) == min(
        limit, len(merge_proposals(proposals, method=method, iou=0.4, limit=99))
    )
    assert bool(merged) == bool(proposals)
    if merged:
        assert merged[0].score == max(proposal.score for proposal in proposals)
        assert min(p.box.x1 for p in merged) >= min(p.box.x1 for p in proposals) - 1e-9
        assert max(p.box.y2 for p in merged) <= max(p.box.y2 for p in proposals) + 1e-9


def test_two_boxes_of_one_lesion_meet_nearer_the_surer_one() -> None:
    sure = Proposal(Box(0, 0, 10, 10), 0.9, long_mm=9.0, lesion_type=LesionType.LIVER)
    unsure = Proposal(Box(2, 0, 12, 10), 0.3, long_mm=12.0, lesion_type=LesionType.LUNG)
    far = Proposal(Box(50, 50, 60, 60), 0.5)
    first, second = merge_proposals([unsure, far, sure], method=MergeMethod.WBF, iou=0.5, limit=5)
    assert first.box.to_list() == pytest.approx([0.5, 0, 10.5, 10])
    assert (first.score, first.lesion_type) == (0.9, LesionType.LIVER)
    assert first.long_mm == pytest.approx(9.75)
    assert second == far


def test_fusing_detections_of_score_zero_is_their_plain_mean() -> None:
    boxes = [Proposal(Box(0, 0, 10, 10), 0.0), Proposal(Box(2, 0, 12, 10), 0.0)]
    (fused,) = merge_proposals(boxes, method=MergeMethod.WBF, iou=0.5, limit=5)
    assert fused.box.to_list() == pytest.approx([1, 0, 11, 10])


def test_equal_scores_keep_their_order() -> None:
    boxes = [Proposal(Box(20 * n, 0, 20 * n + 10, 10), 0.5) for n in (3, 1, 2, 0)]
    for method in MergeMethod:
        assert list(merge_proposals(boxes, method=method, iou=0.5, limit=9)) == boxes
    same = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10.5]])
    assert nms(same, np.array([0.5, 0.5]), 0.5) == [0]


@pytest.mark.parametrize(
    ("iou", "limit", "named"), [(1.0, 5, "1.0"), (-0.1, 5, "-0.1"), (0.5, 0, "0")]
)
def test_impossible_settings_are_named(iou: float, limit: int, named: str) -> None:
    with pytest.raises(ProposalError, match=named):
        merge_proposals([], method=MergeMethod.NMS, iou=iou, limit=limit)
