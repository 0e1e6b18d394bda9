"""Which of the detector's proposals an answer shows, and which can still be chosen."""

from __future__ import annotations

import pytest

from retrieval.detection.proposals import LEAST_SHOWN_SCORE, SHOWN, Proposal
from retrieval.lesion import Box
from service.engine.query import LesionQuery, QueryError
from service.engine.search_engine import SearchEngine
from tests.service.detectors import FixedDetector
from tests.service.samples import ToyEncoder

SCORES = (0.9, 0.8, 0.7, 0.3, 0.2, 0.1, LEAST_SHOWN_SCORE / 2)


@pytest.fixture
def slab(archive):
    return archive.slab(archive.lesions[0], half_depth_mm=5)


@pytest.fixture
def detecting(engine):
    boxes = [Box(2 + 10 * place, 5, 11 + 10 * place, 20) for place in range(len(SCORES))]
    detector = FixedDetector(*map(Proposal, boxes, SCORES))
    return SearchEngine(ToyEncoder(), engine.index, detector)


def test_the_five_best_are_shown_and_all_when_asked(detecting, slab) -> None:
    assert [one.score for one in detecting.detect(slab)] == list(SCORES[:SHOWN])
    assert [one.score for one in detecting.detect(slab, every=True)] == list(SCORES)


def test_any_proposal_can_be_chosen_and_is_shown_then(detecting, slab) -> None:
    result = detecting.search(LesionQuery(candidate=7), slab)
    assert result.box == result.candidates[6].box
    assert len(detecting.search(LesionQuery(candidate=2), slab).candidates) == SHOWN
    chosen = detecting.search(LesionQuery(point=(55.0, 10.0)), slab)
    assert chosen.box == chosen.candidates[5].box


def test_an_unlikely_best_is_not_taken_unasked(engine, slab) -> None:
    unlikely = Proposal(Box(5, 5, 30, 30), LEAST_SHOWN_SCORE / 2)
    detecting = SearchEngine(ToyEncoder(), engine.index, FixedDetector(unlikely))
    assert detecting.detect(slab) == ()
    with pytest.raises(QueryError, match=r"0\.025, below 0\.05"):
        detecting.search(LesionQuery(), slab)
    assert detecting.search(LesionQuery(candidate=1), slab).box == unlikely.box
