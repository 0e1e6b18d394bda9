"""What tracking answers: studies in order, tracks, links and follow-ups, with their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from retrieval.lesion import Lesion
from retrieval.tracking.edges import MatchTerms

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
"""Stands in every document that tracking writes."""


class FollowUpState(StrEnum):
    """What became of a lesion between two studies.

    ``new`` and ``vanished`` are said of the lesion in the direction of time: a lesion without a
    partner in an earlier study is new since then, one without a partner in a later study has
    vanished by then. ``merged`` and ``split`` name what happened from the earlier to the later.
    """

    PERSISTENT = "persistent"
    NEW = "new"
    VANISHED = "vanished"
    MERGED = "merged"
    SPLIT = "split"
    UNCERTAIN = "uncertain"


class OrderedBy(StrEnum):
    """How studies were put in order: by date, or by number because not all have a date."""

    DATE = "study_date"
    NUMBER = "study_number"


class LinkState(StrEnum):
    """How two lesions of different studies hang together."""

    CONFIRMED = "confirmed"
    MATCHED = "matched"
    UNCERTAIN = "uncertain"
    MERGED = "merged"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class StudyOrder:
    """A patient's studies, first to last, and what the order rests on."""

    study_ids: tuple[str, ...]
    dates: tuple[date | None, ...]
    ordered_by: OrderedBy

    def to_json(self) -> dict[str, Any]:
        """The order as JSON values."""
        return {
            "ordered_by": self.ordered_by.value,
            "studies": [
                {"study_id": study_id, "study_date": None if day is None else day.isoformat()}
                for study_id, day in zip(self.study_ids, self.dates, strict=True)
            ],
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

    ``new_in`` is the study of its first appearance unless that is the patient's first study;
    ``vanished_in`` the first study after its last appearance, if there is one and it did not merge
    into another track. ``merged_into`` and ``split_from`` name other tracks.
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
        new, split, persistent, merged or vanished, the last two with no lesion of their own.
        """
        order = self.order.study_ids
        rows = []
        for track in self.tracks:
            last = order.index(track.lesions[-1].study_id)
            for place, lesion in enumerate(track.lesions):
                state = "persistent" if place else _first_state(track, order)
                rows.append(self._row(track, lesion.study_id, state, lesion))
            if last + 1 < len(order) and (track.merged_into or track.vanished_in):
                state = "merged" if track.merged_into else "vanished"
                rows.append(self._row(track, order[last + 1], state, None))
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
    return "baseline" if track.lesions[0].study_id == order[0] else "new"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What became of a query lesion in one other study.

    ``lesion`` is the follow-up, None where there is none. ``similarity`` (cosine), ``score``
    (calibrated probability of being the same lesion) and ``terms`` belong to the lesion or, where
    there is none, to the best candidate that was turned down. ``change_mm`` and ``change_pct`` are
    those of the long diameter from the earlier of the two studies to the later.
    """

    study_id: str
    state: FollowUpState
    similarity: float | None
    score: float
    change_mm: float | None
    change_pct: float | None
    terms: MatchTerms | None
    lesion: Lesion | None

    def to_json(self) -> dict[str, Any]:
        """The follow-up under DESIGN.md's JSON names."""
        return {
            "study_id": self.study_id,
            "state": self.state.value,
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "score": round(self.score, 4),
            "change_mm": None if self.change_mm is None else round(self.change_mm, 2),
            "change_pct": None if self.change_pct is None else round(self.change_pct, 1),
            "terms": None if self.terms is None else self.terms.to_json(),
            "lesion": None if self.lesion is None else self.lesion.to_json(),
        }
