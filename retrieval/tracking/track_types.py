"""What tracking answers: studies in order, tracks, links and follow-ups, with their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from retrieval.lesion import Lesion
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.matcher import LocationSource
from retrieval.tracking.searched import NOT_FOUND, SearchedStudy
from retrieval.tracking.states import (
    POSITION_ESTIMATED,
    ComparisonRole,
    FollowUpState,
    LinkState,
    OrderedBy,
)

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
"""Stands in every document that tracking writes."""


class Completeness(StrEnum):
    """Of which studies every lesion is marked."""

    COMPLETE = "complete"
    PARTLY_COMPLETE = "partly complete"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class OrderedStudy:
    """One study in the patient's order.

    Attributes:
        marks: complete: every lesion is marked, so one without a mark is not there
    """

    study_id: str
    study_date: date | None
    marks: Literal[Completeness.COMPLETE, Completeness.INCOMPLETE]

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "marks": self.marks.value,
        }


@dataclass(frozen=True, slots=True)
class StudyOrder:
    """A patient's studies, first to last, and what the order rests on.

    In a study of ``complete`` every lesion is known to be marked, so that one without a mark is
    not there. Of any other study a missing mark says nothing, but for the lesions of ``searched``,
    which were looked for.
    """

    study_ids: tuple[str, ...]
    dates: tuple[date | None, ...]
    ordered_by: OrderedBy
    complete: frozenset[str] = frozenset()
    searched: tuple[SearchedStudy, ...] = ()

    def is_complete(self, study: int) -> bool:
        """Whether every lesion of the study at that place is marked."""
        return self.study_ids[study] in self.complete

    def search_of(self, lesion_ids: Iterable[str], study: int) -> SearchedStudy | None:
        """The search that says that none of these marks of one lesion is in the study.

        None where another series of the study may show it.
        """
        wanted, study_id = set(lesion_ids), self.study_ids[study]
        there = [
            one for one in self.searched if one.study_id == study_id and one.lesion_id in wanted
        ]
        if any(one.state != NOT_FOUND for one in there):
            return None
        return next((one for one in there if one.is_evidence), None)

    def any_complete(self, studies: Iterable[int]) -> bool:
        """Whether one of these studies, by place, has all its lesions marked."""
        return any(self.is_complete(study) for study in studies)

    @property
    def studies(self) -> tuple[OrderedStudy, ...]:
        """Each study, first to last."""
        return tuple(
            OrderedStudy(
                study_id,
                day,
                Completeness.COMPLETE if study_id in self.complete else Completeness.INCOMPLETE,
            )
            for study_id, day in zip(self.study_ids, self.dates, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """The order as JSON values."""
        return {
            "ordered_by": self.ordered_by.value,
            "studies": [study.to_json() for study in self.studies],
        }


@dataclass(frozen=True, slots=True)
class TrackLink:
    """Two lesions of different studies, the earlier first, and why they were linked.

    ``score`` is the calibrated probability that they are the same lesion, 1 where a reader
    confirmed it. In an ``uncertain`` link the lesions may stand in different tracks.
    """

    earlier: str
    later: str
    state: LinkState
    score: float
    terms: MatchTerms

    def to_json(self) -> dict[str, Any]:
        """The link as JSON values."""
        return {
            "earlier": self.earlier,
            "later": self.later,
            "state": self.state.value,
            "score": round(self.score, 4),
            "terms": self.terms.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Track:
    """One physical lesion: its appearances in study order.

    ``new_in`` is the study of its first appearance, if an earlier study has all its lesions marked,
    or was searched for this one, and so is known not to show it. ``vanished_in`` is the first such
    study after its last appearance, unless it merged into another track. Both are None where no
    study is evidence of absence. ``merged_into`` and ``split_from`` name other tracks.
    """

    track_id: str
    lesions: tuple[Lesion, ...]
    new_in: str | None = None
    vanished_in: str | None = None
    merged_into: str | None = None
    split_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The track as JSON values."""
        return {
            "track_id": self.track_id,
            "new_in": self.new_in,
            "vanished_in": self.vanished_in,
            "merged_into": self.merged_into,
            "split_from": self.split_from,
            "lesions": [lesion.to_json() for lesion in self.lesions],
        }


@dataclass(frozen=True, slots=True)
class PatientTracks:
    """All lesion tracks of one patient, the links behind them, and the order of the studies."""

    patient_id: str
    order: StudyOrder
    tracks: tuple[Track, ...]
    links: tuple[TrackLink, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``track`` and of ``GET /v1/patients/{id}/tracks``."""
        return {
            "notice": RESEARCH_USE,
            "patient_id": self.patient_id,
            **self.order.to_json(),
            "tracks": [track.to_json() for track in self.tracks],
            "links": [link.to_json() for link in self.links],
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row for each lesion and for each track's end, the columns of a CSV export.

        The first five columns are those of an archive's ``tracks.csv``; ``state`` is baseline,
        first marked, new, split, persistent, merged or vanished, the last two with no lesion of
        their own. A lesion first marked later than the first study is new only where an earlier
        study has all its lesions marked.
        """
        order = self.order.study_ids
        rows = []
        for track in self.tracks:
            last = order.index(track.lesions[-1].study_id)
            for place, lesion in enumerate(track.lesions):
                state = "persistent" if place else _first_state(track, order)
                rows.append(self._row(track, lesion.study_id, state, lesion))
            if last + 1 < len(order) and track.merged_into:
                rows.append(self._row(track, order[last + 1], "merged", None))
            elif track.vanished_in is not None:
                rows.append(self._row(track, track.vanished_in, "vanished", None))
        return rows

    def _row(
        self, track: Track, study_id: str, state: str, lesion: Lesion | None
    ) -> dict[str, Any]:
        return {
            "patient_id": self.patient_id,
            "track_id": track.track_id,
            "study_id": study_id,
            "lesion_id": "" if lesion is None else lesion.lesion_id,
            "state": state,
            "long_mm": None if lesion is None else lesion.long_mm,
            "short_mm": None if lesion is None else lesion.short_mm,
        }


def _first_state(track: Track, order: tuple[str, ...]) -> str:
    if track.split_from is not None:
        return "split"
    if track.lesions[0].study_id == order[0]:
        return "baseline"
    return "first marked" if track.new_in is None else "new"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What became of a query lesion in one other study.

    ``role`` is that study's in the comparison with the query's: the earlier one is the prior, the
    later one the current study; None where the query's study is not known, and with it the order.
    ``lesion`` is the same lesion there, None where there is none. ``similarity`` (cosine),
    ``score`` (calibrated probability of being the same lesion) and ``terms`` belong to the lesion
    or, where there is none, to the best candidate that was turned down. ``change_mm`` and
    ``change_pct`` are those of the long diameter from the prior to the current study. ``searched``
    is the search that makes it new or vanished, None where there was none or it is not needed.
    """

    study_id: str
    role: ComparisonRole | None
    state: FollowUpState
    similarity: float | None
    score: float
    change_mm: float | None
    change_pct: float | None
    terms: MatchTerms | None
    lesion: Lesion | None
    searched: SearchedStudy | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the comparison, in words."""
        estimated = self.terms is not None and (
            self.terms.location_source is LocationSource.ESTIMATED
        )
        notes = (POSITION_ESTIMATED,) if estimated else ()
        return notes if self.searched is None else (*notes, self.searched.words)

    def to_json(self) -> dict[str, Any]:
        """The follow-up under DESIGN.md's JSON names."""
        return {
            "study_id": self.study_id,
            "role": None if self.role is None else self.role.value,
            "state": self.state.value,
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "score": round(self.score, 4),
            "change_mm": None if self.change_mm is None else round(self.change_mm, 2),
            "change_pct": None if self.change_pct is None else round(self.change_pct, 1),
            "terms": None if self.terms is None else self.terms.to_json(),
            "notes": list(self.notes),
            "lesion": None if self.lesion is None else self.lesion.to_json(),
        }
