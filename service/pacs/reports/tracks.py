"""Reports of lesions in a PACS: a query's track, or all tracks that the index has of a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from retrieval.lesion import Lesion
from retrieval.tracking.states import FollowUpState
from service.engine.patient_tracks import tracks_of
from service.engine.search_engine import SearchEngine
from service.pacs.answers import ReportsAnswer, StoredReport
from service.pacs.client import PacsClient
from service.pacs.errors import PacsError
from service.pacs.follow_ups import PacsLesion
from service.pacs.patient import PatientInPacs
from service.pacs.reports.writing import (
    Measured,
    MeasuredTrack,
    ReportError,
    measured_values,
    reports_of,
    track_uid,
)
from service.pacs.search import PacsAnswer
from service.pacs.series import PacsReference, PacsSeries, find_series


@dataclass(frozen=True)
class PacsReports:
    """Reports that have been made, and what could not go into them.

    Attributes:
        datasets: one for each study of the tracks, by date.
        measurements: how many lesions stand in them.
        left_out: lesions of the tracks whose image is not in the PACS.
    """

    datasets: tuple[Dataset, ...]
    measurements: int
    left_out: int

    def to_json(self, *, stored: bool) -> dict[str, Any]:
        """``reports`` (their own UIDs), ``measurements``, ``left_out`` and ``stored``."""
        reports = tuple(
            StoredReport(
                str(report.StudyInstanceUID),
                str(report.SeriesInstanceUID),
                str(report.SOPInstanceUID),
            )
            for report in self.datasets
        )
        return ReportsAnswer(reports, self.measurements, self.left_out, stored).to_json()


def report_of_query(answer: PacsAnswer, *, name: str = "T1") -> PacsReports:
    """The query's lesion with the follow-ups that are beyond doubt, as one track."""
    places = _Places(answer.patient)
    members: list[Measured] = [places.measured(answer.key)]
    known_uids = [answer.key.track_uid]
    left_out = 0
    for follow_up in answer.result.follow_ups:
        if follow_up.state is not FollowUpState.PERSISTENT or follow_up.lesion is None:
            continue
        found = answer.others.get(follow_up.lesion.lesion_id)
        placed = places.indexed(follow_up.lesion) if found is None else places.measured(found)
        if placed is None:
            left_out += 1
            continue
        members.append(placed)
        known_uids.append(None if found is None else found.track_uid)
    first = min(members, key=lambda one: one.day)
    uid = next((uid for uid in known_uids if uid is not None), None) or track_uid(first)
    track = MeasuredTrack(name, uid, tuple(members))
    return PacsReports(tuple(reports_of([track])), len(members), left_out)


def report_of_patient(
    engine: SearchEngine, pacs: PacsClient, reference: PacsReference
) -> PacsReports:
    """All lesion tracks that the index has of the patient of a series.

    Raises:
        UnknownPatientError: the index holds no lesion of the patient.
        ReportError: none of its lesions lies on an image of the PACS.
    """
    series = find_series(pacs, reference)
    patient = PatientInPacs(pacs, series)
    if patient.patient_id is None:
        raise PacsError("the PACS tells no PatientID of this study: its patient is not known")
    places = _Places(patient)
    tracks: list[MeasuredTrack] = []
    count = left_out = 0
    for track in tracks_of(engine.index, patient.patient_id, model=engine.matcher).tracks:
        placed = [places.indexed(lesion) for lesion in track.lesions]
        members = tuple(one for one in placed if one is not None)
        left_out += len(placed) - len(members)
        if members:
            count += len(members)
            tracks.append(MeasuredTrack(track.track_id, track_uid(members[0]), members))
    if not tracks:
        raise ReportError(
            "no indexed lesion of this patient lies on an image of the PACS: the index must hold "
            "its lesions under the ids of the same pseudonym key"
        )
    return PacsReports(tuple(reports_of(tracks)), count, left_out)


class _Places:
    """Finds key images in the PACS; each image's attributes are asked for once."""

    def __init__(self, patient: PatientInPacs) -> None:
        self._patient = patient
        self._headers: dict[str, Dataset] = {}

    def measured(self, found: PacsLesion) -> Measured:
        """A lesion whose place is known."""
        lesion = found.node.lesion
        header = self._header(found.series, found.position)
        return _measured(lesion, header, found)

    def indexed(self, lesion: Lesion) -> Measured | None:
        """A lesion of the index, None where its image is not in the PACS."""
        series = self._patient.by_ids(lesion.study_id, lesion.series_id)
        if series is None or not 0 <= lesion.key_slice_index < len(series.images):
            return None
        return _measured(lesion, self._header(series, lesion.key_slice_index), None)

    def _header(self, series: PacsSeries, position: int) -> Dataset:
        uid = series.images[position].sop_uid
        if uid not in self._headers:
            self._headers[uid] = self._patient.pacs.header(
                series.entry, uid, patient_id=self._patient.own_id
            )
        return self._headers[uid]


def _measured(lesion: Lesion, header: Dataset, found: PacsLesion | None) -> Measured:
    return Measured(
        header=header,
        box=lesion.box,
        lesion_type=lesion.lesion_type,
        recist=None if found is None else found.recist,
        **{"estimated": found is not None and found.estimated, **measured_values(lesion)},
    )
