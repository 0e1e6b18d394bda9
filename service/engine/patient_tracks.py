"""One patient of an index as tracking wants it: nodes, decisions, complete studies, searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from index.lesion_index import LesionIndex
from index.reports import Match, ReaderDecision
from retrieval.lesion import LesionSearchError
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.patient_timeline import PatientEvidence
from retrieval.tracking.searched import SearchedStudy
from retrieval.tracking.timeline_table import TimelineTable, timeline_table
from retrieval.tracking.track_types import PatientTracks
from retrieval.tracking.tracks import track_patient

if TYPE_CHECKING:
    from retrieval.tracking.response.recist import PatientResponse


class UnknownPatientError(LesionSearchError):
    """A patient of whom the index holds no lesion."""


class Decision(StrEnum):
    """A reader's decision on a pair: one lesion, two lesions, or take the decision back."""

    CONFIRM = "confirm"
    REJECT = "reject"
    REMOVE = "remove"


class MarkPolicy(StrEnum):
    """In which studies every lesion is taken to be marked.

    ``recorded``: in those that the index was told so of. ``complete``: in all, so that a lesion
    without a mark has vanished. ``incomplete``: in none.
    """

    RECORDED = "recorded"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class PatientCase:
    """All indexed lesions of one patient, and what is known of them beside."""

    nodes: Sequence[TrackNode]
    known: PatientEvidence

    @classmethod
    def of(
        cls, index: LesionIndex, patient_id: str, marks: MarkPolicy = MarkPolicy.RECORDED
    ) -> PatientCase:
        """The patient's case; raises UnknownPatientError, guessing at which one was meant."""
        records = index.patient(patient_id)
        if not records:
            raise UnknownPatientError(_unknown_patient(patient_id, index.patients()))
        decided = index.matches(patient_id)
        confirmed, rejected = (
            [(match.lesion_a, match.lesion_b) for match in decided if match.verdict is verdict]
            for verdict in (ReaderDecision.CONFIRMED, ReaderDecision.REJECTED)
        )
        nodes = [TrackNode(record.lesion, record.vector) for record in records]
        complete = frozenset(index.complete_studies(patient_id))
        if marks is MarkPolicy.COMPLETE:
            complete = frozenset(record.lesion.study_id for record in records)
        elif marks is MarkPolicy.INCOMPLETE:
            complete = frozenset()
        searched = index.searches.of(patient_id)
        return cls(nodes, PatientEvidence(confirmed, rejected, complete, searched))


@dataclass(frozen=True)
class PatientReport:
    """A patient over time: lesion tracks, RECIST response, and what to know before trusting it."""

    tracks: PatientTracks
    response: PatientResponse
    warnings: tuple[str, ...] = ()

    @property
    def timeline(self) -> TimelineTable:
        """What figure and page draw."""
        return timeline_table(self.tracks)

    def to_json(self) -> dict[str, Any]:
        """The document of ``lesion-search track`` and of ``GET /v1/patients/{id}/tracks``."""
        return {
            **self.tracks.to_json(),
            "timeline": self.timeline.to_json(),
            "response": self.response.to_json(),
            "warnings": list(self.warnings),
        }


def tracks_of(
    index: LesionIndex,
    patient_id: str,
    *,
    model: MatcherModel | None = None,
    marks: MarkPolicy = MarkPolicy.RECORDED,
    searched: Sequence[SearchedStudy] = (),
) -> PatientTracks:
    """The lesion tracks of one patient, by the bundled matcher if none is given.

    ``searched`` are answers of following lesions beside those that the index keeps: evidence that
    one is not in a study.

    Raises:
        UnknownPatientError: the index holds no lesion of the patient.
        MatchConflictError: stored decisions contradict each other.
    """
    case = PatientCase.of(index, patient_id, marks)
    known = replace(case.known, searched=(*case.known.searched, *searched))
    return track_patient(case.nodes, model=model, known=known)


def report_of(
    index: LesionIndex,
    patient_id: str,
    *,
    model: MatcherModel | None = None,
    marks: MarkPolicy = MarkPolicy.RECORDED,
    searched: Sequence[SearchedStudy] = (),
) -> PatientReport:
    """The patient over time; arguments and errors as those of ``tracks_of``."""
    from retrieval.tracking.response.recist import patient_response

    chosen = model or bundled_matcher()
    tracks = tracks_of(index, patient_id, model=chosen, marks=marks, searched=searched)
    warning = chosen.warning_for(index.binding.fingerprint)
    return PatientReport(tracks, patient_response(tracks), () if warning is None else (warning,))


def declare_marks(index: LesionIndex, study: tuple[str, str], *, complete: bool) -> None:
    """Keeps that every lesion of a study (patient id, study id) is marked, or takes it back.

    Raises UnknownPatientError where the index holds no lesion of the patient's study.
    """
    patient_id, study_id = study
    known = {record.lesion.study_id for record in index.patient(patient_id)}
    if not known:
        raise UnknownPatientError(_unknown_patient(patient_id, index.patients()))
    if study_id not in known:
        raise UnknownPatientError(
            f"study {study_id!r} of patient {patient_id} is not in the index: its studies are "
            f"{', '.join(sorted(known))}"
        )
    index.declare_marks([study], complete=complete)


def searches_of(index: LesionIndex, patient_id: str) -> list[SearchedStudy]:
    """The kept searches for a patient's lesions; raises UnknownPatientError."""
    if not index.patient(patient_id):
        raise UnknownPatientError(_unknown_patient(patient_id, index.patients()))
    return index.searches.of(patient_id)


def decide(index: LesionIndex, pair: tuple[str, str], decision: Decision) -> Match | None:
    """Stores a reader's decision on two lesions; tracks and follow-ups obey it from now on.

    Returns what is stored now, None where a decision was taken back or there was none to take.

    Raises:
        UnknownLesionError: the index does not hold one of them.
        MatchError: they are one lesion, or of different patients.
        MatchConflictError: it contradicts another decision; nothing is stored.
    """
    for lesion_id in pair:
        index.get(lesion_id)
    if decision is Decision.REMOVE:
        index.remove_match(*pair)
        return None
    confirms = decision is Decision.CONFIRM
    return index.set_match(*pair, ReaderDecision.CONFIRMED if confirms else ReaderDecision.REJECTED)


def _unknown_patient(patient_id: str, known: Sequence[str]) -> str:
    alike = [known_id for known_id in known if known_id.lstrip("0") == patient_id.lstrip("0")]
    meant = f"did you mean {alike[0]}?" if alike else f"its ids look like {', '.join(known[:2])};"
    return (
        f"patient {patient_id!r} is not among the {len(known)} patients of this index: {meant} "
        "leave the patient out to ask about everybody"
    )
