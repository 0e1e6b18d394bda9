"""PacsClient: what a PACS is asked over DICOMweb, with every failure as one plain line.

QIDO-RS finds studies, series and instances, WADO-RS brings an instance, STOW-RS stores a report.
No identifier of the PACS stands in an error or a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from service.decoding.pool import DecoderPool
from service.deid.pseudonyms import Identities, OwnIdentities, PseudonymKey
from service.pacs.asking import asking
from service.pacs.errors import PacsError, PacsLimitError, UnknownReferenceError
from service.pacs.identity import Asked, OtherInstanceError
from service.pacs.session import open_session
from service.pacs.settings import PacsSettings

Entry = TypeVar("Entry")

PIXEL_DATA = "7FE00010"
"""The tag of Pixel Data in DICOM JSON."""

PAGE = 500
"""Series that are asked for at once."""

_PLACE = ["ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "Rows", "Columns"]


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """A study in the PACS; ``patient_id`` is the PACS's own."""

    study_uid: str
    patient_id: str
    day: date | None


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """A series in the PACS; ``instances`` is how many it says it has."""

    study_uid: str
    series_uid: str
    modality: str
    description: str
    instances: int | None


@dataclass(frozen=True, slots=True)
class InstanceEntry:
    """An image in the PACS: where it lies, as far as the PACS tells.

    ``position`` (3) and ``orientation`` (6) are the attributes of the Image Plane module, in mm.
    """

    sop_uid: str
    number: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixels: int

    @property
    def depth_mm(self) -> float:
        """The position along the normal of the slice; both must be known."""
        assert self.position is not None
        assert self.orientation is not None
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return float(normal @ np.asarray(self.position))


class PacsClient:
    """One PACS, spoken to within the operator's limits; may be shared by threads."""

    def __init__(self, settings: PacsSettings, *, decoders: DecoderPool | None = None) -> None:
        """Opens the session; asks nothing yet.

        ``decoders`` read the images in a process of their own, as a service must; without them
        images are read in this one.

        Raises PacsSettingsError or PseudonymError for settings that cannot be.
        """
        self.settings = settings
        self.decoders = decoders
        url = settings.checked_url()
        key_file = settings.pseudonym_key
        self.identities: Identities = (
            OwnIdentities() if key_file is None else PseudonymKey.load(key_file)
        )
        self._web = DICOMwebClient(url, open_session(settings), timeout=settings.timeout_s)
        self._web.set_http_retry_params(retry=False)

    def study(self, study_uid: str) -> StudyEntry:
        """The study of a UID; raises UnknownReferenceError."""
        with asking("the study"):
            found = self._web.search_for_studies(search_filters={"StudyInstanceUID": study_uid})
            entries = [_study(one) for one in found]
        exact = [entry for entry in entries if entry.study_uid == study_uid]
        return _only(exact, "study")

    def find_studies(
        self, filters: Mapping[str, str], fields: Sequence[str], *, limit: int
    ) -> list[Dataset]:
        """The studies that fit a query of QIDO-RS, with further fields of each."""
        with asking("the studies"):
            found = self._web.search_for_studies(
                search_filters=dict(filters), fields=list(fields), limit=limit
            )
            return [Dataset.from_json(one) for one in found]

    def studies_of(self, patient_id: str) -> list[StudyEntry]:
        """All studies of a patient, first to last as far as they have dates."""
        with asking("the patient's studies"):
            filters = {"PatientID": patient_id}
            found = self._web.search_for_studies(search_filters=filters, get_remaining=False)
            entries = [_study(one) for one in found]
        # An id with * or ? is a pattern to QIDO-RS and may find other patients.
        own = [entry for entry in entries if entry.patient_id == patient_id]
        return sorted(own, key=lambda entry: (entry.day or date.min, entry.study_uid))

    def series(self, series_uid: str, study_uid: str | None = None) -> SeriesEntry:
        """The series of a UID, in its study if that is not named; raises UnknownReferenceError."""
        with asking("the series"):
            filters = {"SeriesInstanceUID": series_uid}
            found = self._web.search_for_series(study_uid, search_filters=filters)
            entries = [_series(one, Asked(study_uid)) for one in found]
        return _only([entry for entry in entries if entry.series_uid == series_uid], "series")

    def series_of(self, study_uid: str, modality: str) -> list[SeriesEntry]:
        """The series of a modality in a study."""
        with asking("the study's series"):
            found = self._web.search_for_series(
                study_uid,
                fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
                search_filters={"Modality": modality},
            )
            entries = [_series(one, Asked(study_uid)) for one in found]
        return [entry for entry in entries if entry.modality == modality]

    def all_series(self, modality: str, *, patient_id: str | None = None) -> Iterator[SeriesEntry]:
        """Every series of a modality in the PACS, or of one patient, page by page."""
        filters = {"Modality": modality} | ({} if patient_id is None else {"PatientID": patient_id})
        seen: set[str] = set()
        while True:
            with asking("the list of series"):
                found = self._web.search_for_series(
                    limit=PAGE, offset=len(seen), search_filters=filters
                )
                entries = [_series(one, Asked()) for one in found]
            fresh = [entry for entry in entries if entry.series_uid not in seen]
            # A PACS without offsets brings the first page again.
            if not fresh:
                return
            seen.update(entry.series_uid for entry in fresh)
            yield from (entry for entry in fresh if entry.modality == modality)

    def series_of_instance(self, sop_uid: str) -> SeriesEntry | None:
        """The series of an instance that is known by its UID alone, None where it is not there."""
        with asking("an instance's series"):
            found = self._web.search_for_instances(search_filters={"SOPInstanceUID": sop_uid})
            told = [Dataset.from_json(one) for one in found]
            exact = [one for one in told if _whole(one.get("SOPInstanceUID")) == sop_uid]
        if not exact:
            return None
        return self.series(_whole(exact[0].SeriesInstanceUID), _whole(exact[0].StudyInstanceUID))

    def headers(self, series: SeriesEntry) -> list[Dataset]:
        """All instances of a series without their pixels; errors are those of ``instances``."""
        self._check_count(series.instances or 0)
        with asking("the series' attributes"):
            told = self._web.retrieve_series_metadata(series.study_uid, series.series_uid)
            found = [
                Dataset.from_json({tag: one[tag] for tag in one if tag != PIXEL_DATA})
                for one in told
            ]
            for header in found:
                Asked(series.study_uid, series.series_uid).check(header)
        self._check_count(len(found))
        return found

    def instances(self, series: SeriesEntry) -> list[InstanceEntry]:
        """The images of a series; positions come from QIDO-RS, else from WADO-RS metadata.

        Raises:
            PacsLimitError: the series has more than ``max_instances``.
            OtherInstanceError: the PACS lists another series, or an image twice.
        """
        self._check_count(series.instances or 0)
        asked = Asked(series.study_uid, series.series_uid)
        uids = (series.study_uid, series.series_uid)
        with asking("the series' instances"):
            found = self._web.search_for_instances(*uids, fields=_PLACE)
            self._check_count(len(found))
            entries = [_instance(one, asked) for one in found]
            if any(entry.position is None or entry.orientation is None for entry in entries):
                told = self._web.retrieve_series_metadata(*uids)
                entries = [_instance(one, asked) for one in told]
        if not entries:
            raise UnknownReferenceError("the PACS has no instance of this series")
        if len({entry.sop_uid for entry in entries}) < len(entries):
            raise OtherInstanceError("the PACS lists an image of the series twice: check the PACS")
        if series.instances is not None and len(entries) < series.instances:
            raise PacsError(
                f"the PACS lists {len(entries)} of the series' {series.instances} instances: raise "
                "its limit of results of one query"
            )
        return entries

    def instance_uids(self, series: SeriesEntry) -> list[str]:
        """The instances of a series of any kind; raises PacsLimitError as ``instances``."""
        with asking("the series' instances"):
            found = self._web.search_for_instances(series.study_uid, series.series_uid)
            answers = [Dataset.from_json(one) for one in found]
            for answer in answers:
                Asked(series.study_uid, series.series_uid).check(answer, listed=True)
            uids = [str(answer.SOPInstanceUID) for answer in answers]
        self._check_count(len(uids))
        return uids

    def retrieve(self, series: SeriesEntry, sop_uid: str, *, patient_id: str) -> Dataset:
        """An instance with all it holds.

        Raises:
            UnknownReferenceError: the PACS does not have it.
            OtherInstanceError: the PACS brings another one, or one of another patient.
        """
        with asking("an instance"):
            found = self._web.retrieve_instance(series.study_uid, series.series_uid, sop_uid)
            Asked(series.study_uid, series.series_uid, sop_uid, patient_id).check(found)
        return found

    def header(self, series: SeriesEntry, sop_uid: str, *, patient_id: str) -> Dataset:
        """An instance's attributes without its pixels; errors are those of ``retrieve``."""
        with asking("an instance's attributes"):
            found = self._web.retrieve_instance_metadata(
                series.study_uid, series.series_uid, sop_uid
            )
            # The metadata tell of pixels too, as a place to ask for them.
            told = {tag: element for tag, element in found.items() if tag != PIXEL_DATA}
            attributes = Dataset.from_json(told)
            Asked(series.study_uid, series.series_uid, sop_uid, patient_id).check(attributes)
            return attributes

    def store(self, reports: Sequence[Dataset]) -> None:
        """Stores instances; raises PacsError unless the PACS took every one."""
        with asking("to store the report"):
            answered = self._web.store_instances(list(reports))
        failed = len(answered.get("FailedSOPSequence", ()))
        if failed or len(answered.get("ReferencedSOPSequence", ())) != len(reports):
            raise PacsError("the PACS did not store every report: its own log says why")

    def _check_count(self, count: int) -> None:
        if count > self.settings.max_instances:
            raise PacsLimitError(
                f"the series has {count} instances: at most {self.settings.max_instances} are "
                "taken (LESION_SEARCH_PACS_MAX_INSTANCES)"
            )


def _only(found: Sequence[Entry], what: str) -> Entry:
    if not found:
        raise UnknownReferenceError(f"the PACS has no {what} of this UID: check it")
    return found[0]


def _study(found: dict[str, Any]) -> StudyEntry:
    dataset = Dataset.from_json(found)
    return StudyEntry(
        _whole(dataset.StudyInstanceUID),
        _whole(dataset.get("PatientID")),
        _day(dataset),
    )


def _series(found: dict[str, Any], asked: Asked) -> SeriesEntry:
    dataset = Dataset.from_json(found)
    asked.check(dataset, listed=True)
    count = dataset.get("NumberOfSeriesRelatedInstances")
    return SeriesEntry(
        _whole(dataset.get("StudyInstanceUID") or asked.study_uid),
        _whole(dataset.SeriesInstanceUID),
        _whole(dataset.get("Modality")),
        _whole(dataset.get("SeriesDescription")),
        None if count is None else int(count),
    )


def _instance(found: dict[str, Any], asked: Asked) -> InstanceEntry:
    dataset = Dataset.from_json(found)
    asked.check(dataset, listed=True)
    number = dataset.get("InstanceNumber")
    return InstanceEntry(
        _whole(dataset.SOPInstanceUID),
        None if number is None else int(number),
        _numbers(dataset, "ImagePositionPatient", 3),
        _numbers(dataset, "ImageOrientationPatient", 6),
        int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0),
    )


def _whole(value: Any) -> str:
    """A text of the PACS; raises UnicodeEncodeError for half a character (a lone surrogate)."""
    text = str(value or "").strip()
    text.encode()
    return text


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    values = dataset.get(keyword)
    numbers = () if values is None else tuple(float(value) for value in values)
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _day(dataset: Dataset) -> date | None:
    text = str(dataset.get("StudyDate") or "").strip()
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None
