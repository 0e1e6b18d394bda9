"""A patient's timeline as a table: a row a lesion track, a column a study, a word in every cell.

All that a drawing needs to decide is decided here, so that figure and page show the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from retrieval.lesion import Lesion
from retrieval.tracking.states import (
    FOLLOW_UP_WORDS,
    LINK_WORDS,
    POSITION_ESTIMATED,
    FollowUpState,
    LinkState,
    Tone,
)
from retrieval.tracking.track_types import PatientTracks, Track, TrackLink

JOINT_STATES = frozenset({LinkState.MERGED, LinkState.SPLIT})


@dataclass(frozen=True, slots=True)
class TimelineCell:
    """One track in one study.

    ``lesions`` are its marks there, the largest first; empty where it is not marked. ``word`` is
    empty where nothing needs saying. ``change_pct`` is that of the long diameter since the mark
    before; ``notes`` are further facts in words.
    """

    study_id: str
    word: str
    tone: Tone
    lesions: tuple[Lesion, ...] = ()
    change_pct: float | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The cell, its lesions by id."""
        return {
            "study_id": self.study_id,
            "word": self.word,
            "tone": self.tone.value,
            "lesion_ids": [lesion.lesion_id for lesion in self.lesions],
            "change_pct": None if self.change_pct is None else round(self.change_pct, 1),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """A line between two marks: the link's state and probability, both None where there is none."""

    earlier: str
    later: str
    tone: Tone
    state: LinkState | None
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """The line, its ends by lesion id."""
        return {
            "earlier": self.earlier,
            "later": self.later,
            "tone": self.tone.value,
            "state": None if self.state is None else self.state.value,
            "score": None if self.score is None else round(self.score, 4),
        }


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One lesion track: a cell for every study, and the lines between its marks."""

    track_id: str
    cells: tuple[TimelineCell, ...]
    lines: tuple[TimelineLine, ...]

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {
            "track_id": self.track_id,
            "cells": [cell.to_json() for cell in self.cells],
            "lines": [line.to_json() for line in self.lines],
        }


@dataclass(frozen=True, slots=True)
class TimelineTable:
    """The rows of all tracks, and the lines between rows: merges, splits and doubtful links."""

    study_ids: tuple[str, ...]
    rows: tuple[TimelineRow, ...]
    joins: tuple[TimelineLine, ...]

    def to_json(self) -> dict[str, Any]:
        """The document's ``timeline``."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "joins": [line.to_json() for line in self.joins],
        }


def timeline_table(tracks: PatientTracks) -> TimelineTable:
    """The table of a patient's tracks."""
    links = {(link.earlier, link.later): link for link in tracks.links}
    rows = tuple(_row(tracks, track, links) for track in tracks.tracks)
    return TimelineTable(tracks.order.study_ids, rows, tuple(_joins(tracks)))


Links = Mapping[tuple[str, str], TrackLink]


def _row(tracks: PatientTracks, track: Track, links: Links) -> TimelineRow:
    studies = tracks.order.study_ids
    marks = _marks(track, studies)
    columns = list(marks)
    lines = tuple(
        _line(marks[before][0], marks[after][0], links) for before, after in pairwise(columns)
    )
    cells = []
    for column, study_id in enumerate(studies):
        if column not in marks:
            cells.append(_unmarked(tracks, track, column, (columns[0], columns[-1])))
            continue
        before = [marks[other][0] for other in columns if other < column]
        cells.append(_marked(track, study_id, marks[column], before, links))
    return TimelineRow(track.track_id, tuple(cells), lines)


def _marks(track: Track, studies: Sequence[str]) -> dict[int, tuple[Lesion, ...]]:
    """The marks of each study by its place, in order, the largest first."""
    found: dict[int, list[Lesion]] = {}
    for lesion in track.lesions:
        found.setdefault(studies.index(lesion.study_id), []).append(lesion)
    return {
        column: tuple(sorted(found[column], key=lambda lesion: -(lesion.long_mm or 0.0)))
        for column in sorted(found)
    }


def _line(earlier: Lesion, later: Lesion, links: Links) -> TimelineLine:
    link = links.get((earlier.lesion_id, later.lesion_id))
    if link is None:
        return TimelineLine(earlier.lesion_id, later.lesion_id, Tone.DOUBT, None, None)
    return _line_of(link)


def _line_of(link: TrackLink) -> TimelineLine:
    tone = LINK_WORDS[link.state].tone
    return TimelineLine(link.earlier, link.later, tone, link.state, link.score)


def _marked(
    track: Track,
    study_id: str,
    lesions: tuple[Lesion, ...],
    before: Sequence[Lesion],
    links: Links,
) -> TimelineCell:
    previous = before[-1] if before else None
    word, tone = _state(track, lesions[0], previous, links)
    notes = [f"{len(lesions)} marks, the largest shown"] if len(lesions) > 1 else []
    if any(lesion.location_error is not None for lesion in lesions):
        notes.append(POSITION_ESTIMATED)
    change = None
    if previous is not None and previous.long_mm and lesions[0].long_mm is not None:
        change = 100.0 * (lesions[0].long_mm / previous.long_mm - 1.0)
    return TimelineCell(study_id, word, tone, lesions, change, tuple(notes))


def _state(track: Track, lesion: Lesion, previous: Lesion | None, links: Links) -> tuple[str, Tone]:
    """The word over a mark, empty for an ordinary one, and its tone."""
    if previous is None:
        if track.split_from is not None:
            return f"split from {track.split_from}", Tone.JOINT
        if track.new_in == lesion.study_id:
            words = FOLLOW_UP_WORDS[FollowUpState.NEW]
            return words.label, words.tone
        return "", Tone.SURE
    arriving = {link.state for (_, later), link in links.items() if later == lesion.lesion_id}
    if LinkState.MERGED in arriving:
        return LINK_WORDS[LinkState.MERGED].label, Tone.JOINT
    link = links.get((previous.lesion_id, lesion.lesion_id))
    if link is None or link.state is LinkState.UNCERTAIN:
        words = LINK_WORDS[LinkState.UNCERTAIN]
        return words.label, words.tone
    return (LINK_WORDS[link.state].label if link.state is LinkState.CONFIRMED else ""), Tone.SURE


def _unmarked(
    tracks: PatientTracks, track: Track, column: int, ends: tuple[int, int]
) -> TimelineCell:
    """A study in which the track is not marked; ``ends`` are its first and its last."""
    study_id, (first, last) = tracks.order.study_ids[column], ends
    if track.merged_into is not None and column == last + 1:
        return TimelineCell(study_id, f"merged into {track.merged_into}", Tone.JOINT)
    if track.vanished_in == study_id:
        words = FOLLOW_UP_WORDS[FollowUpState.VANISHED]
        search = tracks.order.search_of((one.lesion_id for one in track.lesions), column)
        notes = () if search is None else (search.words,)
        return TimelineCell(study_id, words.label, words.tone, notes=notes)
    ended = track.merged_into is not None and column > last
    if (tracks.order.is_complete(column) and not first < column < last) or ended:
        return TimelineCell(study_id, "", Tone.ABSENT)
    words = FOLLOW_UP_WORDS[FollowUpState.NOT_MARKED]
    return TimelineCell(study_id, words.label, words.tone)


def _joins(tracks: PatientTracks) -> Iterator[TimelineLine]:
    """Links between the rows of different tracks, where a drawing has something to show."""
    track_of = {x.lesion_id: track.track_id for track in tracks.tracks for x in track.lesions}
    for link in tracks.links:
        if track_of[link.earlier] == track_of[link.later]:
            continue
        if link.state is LinkState.UNCERTAIN or link.state in JOINT_STATES:
            yield _line_of(link)
