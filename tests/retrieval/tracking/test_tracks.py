"""Tracks and follow-ups: properties that must hold for any patient."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.tracking.edges import TrackNode
from retrieval.tracking.errors import MatchConflictError, TrackingError
from retrieval.tracking.fitting.fit import LabelledPatient
from retrieval.tracking.fitting.simulated_patients import (
    SimulationSettings,
    simulate_patient,
    simulate_patients,
)
from retrieval.tracking.patient_timeline import PatientEvidence
from retrieval.tracking.states import FollowUpState, LinkState
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.track_types import PatientTracks
from retrieval.tracking.tracks import follow_ups, track_patient
from tests.retrieval.tracking.nodes import node

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def patient(seed: int) -> LabelledPatient:
    return simulate_patient(np.random.default_rng(seed), "P1")


def cross_pairs(nodes: list[TrackNode]) -> list[tuple[str, str]]:
    return [
        (a.lesion.lesion_id, b.lesion.lesion_id)
        for a, b in combinations(nodes, 2)
        if a.lesion.study_id != b.lesion.study_id
    ]


def track_of(tracks: PatientTracks) -> dict[str, str]:
    return {lesion.lesion_id: track.track_id for track in tracks.tracks for lesion in track.lesions}


@quick
@given(SEEDS)
def test_every_lesion_stands_in_one_track_with_at_most_one_a_study(seed: int) -> None:
    nodes = list(patient(seed).nodes)
    tracks = track_patient(nodes)
    placed = [lesion.lesion_id for track in tracks.tracks for lesion in track.lesions]
    assert sorted(placed) == sorted(one.lesion.lesion_id for one in nodes)
    for track in tracks.tracks:
        studies = [lesion.study_id for lesion in track.lesions]
        assert len(set(studies)) == len(studies)
        assert studies == sorted(studies, key=tracks.order.study_ids.index)


@quick
@given(SEEDS)
def test_the_order_of_the_lesions_changes_nothing(seed: int) -> None:
    nodes = list(patient(seed).nodes)
    shuffled = [nodes[i] for i in np.random.default_rng(seed).permutation(len(nodes))]
    assert track_patient(nodes).to_json() == track_patient(shuffled).to_json()
    query = nodes[0]
    assert follow_ups(query, nodes) == follow_ups(query, shuffled)


@quick
@given(SEEDS, st.data())
def test_a_confirmed_match_is_kept_and_a_rejected_one_is_never_made(
    seed: int, data: st.DataObject
) -> None:
    nodes = list(patient(seed).nodes)
    possible = cross_pairs(nodes)
    confirmed = data.draw(st.sampled_from(possible))
    rejected = data.draw(
        st.sampled_from([pair for pair in possible if pair != confirmed] or [None])
    )
    forbidden = [] if rejected is None else [rejected]
    tracks = track_patient(nodes, known=PatientEvidence([confirmed], forbidden))
    own = track_of(tracks)
    assert own[confirmed[0]] == own[confirmed[1]]
    link = next(x for x in tracks.links if {x.earlier, x.later} == set(confirmed))
    assert (link.state, link.score) == (LinkState.CONFIRMED, 1.0)
    for a, b in forbidden:
        assert own[a] != own[b]
        assert not any({x.earlier, x.later} == {a, b} for x in tracks.links)
        by_id = {one.lesion.lesion_id: one for one in nodes}
        answers = follow_ups(by_id[a], nodes, known=PatientEvidence([confirmed], forbidden))
        assert all(x.lesion is None or x.lesion.lesion_id != b for x in answers)


@quick
@given(SEEDS)
def test_rejecting_all_matches_leaves_every_lesion_alone(seed: int) -> None:
    nodes = list(patient(seed).nodes)
    tracks = track_patient(nodes, known=PatientEvidence(rejected=cross_pairs(nodes)))
    assert len(tracks.tracks) == len(nodes)
    assert tracks.links == ()


@quick
@given(SEEDS)
def test_follow_ups_answer_once_for_every_other_study(seed: int) -> None:
    nodes = list(patient(seed).nodes)
    query = nodes[-1]
    answers = follow_ups(query, nodes)
    others = [s for s in order_studies(n.lesion for n in nodes).study_ids]
    assert [x.study_id for x in answers] == [s for s in others if s != query.lesion.study_id]
    for answer in answers:
        assert 0.0 <= answer.score <= 1.0
        gone = answer.state in (FollowUpState.NEW, FollowUpState.VANISHED)
        assert not gone or answer.lesion is None
        assert answer.lesion is None or answer.lesion.study_id == answer.study_id
        if answer.terms is not None:
            total = sum(answer.terms.contributions.values())
            assert np.isfinite(total)
        found = answer.state is FollowUpState.PERSISTENT
        assert not found or answer.lesion is not None


def test_a_query_that_is_not_stored_finds_what_its_stored_copy_finds() -> None:
    nodes = list(patient(5).nodes)
    stored = nodes[0]
    upload = TrackNode(stored.lesion.with_changes(lesion_id="query"), stored.vector)
    for answer, expected in zip(follow_ups(upload, nodes), follow_ups(stored, nodes), strict=True):
        assert (answer.state, answer.lesion) == (expected.state, expected.lesion)
        assert answer.score == pytest.approx(expected.score)


def test_known_tracks_are_found_in_simulated_patients() -> None:
    right = made = true = 0
    for one in simulate_patients(60, np.random.default_rng(11)):
        own = track_of(track_patient(one.nodes))
        for a, b in cross_pairs(list(one.nodes)):
            right += own[a] == own[b] and one.track_of[a] == one.track_of[b]
            made += own[a] == own[b]
            true += one.track_of[a] == one.track_of[b]
    assert 2 * right / (made + true) > 0.97


def test_wrong_input_is_named() -> None:
    a, b = node("a", "1", (1, 0)), node("bb", "2", (0, 1))
    stranger = TrackNode(b.lesion.with_changes(patient_id="P2"), b.vector)
    with pytest.raises(TrackingError, match="2 patients"):
        track_patient([a, stranger])
    with pytest.raises(TrackingError, match="twice"):
        track_patient([a, a])
    with pytest.raises(TrackingError, match="norm"):
        track_patient([a, TrackNode(b.lesion, np.zeros(2, np.float32))])
    with pytest.raises(TrackingError, match="shapes"):
        track_patient([a, TrackNode(b.lesion, np.zeros(3, np.float32))])
    with pytest.raises(TrackingError, match="at least one"):
        track_patient([])
    with pytest.raises(MatchConflictError, match="rejected"):
        track_patient([a, b], known=PatientEvidence([("a", "bb")], [("bb", "a")]))
    twin = TrackNode(b.lesion.with_changes(study_id="1"), b.vector)
    with pytest.raises(MatchConflictError, match="one study"):
        track_patient([a, twin], known=PatientEvidence([("a", "bb")]))


def test_a_large_patient_is_tracked_in_time() -> None:
    busy = SimulationSettings(studies=(6, 6), lesions=(20, 20))
    nodes = simulate_patient(np.random.default_rng(3), "P1", busy).nodes
    start = time.process_time()
    tracks = track_patient(nodes)
    assert time.process_time() - start < 5
    assert len(tracks.order.study_ids) == 6
    assert tracks.to_json()["notice"].startswith("Research use only")
