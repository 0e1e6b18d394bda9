"""What readers left in the PACS of a patient: the marks of all carriers, judged, as lesions.

Single lines count here, as the square about them: a follow-up starts from any measured lesion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Box, LesionType, Recist
from retrieval.sources.marks.mark import ImageReference, Mark, MarkKind
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.planes import ImagePlane, PlaneIndex, planes_of_header
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import JudgedMark, Verdict
from service.pacs.client import StudyEntry
from service.pacs.errors import PacsError
from service.pacs.patient import PatientInPacs

CARRIERS = ("SR", "PR", "SEG", "RTSTRUCT")
"""Modalities of series that hold marks."""

_LINES = frozenset({MarkKind.RECIST, MarkKind.ELLIPSE})


@dataclass(frozen=True)
class StoredMark:
    """One lesion as a reader marked it.

    Attributes:
        study_uid, series_uid, sop_uid: of the image it lies on.
        box: DeepLesion's for two diameters; of an outline, circle or box, its own extent.
        recist: the ends of two diameters, where a reader drew them.
        track_uid: what its track is called in all its reports, where it has a name.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    box: Box
    recist: Recist | None = None
    long_mm: float | None = None
    short_mm: float | None = None
    lesion_type: LesionType = LesionType.UNKNOWN
    track_uid: str | None = None


def stored_marks(
    patient: PatientInPacs, studies: Sequence[StudyEntry]
) -> tuple[list[StoredMark], dict[str, str]]:
    """The lesions that the studies' carriers mark, and notes on those that were left out.

    Of the same lesion on the same image, as a later carrier tells it again, the last is kept.
    Notes are by study UID.
    """
    marks: list[Mark] = []
    notes: dict[str, str] = {}
    for study in studies:
        found, note = _marks_of(patient, study)
        marks.extend(found)
        if note:
            notes[study.study_uid] = note
    options = JudgingOptions(singles=SinglesPolicy.SQUARE)
    judged = list(judge_marks(marks, PatientPlanes(patient), options))
    kept: dict[tuple[str, str | None, tuple[int, ...]], StoredMark] = {}
    for one in judged:
        mark = stored_mark(one)
        if mark is not None:
            corners = tuple(round(edge) for edge in mark.box.to_list())
            kept[mark.sop_uid, mark.track_uid, corners] = mark
    for study_uid, words in _left_out(judged).items():
        notes.setdefault(study_uid, words)
    return list(kept.values()), notes


def stored_mark(judged: JudgedMark) -> StoredMark | None:
    """A kept mark as a lesion of the PACS, None for what is refused."""
    plane, extent = judged.plane, judged.extent
    if judged.verdict is not Verdict.KEPT or plane is None or extent is None:
        return None
    is_drawn = judged.mark.kind in _LINES
    return StoredMark(
        plane.image.study_uid,
        plane.image.series_uid,
        plane.image.sop_uid,
        box=judged.box or extent if is_drawn else extent,
        recist=judged.recist if is_drawn else None,
        long_mm=judged.long_mm,
        short_mm=judged.short_mm,
        lesion_type=judged.lesion_type,
        track_uid=judged.mark.tracking_uid or None,
    )


class PatientPlanes:
    """The PlaneSource of one patient's CT in the PACS; headers are asked for once."""

    def __init__(self, patient: PatientInPacs) -> None:
        self._patient = patient
        self._index = PlaneIndex()
        self._asked: set[str] = set()

    def plane(self, image: ImageReference) -> ImagePlane | None:
        """The image of a reference; None for what is no image of this patient's."""
        if not image.sop_uid:
            self._read_studies(image.study_uid)
        elif image.sop_uid not in self._asked:
            self._asked.add(image.sop_uid)
            self._read_image(image)
        return self._index.plane(image)

    def at(
        self, frame_of_reference_uid: str, point_mm: NDArray[np.float64], image: ImageReference
    ) -> ImagePlane | None:
        """The slice that a patient point lies on, None off all slices."""
        self._read_studies(image.study_uid)
        return self._index.at(frame_of_reference_uid, point_mm, image)

    def _read_image(self, image: ImageReference) -> None:
        pacs, patient = self._patient.pacs, self._patient
        try:
            if image.series_uid and image.study_uid:
                entry = pacs.series(image.series_uid, image.study_uid)
            else:
                found = pacs.series_of_instance(image.sop_uid)
                if found is None:
                    return
                entry = found
            header = pacs.header(entry, image.sop_uid, patient_id=patient.own_id)
        except PacsError:
            return
        for plane in planes_of_header(header):
            self._index.add(plane)

    def _read_studies(self, study_uid: str) -> None:
        """All slices of a study, or of all of them where none is named."""
        for study in self._patient.studies:
            if study_uid not in {"", study.study_uid} or study.study_uid in self._asked:
                continue
            self._asked.add(study.study_uid)
            for entry in self._patient.ct_series(study):
                try:
                    headers = self._patient.pacs.headers(entry)
                except PacsError:
                    continue
                for plane in (plane for one in headers for plane in planes_of_header(one)):
                    self._index.add(plane)


def _marks_of(patient: PatientInPacs, study: StudyEntry) -> tuple[list[Mark], str]:
    pacs = patient.pacs
    marks: list[Mark] = []
    note = ""
    for modality in CARRIERS:
        for entry in pacs.series_of(study.study_uid, modality):
            try:
                carriers = [
                    pacs.retrieve(entry, uid, patient_id=patient.own_id)
                    for uid in pacs.instance_uids(entry)
                ]
            except PacsError as trouble:
                note = f"a report could not be read: {trouble}"
                continue
            for carrier in carriers:
                found = read_marks(carrier, name=modality)
                marks.extend(one for one in found if isinstance(one, Mark))
    return marks, note


def _left_out(judged: Sequence[JudgedMark]) -> dict[str, str]:
    """Study UID -> how many of its stored marks were left out, and why."""
    reasons: dict[str, dict[str, int]] = {}
    for one in judged:
        if one.verdict is Verdict.KEPT:
            continue
        place = one.mark.image if one.plane is None else one.plane.image
        counts = reasons.setdefault(place.study_uid, {})
        counts[one.verdict.value] = counts.get(one.verdict.value, 0) + 1
    return {
        study_uid: "stored marks left out: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        for study_uid, counts in reasons.items()
    }
