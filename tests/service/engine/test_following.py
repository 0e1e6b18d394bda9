"""Following a lesion with an engine: whose series it is, what is answered, what is accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.catalog.reader import LesionRecord
from index.errors import UnknownLesionError
from index.lesion_index import LesionIndex
from index.reports import ReaderDecision
from retrieval.lesion import ImageSource
from retrieval.pixel_hash import pixel_hash
from retrieval.tracking.following.findings import FollowState
from retrieval.tracking.states import FollowUpState
from service.engine.following import (
    FollowRequest,
    OtherPatientError,
    SameStudyError,
    follow,
    keep_search,
    series_hash,
)
from service.engine.patient_tracks import tracks_of
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine, binding_of
from service.http.uploads.accepted_findings import (
    AcceptError,
    FindingAcceptance,
    NewStudy,
    chosen_finding,
)
from service.http.uploads.added_lesions import AddedLesions
from tests.retrieval.tracking.following.series import (
    INTERVAL,
    SPACING,
    GreyEncoder,
    located_mark,
    node_of,
    scan,
)


@pytest.fixture
def following(tmp_path):
    """An engine that holds one lesion of patient P, and one of patient Q in another series."""
    encoder = GreyEncoder()
    index = LesionIndex.create(tmp_path / "index", binding_of(encoder))
    own, foreign = scan(), scan(noise=9)
    lesion = located_mark(own)
    other = lesion.with_changes(lesion_id="foreign", patient_id="Q", study_id="Q1")
    records = [
        LesionRecord(
            one,
            node_of(slab, one, encoder).vector,
            ImageSource(
                "nowhere", "x/001.png", SPACING, INTERVAL, pixel_hash(slab.hu[slab.key_slice])
            ),
        )
        for one, slab in ((lesion, own), (other, foreign))
    ]
    index.add(records)
    with index:
        yield SearchEngine(encoder, index)


LATER = {"shift_px": (2, -2), "first": 2, "noise": 3}


def test_the_lesion_is_found_by_its_location_alone(following):
    found = follow(following, FollowRequest("prior"), scan(**LATER))
    assert found.state in {FollowState.FOUND, FollowState.UNCERTAIN}
    assert found.candidates[0].similarity > 0.8
    assert any("not at hand" in warning for warning in found.warnings)
    document = found.to_json()
    assert document["box"] == found.candidates[0].box.to_list()
    assert document["covered"]["share"] <= 1


def test_another_patients_series_is_refused(following):
    with pytest.raises(OtherPatientError, match="patient Q by its files"):
        follow(following, FollowRequest("prior", patient_id="Q"), scan(**LATER))
    with pytest.raises(OtherPatientError, match="indexed as patient Q"):
        follow(following, FollowRequest("prior"), scan(noise=9))


def test_the_lesions_own_study_is_refused(following):
    with pytest.raises(SameStudyError, match="another study"):
        follow(following, FollowRequest("prior"), scan())
    with pytest.raises(SameStudyError, match="another study"):
        follow(following, FollowRequest("prior", study_id="S1"), scan(**LATER))


def test_an_unknown_lesion_is_refused(following):
    with pytest.raises(UnknownLesionError, match="nobody"):
        follow(following, FollowRequest("nobody"), scan(**LATER))


def test_nothing_is_stored_before_a_reader_accepts(following):
    slab = scan(**LATER)
    found = follow(following, FollowRequest("prior", "P", "S2"), slab)
    assert following.index.count() == 2
    assert following.index.matches("P") == []
    acceptance = FindingAcceptance(following, AddedLesions(following))
    finding = chosen_finding(found, 1)
    prepared = acceptance.prepare(finding, slab, "prior", NewStudy("S2"))
    lesion = acceptance.store(prepared)
    assert (lesion.patient_id, lesion.study_id) == ("P", "S2")
    (match,) = following.index.matches("P")
    assert {match.lesion_a, match.lesion_b} == {"prior", lesion.lesion_id}
    assert match.verdict is ReaderDecision.CONFIRMED
    shown = slab.grid.to_display_box(finding.box)
    assert np.allclose(lesion.box.to_list(), shown.to_list())

    again = acceptance.store(acceptance.prepare(finding, slab, "prior", NewStudy("S2")))
    assert again.lesion_id == lesion.lesion_id
    assert following.index.count() == 3


def test_what_cannot_be_accepted_is_said(following):
    slab = scan(**LATER)
    found = follow(following, FollowRequest("prior"), slab)
    acceptance = FindingAcceptance(following, AddedLesions(following))
    with pytest.raises(AcceptError, match="numbered from 1"):
        chosen_finding(found, 99)
    for study in (None, "../x", "S1"):
        with pytest.raises(AcceptError, match="study"):
            acceptance.prepare(found.candidates[0], slab, "prior", NewStudy(study))


def test_a_place_that_was_not_found_is_no_proposal(following):
    found = follow(following, FollowRequest("prior"), scan(**LATER))
    none = replace(found, state=FollowState.NOT_FOUND)
    assert none.best is None
    assert none.dls_center() is None
    assert none.to_json()["box"] is None
    best = found.candidates[0]
    assert found.dls_center() == [*best.box.center, best.key_slice_index]


def test_a_kept_search_makes_the_lesion_vanished(following):
    slab = scan(**LATER)
    found = replace(
        follow(following, FollowRequest("prior", "P", "S2"), slab), state=FollowState.NOT_FOUND
    )
    found = replace(found, covered=replace(found.covered, share=0.99), candidates=())
    assert tracks_of(following.index, "P").tracks[0].vanished_in is None
    kept = keep_search(following, found, slab)
    assert kept.is_evidence
    assert kept.model.startswith(following.encoder.fingerprint)
    assert following.index.searches.of("P") == [kept]
    assert tracks_of(following.index, "P").tracks[0].vanished_in == "S2"
    query = LesionQuery(lesion_id="prior")
    (follow_up,) = following.search(query).follow_ups
    assert follow_up.state is FollowUpState.VANISHED
    # The same series again, whatever its order: one search is kept.
    turned = replace(slab, hu=slab.hu[::-1].copy())
    assert series_hash(turned) == series_hash(slab)
    keep_search(following, replace(found, state=FollowState.UNCERTAIN), turned)
    assert tracks_of(following.index, "P").tracks[0].vanished_in is None
    assert len(following.index.searches.of("P")) == 1


def test_a_search_in_a_series_of_no_known_study_is_not_kept(following):
    slab = scan(**LATER)
    assert keep_search(following, follow(following, FollowRequest("prior"), slab), slab) is None
    assert following.index.searches.of() == []
