"""The patient's lesions in the PACS: from the index, from stored reports, or from the detector.

For each study the first of the three that has any is taken, and the answer says which. Matching
is the product's own, over all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from retrieval.lesion import Box, Lesion, LesionType, Recist
from retrieval.sources.archive import lesion_id_of
from retrieval.tag import given_tags
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.patient_timeline import PatientEvidence
from service.engine.lesion_location import located
from service.engine.patient_tracks import PatientCase, UnknownPatientError
from service.engine.query_box import embed_boxes
from service.engine.query_node import query_node
from service.engine.search_engine import SearchEngine
from service.pacs.answers import MarkSource, StudyInPacs
from service.pacs.client import StudyEntry
from service.pacs.errors import PacsError
from service.pacs.patient import PatientInPacs
from service.pacs.proposals import QueryPlace, propose_at
from service.pacs.reports.stored import StoredMark, stored_marks
from service.pacs.series import PacsReference, PacsSeries, read_slab

MOST_MARKS = 60
"""Marks of stored reports that one query embeds, each a retrieval of some slices."""


@dataclass(frozen=True)
class PacsLesion:
    """A lesion that was found in the PACS.

    Attributes:
        node: the lesion under the answers' names, with its vector.
        series, position: where it lies.
        recist: its mark, where a report had one.
        track_uid: what a stored report calls its track.
        estimated: nobody marked it: the detector proposes it.
    """

    node: TrackNode
    series: PacsSeries
    position: int
    recist: Recist | None = None
    track_uid: str | None = None
    estimated: bool = False


@dataclass(frozen=True)
class PatientLesions:
    """All known lesions of a patient but the query: nodes to match, and where each is from."""

    case: PatientCase
    found: dict[str, PacsLesion]
    studies: tuple[StudyInPacs, ...]

    @property
    def nodes(self) -> list[TrackNode]:
        """Indexed lesions, then those found in the PACS."""
        return [*self.case.nodes, *(lesion.node for lesion in self.found.values())]

    def patient(self) -> PatientCase:
        """All of them as one patient; a study that only a detector looked at is never complete."""
        known = self.case.known
        marked = [one for one in known.complete if self.source_of(one) is not MarkSource.DETECTOR]
        return PatientCase(self.nodes, replace(known, complete=frozenset(marked)))

    def source_of(self, study_id: str) -> MarkSource:
        """Where a study's lesions come from."""
        sources = {study.study_id: study.source for study in self.studies}
        return sources.get(study_id, MarkSource.INDEX)


class FollowUpFinder:
    """Collects the lesions of one patient."""

    def __init__(self, engine: SearchEngine, patient: PatientInPacs) -> None:
        self._engine = engine
        self._patient = patient

    def collect(self, series: PacsSeries, place: QueryPlace) -> PatientLesions:
        """The lesions of the query's own study that are known, and those of the other studies."""
        case = self._indexed()
        others = self._patient.others(series.study)
        marks, notes = stored_marks(self._patient, [series.study, *others])
        marks = marks[:MOST_MARKS]
        found: list[PacsLesion] = []
        studies: list[StudyInPacs] = []
        for study in [series.study, *others]:
            study_id = self._patient.study_id(study)
            lesions: list[PacsLesion] = []
            note = notes.get(study.study_uid)
            count = sum(node.lesion.study_id == study_id for node in case.nodes)
            source = MarkSource.INDEX
            if not count:
                here = [mark for mark in marks if mark.study_uid == study.study_uid]
                lesions, source = self._reported(here), MarkSource.REPORT
                if not lesions and study is not series.study:
                    lesions, note = self._proposed(study, series, place)
                    source = MarkSource.DETECTOR
                source = source if lesions else MarkSource.NONE
            found.extend(lesions)
            if study is not series.study:
                day = self._patient.day(study)
                studies.append(StudyInPacs(study_id, day, source, count + len(lesions), note))
        by_id = {lesion.node.lesion.lesion_id: lesion for lesion in found}
        return PatientLesions(case, by_id, tuple(studies))

    def _indexed(self) -> PatientCase:
        patient_id = self._patient.patient_id
        try:
            if patient_id is None:
                return PatientCase((), PatientEvidence())
            case = PatientCase.of(self._engine.index, patient_id)
        except UnknownPatientError:
            return PatientCase((), PatientEvidence())
        days = {self._patient.study_id(s): self._patient.day(s) for s in self._patient.studies}
        nodes = [_dated(node, days.get(node.lesion.study_id)) for node in case.nodes]
        return PatientCase(nodes, case.known)

    def _reported(self, marks: Sequence[StoredMark]) -> list[PacsLesion]:
        lesions = []
        for mark in marks:
            series = self._patient.by_uids(mark.study_uid, mark.series_uid)
            if series is None:
                continue
            reference = PacsReference(mark.series_uid, sop_uid=mark.sop_uid)
            try:
                position = series.position_of(reference)
                fields = {
                    "long_mm": mark.long_mm,
                    "short_mm": mark.short_mm,
                    "lesion_type": mark.lesion_type,
                    "tags": given_tags(MarkSource.REPORT.value),
                }
                node = self._embedded(series, position, mark.box, fields)
            except PacsError:
                continue
            lesions.append(PacsLesion(node, series, position, mark.recist, mark.track_uid))
        return lesions

    def _proposed(
        self, study: StudyEntry, like: PacsSeries, place: QueryPlace
    ) -> tuple[list[PacsLesion], str | None]:
        if self._engine.detector_identity is None:
            return [], "no lesion is marked there and no detector is loaded"
        try:
            series = self._patient.most_alike(study, like.entry)
            if series is None:
                return [], "the study has no axial CT series"
            proposals = propose_at(self._engine, self._patient.pacs, series, place)
            if proposals is None:
                return [], "the body height of the query was not found in the series"
            lesions = [
                PacsLesion(
                    self._embedded(
                        series,
                        one.position,
                        one.candidate.box,
                        {
                            "long_mm": one.candidate.long_mm,
                            "tags": given_tags(
                                MarkSource.DETECTOR.value, f"{one.candidate.score:.3f}"
                            ),
                        },
                    ),
                    series,
                    one.position,
                    estimated=True,
                )
                for one in proposals
            ]
        except PacsError as trouble:
            return [], str(trouble)
        note = "nobody marked these lesions: the detector proposes them about the same body height"
        return lesions, note if lesions else "the detector proposes nothing about this body height"

    def _embedded(
        self, series: PacsSeries, position: int, box: Box, fields: dict[str, Any]
    ) -> TrackNode:
        """A lesion of the PACS with its vector; raises PacsError if its slices cannot be read."""
        depth = self._engine.encoder.spec.half_depth_mm
        slab = read_slab(self._patient.pacs, series, position, half_depth_mm=depth)
        embedding, _ = embed_boxes(self._engine.encoder, slab, [box])
        lesion = pacs_lesion(self._patient, series, position, box).with_changes(**fields)
        lesion = located(lesion, slab, self._engine.locator)
        return query_node(lesion, slab, embedding)


def pacs_lesion(patient: PatientInPacs, series: PacsSeries, position: int, box: Box) -> Lesion:
    """A lesion on a slice of the PACS under the names that the index would give it."""
    series_id = patient.series_id(series.entry)
    return Lesion(
        lesion_id=lesion_id_of(series_id, position, box),
        patient_id=patient.patient_id or "",
        study_id=patient.study_id(series.study),
        series_id=series_id,
        key_slice_index=position,
        box=box,
        lesion_type=LesionType.UNKNOWN,
        study_date=patient.day(series.study),
    )


def _dated(node: TrackNode, day: date | None) -> TrackNode:
    """An indexed lesion with the PACS's date where the index has none."""
    if node.lesion.study_date is not None or day is None:
        return node
    return replace(node, lesion=node.lesion.with_changes(study_date=day))
