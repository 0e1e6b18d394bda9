"""The table that figure and page draw: a word for every state, no word without its evidence."""

from __future__ import annotations

from retrieval.lesion import Box, Lesion
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.matcher import LocationSource
from retrieval.tracking.states import (
    FOLLOW_UP_WORDS,
    LINK_WORDS,
    ROLE_WORDS,
    ComparisonRole,
    FollowUpState,
    LinkState,
    OrderedBy,
    Tone,
)
from retrieval.tracking.timeline_table import TimelineTable, timeline_table
from retrieval.tracking.track_types import PatientTracks, StudyOrder, Track, TrackLink

STUDIES = ("1", "2", "3", "4")
TERMS = MatchTerms(0.9, 1.0, 1.0, 0.0, LocationSource.GIVEN, 0.0, True, {"intercept": 0.0})


def mark(study: int, *, name: str = "a", long_mm: float | None = 20.0) -> Lesion:
    box = Box(0, 0, 10, 10)
    return Lesion(f"{name}{study}", "P", str(study), "s", 1, box, long_mm=long_mm)


def table(*tracks: Track, links: tuple[TrackLink, ...] = (), complete: str = "") -> TimelineTable:
    order = StudyOrder(STUDIES, (None,) * 4, OrderedBy.NUMBER, frozenset(complete))
    return timeline_table(PatientTracks("P", order, tracks, links))


def words(found: TimelineTable, row: int = 0) -> list[str]:
    return [cell.word for cell in found.rows[row].cells]


def link(earlier: str, later: str, state: LinkState, score: float = 0.9) -> TrackLink:
    return TrackLink(earlier, later, state, score, TERMS)


def test_a_study_without_a_mark_says_not_marked_unless_its_marks_are_complete() -> None:
    track = Track("T1", (mark(2),))
    assert words(table(track)) == ["not marked", "", "not marked", "not marked"]
    known = Track("T1", (mark(2),), new_in="2", vanished_in="3")
    assert words(table(known, complete="13")) == ["", "new", "vanished", "not marked"]


def test_a_gap_is_not_marked_even_where_marks_are_complete() -> None:
    assert words(table(Track("T1", (mark(1), mark(3))), complete="1234"))[1] == "not marked"


def test_links_give_the_words_of_marks_and_the_tones_of_lines() -> None:
    track = Track("T1", tuple(mark(n) for n in (1, 2, 3, 4)))
    links = (
        link("a1", "a2", LinkState.MATCHED),
        link("a2", "a3", LinkState.UNCERTAIN, 0.6),
        link("a3", "a4", LinkState.CONFIRMED, 1.0),
    )
    found = table(track, links=links)
    assert words(found) == ["", "", "uncertain", "confirmed by a reader"]
    assert [line.tone for line in found.rows[0].lines] == ["sure", "doubt", "sure"]
    assert [line.score for line in found.rows[0].lines] == [0.9, 0.6, 1.0]


def test_neighbours_without_a_link_are_in_doubt() -> None:
    (line,) = table(Track("T1", (mark(1), mark(2)))).rows[0].lines
    assert (line.tone, line.state, line.score) == ("doubt", None, None)


def test_merges_and_splits_join_rows() -> None:
    tracks = (
        Track("T1", (mark(1), mark(2))),
        Track("T2", (mark(1, name="b"),), merged_into="T1"),
        Track("T3", (mark(3, name="c"),), split_from="T1"),
    )
    links = (
        link("a1", "a2", LinkState.MERGED),
        link("b1", "a2", LinkState.MERGED),
        link("a2", "c3", LinkState.SPLIT),
    )
    found = table(*tracks, links=links)
    assert words(found)[1] == "merged"
    assert words(found, 1)[1] == "merged into T1"
    assert words(found, 2)[2] == "split from T1"
    assert [(line.earlier, line.later) for line in found.joins] == [("b1", "a2"), ("a2", "c3")]


def test_cells_tell_change_number_of_marks_and_an_estimated_position() -> None:
    estimated = mark(2, long_mm=30.0).with_changes(
        location=(0.5, 0.5, 0.5), location_error=(0.04, 0.08, 0.02)
    )
    cells = table(Track("T1", (mark(1), estimated, mark(2, name="b")))).rows[0].cells
    assert cells[1].change_pct is not None
    assert round(cells[1].change_pct) == 50
    assert cells[1].notes == ("2 marks, the largest shown", "position estimated")
    assert [lesion.lesion_id for lesion in cells[1].lesions] == ["a2", "b2"]
    assert cells[1].to_json()["lesion_ids"] == ["a2", "b2"]


def test_every_state_has_words() -> None:
    assert set(FOLLOW_UP_WORDS) == set(FollowUpState)
    assert set(LINK_WORDS) == set(LinkState)
    assert set(ROLE_WORDS) == set(ComparisonRole)
    assert FOLLOW_UP_WORDS[FollowUpState.NOT_MARKED].tone is Tone.UNKNOWN
    assert {role.value: word for role, word in ROLE_WORDS.items()} == {
        "prior": "prior",
        "current": "current",
    }
