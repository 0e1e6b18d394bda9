"""Queries without a box: the detector proposes, every proposal is embedded, any can be chosen."""

from __future__ import annotations

import pytest

from retrieval.detection.proposals import Proposal, estimated_long_mm
from retrieval.lesion import Box
from service.engine.query import LesionQuery, QueryError
from service.engine.results import BoxSource, Candidate, DetectorIdentity
from service.engine.search_engine import SearchEngine
from tests.service.detectors import FixedDetector
from tests.service.samples import ToyEncoder


class CountingEncoder(ToyEncoder):
    """Notes how many patches came in each call and in what batch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def embed(self, patches, *, batch_size=32):
        self.calls.append((len(patches), batch_size))
        return super().embed(patches, batch_size=batch_size)


@pytest.fixture
def query(archive):
    lesion = archive.lesions[0]
    return lesion, archive.slab(lesion, half_depth_mm=5)


@pytest.fixture
def proposals(query):
    """A corner first, then the lesion, then a larger box about it."""
    box = query[0].box
    return (
        Proposal(Box(1, 1, 21, 13), 0.9, long_mm=11.0),
        Proposal(box, 0.6),
        Proposal(box.padded(8), 0.3),
    )


@pytest.fixture
def detecting(engine, proposals):
    return SearchEngine(CountingEncoder(), engine.index, FixedDetector(*proposals))


def test_the_best_proposal_is_searched_with_and_all_are_answered(detecting, query, proposals):
    result = detecting.search(LesionQuery(), query[1])
    assert result.box_source is BoxSource.DETECTED
    assert result.box == proposals[0].box
    spacing = query[1].spacing_mm_px
    lengths = [11.0, *(estimated_long_mm(one.box, spacing) for one in proposals[1:])]
    expected = [
        Candidate(one.box, one.score, length)
        for one, length in zip(proposals, lengths, strict=True)
    ]
    assert list(result.candidates) == expected
    assert result.to_json()["candidates"][0] == {
        "box": [1, 1, 21, 13],
        "score": 0.9,
        "long_mm": 11.0,
        "category": None,
    }


def test_any_candidate_answers_as_its_box_does_and_alone_is_embedded(detecting, query, proposals):
    lesion, slab = query
    for rank, proposal in enumerate(proposals, start=1):
        mine = LesionQuery(candidate=rank, patient_id=lesion.patient_id)
        result = detecting.search(mine, slab)
        given = detecting.search(LesionQuery(proposal.box, patient_id=lesion.patient_id), slab)
        for one, other in zip(result.hits, given.hits, strict=True):
            assert (one.lesion, one.similarity) == (other.lesion, other.similarity)
        assert result.follow_ups == given.follow_ups
    assert detecting.encoder.calls == [(1, 1)] * 6


def test_a_candidate_is_chosen_by_its_number(detecting, query, proposals):
    lesion, slab = query
    result = detecting.search(LesionQuery(candidate=2), slab)
    assert result.box == proposals[1].box
    assert result.recognised.lesion_id == lesion.lesion_id


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_number_that_no_candidate_has_is_refused(detecting, query, number):
    with pytest.raises(QueryError, match=f"candidate {number} .* 3"):
        detecting.search(LesionQuery(candidate=number), query[1])


def test_a_point_takes_the_best_proposal_that_holds_it(detecting, query, proposals):
    lesion, slab = query
    assert detecting.search(LesionQuery(point=lesion.box.center), slab).box == proposals[1].box
    rim = (lesion.box.x1 - 4, lesion.box.center[1])
    assert detecting.search(LesionQuery(point=rim), slab).box == proposals[2].box


def test_a_point_that_no_proposal_holds_says_so(detecting, query):
    with pytest.raises(QueryError, match="90,3"):
        detecting.search(LesionQuery(point=(90, 3)), query[1])


def test_a_point_needs_a_detector(engine, query):
    with pytest.raises(QueryError, match="no detector"):
        engine.search(LesionQuery(point=(40, 40)), query[1])


def test_one_way_to_choose_the_box(detecting, query):
    lesion, slab = query
    for both in ({"point": (1, 1), "candidate": 1}, {"box": lesion.box, "point": (1, 1)}):
        with pytest.raises(QueryError, match="one of"):
            detecting.search(LesionQuery(**both), slab)
    with pytest.raises(QueryError, match="one of"):
        detecting.search(LesionQuery(lesion.box, candidate=1), slab)


def test_a_given_box_does_not_ask_the_detector(engine, proposals, query):
    detector = FixedDetector(*proposals)
    engine = SearchEngine(engine.encoder, engine.index, detector)
    result = engine.search(LesionQuery(query[0].box), query[1])
    assert result.box_source is BoxSource.GIVEN
    assert (result.candidates, detector.seen) == ((), [])


def test_nothing_found_is_an_error_of_the_query_and_an_empty_detection(engine, query):
    with_detector = SearchEngine(engine.encoder, engine.index, FixedDetector())
    assert with_detector.detect(query[1]) == ()
    with pytest.raises(QueryError, match="found no lesion"):
        with_detector.search(LesionQuery(), query[1])


def test_the_detector_is_named_and_its_depth_is_asked_for(engine, detecting):
    assert detecting.detector_identity == DetectorIdentity("fixed", "fixed0")
    assert engine.detector_identity is None
    encoder_depth = ToyEncoder.spec.half_depth_mm
    assert detecting.half_depth_mm(detecting=True) == 12.0
    assert detecting.half_depth_mm(detecting=False) == encoder_depth
    assert engine.half_depth_mm(detecting=True) == encoder_depth
    with pytest.raises(QueryError, match="no detector"):
        engine.detect(None)


def test_the_time_of_detection_is_counted(detecting, query):
    timing = detecting.search(LesionQuery(), query[1]).timing_ms
    assert timing.detect > 0
    assert timing.total == pytest.approx(
        timing.detect + timing.patch + timing.encode + timing.search
    )
