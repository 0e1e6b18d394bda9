"""The study list of a PACS, and a whole series of it as an image that is held."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from retrieval.image import Slab
from retrieval.lesion import LesionSearchError
from service.decoding.identity import IdentifiedImage, IdentitySource, ImageIdentity, line_of
from service.deid.pseudonyms import OwnIdentities
from service.pacs.client import PacsClient, SeriesEntry
from service.pacs.identity import Asked
from service.pacs.patient import PatientInPacs
from service.pacs.series import PacsReference, PacsSeries, find_series, read_slab

WHOLE_SERIES_MM = 1e6
MOST_STUDIES = 100
_FIELDS = [
    "StudyDescription",
    "AccessionNumber",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
]
_ANY = {"*", "?"}


class StudyListError(LesionSearchError):
    """A list of studies that is not shown, or a search that names nothing."""


@dataclass(frozen=True)
class StudyQuery:
    """Which studies are looked for; at least one field must be given and say more than ``*``.

    Attributes:
        patient_id: DICOM PatientID; ``*`` and ``?`` stand for any characters and one.
        accession_number: DICOM AccessionNumber, likewise.
        description: DICOM StudyDescription, likewise; without either a part of it is enough.
        study_uid: one study.
        first, last: the days between which the study was made, both included.
    """

    patient_id: str | None = None
    study_uid: str | None = None
    first: date | None = None
    last: date | None = None
    accession_number: str | None = None
    description: str | None = None

    def filters(self) -> dict[str, str]:
        """The query as QIDO-RS takes it; raises StudyListError."""
        described = self.description
        if described and not set(described) & _ANY:
            # A blank as any one character: not every PACS decodes an escaped blank.
            described = f"*{'?'.join(described.split())}*"
        found = {
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession_number,
            "StudyDescription": described,
            "StudyInstanceUID": self.study_uid,
        }
        if self.first is not None or self.last is not None:
            if self.first is not None and self.last is not None and self.last < self.first:
                raise StudyListError(
                    f"the days run from {self.first} to {self.last}: give the earlier one first"
                )
            found["StudyDate"] = f"{_day(self.first)}-{_day(self.last)}"
        given = {
            name: value for name, value in found.items() if value and set(value) - _ANY - {" "}
        }
        if not given:
            raise StudyListError(
                "say which studies are looked for: a patient, an accession number, a description, "
                "a day, or a UID"
            )
        return given


@dataclass(frozen=True)
class ListedStudy:
    """A study of the list, under the PACS's own identifiers."""

    study_instance_uid: str
    patient_id: str
    study_date: date | None
    description: str
    accession_number: str
    modalities: tuple[str, ...]
    instances: int | None

    def to_json(self) -> dict[str, Any]:
        """The fields, the date as ISO 8601."""
        day = None if self.study_date is None else self.study_date.isoformat()
        return {**asdict(self), "study_date": day, "modalities": list(self.modalities)}


def list_studies(pacs: PacsClient, query: StudyQuery) -> list[ListedStudy]:
    """The studies that fit, the newest first, at most ``MOST_STUDIES``.

    Raises StudyListError where answers hold pseudonyms: a list would hold what they stand for.
    """
    if not isinstance(pacs.identities, OwnIdentities):
        raise StudyListError(
            "this service answers with pseudonyms and shows no list of studies: open one by its "
            "UID, or serve without LESION_SEARCH_PACS_PSEUDONYM_KEY"
        )
    found = [
        _listed(one, Asked(query.study_uid))
        for one in pacs.find_studies(query.filters(), _FIELDS, limit=MOST_STUDIES)
    ]
    with_ct = [one for one in found if not one.modalities or "CT" in one.modalities]
    return sorted(with_ct, key=lambda one: one.study_date or date.min, reverse=True)


def ct_series_of(pacs: PacsClient, study_uid: str) -> list[SeriesEntry]:
    """The CT series of a study, the longest first; raises UnknownReferenceError."""
    study = pacs.study(study_uid)
    found = pacs.series_of(study.study_uid, "CT")
    return sorted(found, key=lambda one: one.instances or 0, reverse=True)


def open_pacs_series(pacs: PacsClient, reference: PacsReference) -> IdentifiedImage:
    """A whole series on its key slice, and whose it is under the answers' names.

    The images' UIDs go along where the answers hold the PACS's own identifiers: a report of a mark
    can then be stored beside them. Errors are those of ``find_series`` and ``read_slab``.
    """
    series = find_series(pacs, reference)
    position = series.position_of(reference)
    slab = read_slab(pacs, series, position, half_depth_mm=WHOLE_SERIES_MM)
    patient = PatientInPacs(pacs, series)
    identity = ImageIdentity(
        patient_id=patient.patient_id,
        study_id=patient.study_id(series.study),
        study_date=patient.day(series.study),
        series_id=patient.series_id(series.entry),
        series_name=line_of(series.entry.description),
        source=IdentitySource.DICOM,
        image_uids=_images(pacs, series, slab),
    )
    return IdentifiedImage(slab, identity)


def _images(pacs: PacsClient, series: PacsSeries, slab: Slab) -> tuple[str, ...]:
    if not isinstance(pacs.identities, OwnIdentities) or len(slab.hu) != len(series.images):
        return ()
    return tuple(image.sop_uid for image in series.images)


def _listed(dataset: Dataset, asked: Asked) -> ListedStudy:
    asked.check(dataset, listed=True)
    modalities = dataset.get("ModalitiesInStudy") or ()
    count = dataset.get("NumberOfStudyRelatedInstances")
    return ListedStudy(
        str(dataset.StudyInstanceUID),
        line_of(dataset.get("PatientID")) or "",
        _date(dataset.get("StudyDate")),
        line_of(dataset.get("StudyDescription")) or "",
        line_of(dataset.get("AccessionNumber")) or "",
        (modalities,) if isinstance(modalities, str) else tuple(str(one) for one in modalities),
        None if count is None else int(count),
    )


def _day(day: date | None) -> str:
    return "" if day is None else day.strftime("%Y%m%d")


def _date(value: object) -> date | None:
    text = str(value or "").strip()
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None
