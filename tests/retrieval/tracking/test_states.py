"""The named states of follow-ups and tracks: which holds when, and in which order of studies."""

from __future__ import annotations

from datetime import date

import pytest

from retrieval.tracking.edges import TrackNode
from retrieval.tracking.patient_timeline import PatientEvidence
from retrieval.tracking.states import ComparisonRole, FollowUpState, OrderedBy
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.tracks import follow_ups, track_patient
from tests.retrieval.tracking.nodes import node


def test_persistent_new_and_vanished_with_the_change_of_the_long_diameter() -> None:
    nodes = [
        node("a1", "1", (1, 0, 0), long_mm=20.0),
        node("a2", "2", (1, 0.05, 0), long_mm=26.0, location=(0.51, 0.5, 0.5)),
        node("bb1", "1", (0, 1, 0), long_mm=12.0, location=(0.2, 0.3, 0.9)),
        node("ccc2", "2", (0, 0, 1), long_mm=9.0, location=(0.8, 0.7, 0.1)),
    ]
    marked = PatientEvidence(complete={"1", "2"})
    (kept,) = follow_ups(nodes[0], nodes, known=marked)
    assert kept.state is FollowUpState.PERSISTENT
    assert kept.change_mm == pytest.approx(6.0)
    assert kept.change_pct == pytest.approx(30.0)
    assert kept.role is ComparisonRole.CURRENT
    (back,) = follow_ups(nodes[1], nodes, known=marked)
    assert back.role is ComparisonRole.PRIOR
    assert back.change_pct == pytest.approx(30.0), "from the earlier to the later, whoever asks"
    (gone,) = follow_ups(nodes[2], nodes, known=marked)
    assert (gone.state, gone.lesion, gone.change_mm) == (FollowUpState.VANISHED, None, None)
    (fresh,) = follow_ups(nodes[3], nodes, known=marked)
    assert (fresh.state, fresh.lesion) == (FollowUpState.NEW, None)
    assert {x.new_in for x in track_patient(nodes, known=marked).tracks} == {None, "2"}


@pytest.mark.parametrize("complete", [(), ("2",), ("1",)])
def test_without_complete_marks_a_lesion_is_not_marked_and_neither_new_nor_vanished(
    complete: tuple[str, ...],
) -> None:
    nodes = [
        node("bb1", "1", (0, 1, 0), long_mm=12.0, location=(0.2, 0.3, 0.9)),
        node("ccc2", "2", (0, 0, 1), long_mm=9.0, location=(0.8, 0.7, 0.1)),
    ]
    known = PatientEvidence(complete=complete)
    (in_second,) = follow_ups(nodes[0], nodes, known=known)
    (in_first,) = follow_ups(nodes[1], nodes, known=known)
    gone, fresh = "2" in complete, "1" in complete
    assert in_second.state is (FollowUpState.VANISHED if gone else FollowUpState.NOT_MARKED)
    assert in_first.state is (FollowUpState.NEW if fresh else FollowUpState.NOT_MARKED)
    first, second = track_patient(nodes, known=known).tracks
    assert (first.vanished_in, second.new_in) == ("2" if gone else None, "2" if fresh else None)


def test_an_earlier_study_is_the_prior_and_the_change_runs_forward_by_date() -> None:
    late = node("a", "1", (1, 0, 0), long_mm=30.0, day=date(2021, 1, 1))
    early = node("bb", "2", (1, 0, 0), long_mm=20.0, day=date(2020, 1, 1))
    (answer,) = follow_ups(late, [late, early])
    assert answer.role is ComparisonRole.PRIOR
    assert answer.change_pct == pytest.approx(50.0)
    assert answer.to_json()["role"] == "prior"


@pytest.mark.parametrize(
    ("own", "own_day", "other", "other_day", "role"),
    [
        # A new image's study is a UID among dated studies: its number tells nothing, its day does.
        ("1.2.840.1.9", None, "p_01", date(2020, 1, 1), None),
        ("1.2.840.1.9", date(2019, 1, 1), "p_01", date(2020, 1, 1), ComparisonRole.CURRENT),
        ("1.2.840.1.9", date(2021, 1, 1), "p_01", date(2020, 1, 1), ComparisonRole.PRIOR),
        # Numbers order studies that are numbered alike; UIDs are not numbers of an order.
        ("p_10", None, "p_02", None, ComparisonRole.PRIOR),
        ("p_01", None, "p_02", None, ComparisonRole.CURRENT),
        ("follow-up", None, "p_02", None, None),
        ("1.2.840.1.9", None, "1.2.840.1.8", None, None),
    ],
)
def test_prior_is_said_only_where_days_or_like_numbers_tell(
    own: str,
    own_day: date | None,
    other: str,
    other_day: date | None,
    role: ComparisonRole | None,
) -> None:
    asked = node("a", own, (1, 0, 0), long_mm=30.0, day=own_day)
    found = node("bb", other, (1, 0, 0), long_mm=20.0, day=other_day)
    (answer,) = follow_ups(asked, [asked, found])
    assert (answer.state, answer.role) == (FollowUpState.PERSISTENT, role)
    assert (answer.change_pct is None) == (role is None)


def test_two_days_order_two_studies_though_a_third_has_none() -> None:
    asked = node("a", "1.2.3.4.5", (1, 0, 0), long_mm=30.0, day=date(2019, 1, 1))
    dated = node("bb", "p_02", (1, 0, 0), long_mm=20.0, day=date(2020, 1, 1))
    third = node("ccc", "p_03", (1, 0, 0), long_mm=20.0)
    roles = {one.study_id: one.role for one in follow_ups(asked, [asked, dated, third])}
    assert roles == {"p_02": ComparisonRole.CURRENT, "p_03": None}


def test_where_the_querys_study_is_unknown_so_is_the_order() -> None:
    nodes = [node("a", "1", (1, 0, 0)), node("bb", "", (1, 0, 0), long_mm=30.0)]
    (answer,) = follow_ups(nodes[1], nodes, known=PatientEvidence(complete={"1"}))
    assert (answer.state, answer.role) == (FollowUpState.PERSISTENT, None)
    assert answer.change_pct is None
    stranger = node("bb", "", (0, 1, 0), location=(0.2, 0.3, 0.9))
    (answer,) = follow_ups(stranger, [nodes[0], stranger], known=PatientEvidence(complete={"1"}))
    assert answer.state is FollowUpState.NOT_MARKED


def test_a_rejected_link_is_no_proof_that_a_lesion_has_gone() -> None:
    nodes = [node("a", "1", (1, 0, 0)), node("bb", "2", (1, 0, 0))]
    rejected = PatientEvidence(rejected=[("a", "bb")])
    assert [x.state for x in follow_ups(nodes[0], nodes, known=rejected)] == ["not marked"]
    assert [x.state for x in follow_ups(nodes[1], nodes, known=rejected)] == ["not marked"]
    tracks = track_patient(nodes, known=rejected)
    assert [(x.new_in, x.vanished_in) for x in tracks.tracks] == [(None, None)] * 2


def test_rows_have_the_columns_of_an_archives_tracks() -> None:
    nodes = [
        node("a1", "1", (1, 0, 0)),
        node("a2", "2", (1, 0, 0)),
        node("bb1", "1", (0, 1, 0), location=(0.2, 0.3, 0.9)),
        node("ccc2", "2", (0, 0, 1), location=(0.8, 0.7, 0.1)),
    ]
    rows = track_patient(nodes, known=PatientEvidence(complete={"1", "2"})).rows()
    told = [(row["study_id"], row["lesion_id"], row["state"]) for row in rows]
    assert told == [
        ("1", "a1", "baseline"),
        ("2", "a2", "persistent"),
        ("1", "bb1", "baseline"),
        ("2", "", "vanished"),
        ("2", "ccc2", "new"),
    ]
    unknown = [row["state"] for row in track_patient(nodes).rows()]
    assert unknown == ["baseline", "persistent", "baseline", "first marked"]
    assert list(rows[0])[:5] == ["patient_id", "track_id", "study_id", "lesion_id", "state"]


def test_a_lesion_not_marked_in_between_has_not_vanished() -> None:
    nodes = [
        node("a1", "1", (1, 0, 0)),
        node("x2", "2", (0, 1, 0), location=(0.1, 0.1, 0.1)),
        node("a3", "3", (1, 0, 0)),
    ]
    known = PatientEvidence(complete={"1", "2", "3"})
    states = [x.state for x in follow_ups(nodes[0], nodes, known=known)]
    assert states == [FollowUpState.NOT_MARKED, FollowUpState.PERSISTENT]


def test_two_lesions_grown_into_one_are_merged_and_the_reverse_is_split() -> None:
    small = {"long_mm": 18.0}
    parts = [
        node("u", "1", (1, 0.2, 0), location=(0.49, 0.5, 0.5), **small),
        node("vv", "1", (1, 0, 0.2), location=(0.53, 0.5, 0.5), **small),
    ]
    whole = node("www", "2", (1, 0.1, 0.1), long_mm=34.0, location=(0.51, 0.5, 0.5))
    for part in parts:
        (answer,) = follow_ups(part, [*parts, whole])
        assert (answer.state, answer.lesion) == (FollowUpState.MERGED, whole.lesion)
    (answer,) = follow_ups(whole, [*parts, whole])
    assert answer.state is FollowUpState.MERGED
    tracks = track_patient([*parts, whole], known=PatientEvidence(complete={"1", "2"}))
    assert [track.merged_into is not None for track in tracks.tracks].count(True) == 1
    assert all(track.vanished_in is None for track in tracks.tracks)

    before = TrackNode(whole.lesion.with_changes(study_id="0"), whole.vector)
    (answer, *_) = follow_ups(before, [*parts, before])
    assert answer.state is FollowUpState.SPLIT
    assert [t.split_from for t in track_patient([*parts, before]).tracks].count(None) == 1


def test_two_equal_candidates_for_one_lesion_are_uncertain() -> None:
    nodes = [
        node("a", "1", (1, 0, 0)),
        node("bb", "2", (1, 0.1, 0), location=(0.53, 0.5, 0.5)),
        node("ccc", "2", (1, 0.1, 0), location=(0.47, 0.5, 0.5)),
    ]
    (answer,) = follow_ups(nodes[0], nodes)
    assert answer.state is FollowUpState.UNCERTAIN
    assert answer.score == pytest.approx(0.5, abs=0.05)


def test_studies_are_ordered_by_date_only_where_all_have_one() -> None:
    first = node("a", "10", (1, 0), day=date(2020, 5, 1)).lesion
    second = node("bb", "9", (1, 0), day=date(2021, 5, 1)).lesion
    dated = order_studies([second, first])
    assert (dated.study_ids, dated.ordered_by) == (("10", "9"), OrderedBy.DATE)
    numbered = order_studies([first, second.with_changes(study_date=None)])
    assert (numbered.study_ids, numbered.ordered_by) == (("9", "10"), OrderedBy.NUMBER)
    assert numbered.to_json()["ordered_by"] == "study_number"
