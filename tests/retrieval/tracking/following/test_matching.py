"""The matcher's word on sightings: found, uncertain, not found."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.lesion import Box
from retrieval.position.locator import BodyLocator
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.dense_search import Sighting
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.following.findings import FollowState
from retrieval.tracking.following.matching import Sought, decide
from retrieval.tracking.following.model import EVIDENCE_NAMES, FollowModel
from retrieval.tracking.following.pixels import PixelFit
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import bundled_matcher
from tests.retrieval.tracking.following.series import KEY, MIDDLE, mark, scan

VECTOR = np.eye(1, 8, dtype=np.float32)[0]
WEIGHTS = {"similarity": 8.0, "location": 1.0, "pixels": 2.0, "proposed": -0.5}
MODEL = FollowModel(-3.5, tuple(WEIGHTS.get(name, 0.0) for name in EVIDENCE_NAMES))


@pytest.fixture(scope="module")
def area():
    own, locator = scan(), BodyLocator.load()
    expected = ExpectedPlace.of_pixels(mark(own), own, locator)
    assert expected is not None
    return SearchArea.of(own, locator.locate(own), expected)


def sighting(
    cosine: float, *, dx: float = 0.0, position: int = KEY, pixels: float | None = None
) -> Sighting:
    x, y = MIDDLE[0] + dx, MIDDLE[1]
    vector = np.zeros(8, np.float32)
    vector[:2] = cosine, np.sqrt(1 - cosine**2)
    box = Box(x - 10, y - 10, x + 10, y + 10)
    fit = None if pixels is None else PixelFit(pixels, 1.0)
    return Sighting(position, box, vector, cosine, pixels=fit)


def decided(area, *sightings, others=()):
    sought = Sought.at(TrackNode(mark(area.slab), VECTOR), others, area)
    judged = decide(sightings, sought, area, bundled_matcher(), MODEL)
    return judged.state, list(judged.findings)


def test_looks_and_place_make_it_found(area):
    state, findings = decided(area, sighting(0.98), sighting(0.2, dx=12))
    assert state is FollowState.FOUND
    assert findings[0].similarity == pytest.approx(0.98)
    assert findings[0].score > findings[1].score


def test_what_looks_like_nothing_is_not_found(area):
    state, findings = decided(area, sighting(-0.3), sighting(-0.4, dx=12))
    assert state is FollowState.NOT_FOUND
    assert len(findings) == 2


def test_what_looks_a_little_alike_is_uncertain_and_not_denied(area):
    state, findings = decided(area, sighting(0.35), sighting(0.1, dx=12))
    assert MODEL.gone < findings[0].score < MODEL.found
    assert state is FollowState.UNCERTAIN


def test_two_that_look_alike_are_uncertain(area):
    state, findings = decided(area, sighting(0.97, dx=-6), sighting(0.97, dx=6.5))
    assert state is FollowState.UNCERTAIN
    assert min(one.score for one in findings) > 0.1


def test_neighbouring_sightings_are_one_candidate(area):
    _, findings = decided(
        area, sighting(0.9), sighting(0.95, dx=1), sighting(0.9, position=KEY + 1)
    )
    assert [one.similarity for one in findings] == [pytest.approx(0.95)]


def test_another_lesion_of_the_study_takes_its_own_place(area):
    own = mark(area.slab).with_changes(location=area.expected.location)
    there = area.location_of(KEY, (MIDDLE[0] + 20, MIDDLE[1]))
    other_vector = sighting(0.9).vector
    other = TrackNode(own.with_changes(lesion_id="other", location=there), other_vector)
    seen = sighting(0.9, dx=20)
    sought = Sought.at(TrackNode(own, VECTOR), [], area)
    alone = decide([seen], sought, area, bundled_matcher(), MODEL).findings[0].score
    competing = Sought.at(TrackNode(own, VECTOR), [other], area)
    judged = decide([seen], competing, area, bundled_matcher(), MODEL)
    assert judged.findings[0].score < alone / 2


def test_its_own_pixels_tell_it_from_what_looks_alike(area):
    state, findings = decided(
        area, sighting(0.9, dx=-6, pixels=0.95), sighting(0.9, dx=6.5, pixels=0.1)
    )
    assert state is FollowState.FOUND
    assert findings[0].terms.contributions["pixels"] > findings[1].terms.contributions["pixels"]


def test_scores_and_the_chance_of_none_add_up(area):
    sought = Sought.at(TrackNode(mark(area.slab), VECTOR), (), area)
    seen = [sighting(0.5), sighting(0.3, dx=14)]
    judged = decide(seen, sought, area, bundled_matcher(), MODEL)
    odds = [np.exp(sum(one.terms.contributions.values())) for one in judged.findings]
    assert judged.probability_there == pytest.approx(sum(odds) / (1 + sum(odds)))
    assert [one.score for one in judged.findings] == pytest.approx(
        [one / (1 + sum(odds)) for one in odds]
    )


def test_nothing_seen_is_not_found(area):
    assert decided(area) == (FollowState.NOT_FOUND, [])
