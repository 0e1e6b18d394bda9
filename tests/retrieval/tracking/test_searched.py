"""A lesion that was looked for and not found has vanished; one that nobody looked for has not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from retrieval.lesion import Box, Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.patient_timeline import PatientEvidence
from retrieval.tracking.searched import LEAST_SHARE, SearchedStudy
from retrieval.tracking.states import FollowUpState
from retrieval.tracking.timeline_table import timeline_table
from retrieval.tracking.tracks import follow_ups, track_patient

DOCUMENT = {
    "lesion_id": "a1",
    "study_id": "P_02",
    "study_date": None,
    "state": "not found",
    "probability_there": 0.03,
    "covered": {"slices": [4, 40], "share": 0.99, "boxes": 200},
}
SEARCH = SearchedStudy.of_document(DOCUMENT)


PLACES = {"a": (0.5, 0.5, 0.5), "b": (0.3, 0.6, 0.2), "c": (0.2, 0.2, 0.9)}


def node(name: str, study: str, direction: int) -> TrackNode:
    box, place = Box.around((100, 100), 30), PLACES[name[0]]
    lesion = Lesion(name, "P", study, f"{study}_1", 10, box, 20.0, 15.0, place)
    return TrackNode(lesion, np.eye(4, dtype=np.float32)[direction])


def states(*searched, lesion="a1"):
    nodes = [node("a1", "P_01", 0), node("b3", "P_03", 1)]
    query = next(one for one in nodes if one.lesion.lesion_id == lesion)
    found = follow_ups(query, nodes, known=PatientEvidence(searched=searched))
    return {one.study_id: (one.state, one.notes) for one in found}


def test_a_search_that_covered_the_place_makes_it_vanished_in_a_study_without_marks():
    assert "P_02" not in states()
    state, notes = states(SEARCH)["P_02"]
    assert state is FollowUpState.VANISHED
    assert any("slices 4 to 40, 99% of where it may lie" in note for note in notes)


def test_before_its_first_mark_it_is_new():
    earlier = replace(SEARCH, lesion_id="b3")
    assert states(earlier, lesion="b3")["P_02"][0] is FollowUpState.NEW
    assert states(earlier, lesion="b3")["P_01"][0] is FollowUpState.NOT_MARKED


@pytest.mark.parametrize(
    "change",
    [
        {"share": LEAST_SHARE - 0.01},
        {"state": "uncertain"},
        {"state": "found"},
        {"slices": None},
        {"lesion_id": "b3", "study_id": "P_01", "share": 0.5},
        {"lesion_id": "nobody"},
    ],
)
def test_anything_less_is_no_evidence(change):
    found = states(replace(SEARCH, study_id="P_03"), replace(SEARCH, **change))
    assert found["P_03"][0] is FollowUpState.VANISHED
    assert found.get("P_02", (FollowUpState.NOT_MARKED,))[0] is FollowUpState.NOT_MARKED


def test_a_study_is_no_evidence_where_another_of_its_series_may_show_it():
    assert states(SEARCH, replace(SEARCH, series="other"))["P_02"][0] is FollowUpState.VANISHED
    for state in ("found", "uncertain"):
        shown = replace(SEARCH, series="other", state=state)
        for both in ((SEARCH, shown), (shown, SEARCH)):
            assert states(*both)["P_02"][0] is FollowUpState.NOT_MARKED


def test_only_the_lesion_that_was_looked_for_has_vanished():
    nodes = [node("a1", "P_01", 0), node("c1", "P_01", 2), node("b3", "P_03", 1)]
    known = PatientEvidence(searched=[SEARCH])
    tracks = track_patient(nodes, known=known)
    ends = {track.lesions[0].lesion_id: track.vanished_in for track in tracks.tracks}
    assert ends["a1"] == "P_02"
    assert ends["c1"] is None
    cells = {row.track_id: row.cells for row in timeline_table(tracks).rows}
    gone = next(one for one in tracks.tracks if one.lesions[0].lesion_id == "a1")
    cell = cells[gone.track_id][tracks.order.study_ids.index("P_02")]
    assert cell.word == "vanished"
    assert "not found" in cell.notes[0]


def test_a_lesion_marked_before_and_after_has_not_vanished_between():
    nodes = [node("a1", "P_01", 0), node("a3", "P_03", 0)]
    known = PatientEvidence(confirmed=[("a1", "a3")], searched=[SEARCH])
    found = {one.study_id: one.state for one in follow_ups(nodes[0], nodes, known=known)}
    assert found["P_02"] is FollowUpState.NOT_MARKED


def test_the_day_of_a_searched_study_is_kept():
    dated = SearchedStudy.of_document({**DOCUMENT, "study_date": "2020-05-06"})
    assert dated.study_date == date(2020, 5, 6)


@pytest.mark.parametrize(
    "document", [{}, {**DOCUMENT, "covered": None}, {**DOCUMENT, "study_id": None}, []]
)
def test_another_document_is_refused(document):
    with pytest.raises(TrackingError, match="follow"):
        SearchedStudy.of_document(document)
