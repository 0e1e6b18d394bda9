"""PacsClient: what a PACS is asked over DICOMweb, with every failure as one plain line.

QIDO-RS finds studies, series and instances, WADO-RS brings an instance, STOW-RS stores a report.
No identifier of the PACS stands in an error or a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from retrieval.lesion import LesionSearchError
from service.decoding.pool import DecoderPool
from service.deid.pseudonyms import Identities, OwnIdentities, PseudonymKey
from service.pacs.errors import (
    PacsError,
    PacsLimitError,
    PacsUnavailableError,
    UnknownReferenceError,
)
from service.pacs.identity import Asked, OtherInstanceError
from service.pacs.session import AnswerTooLargeError, RedirectError, open_session
from service.pacs.settings import PacsSettings

Entry = TypeVar("Entry")

PIXEL_DATA = "7FE00010"
"""The tag of Pixel Data in DICOM JSON."""

_PLACE = ["ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "Rows", "Columns"]
_UNREADABLE = (
    InvalidDicomError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
)
"""What libraries raise on an answer that is none; JSON nested too deeply is the last of them."""


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
        with _asking("the study"):
            found = self._web.search_for_studies(search_filters={"StudyInstanceUID": study_uid})
            entries = [_study(one) for one in found]
        exact = [entry for entry in entries if entry.study_uid == study_uid]
        return _only(exact, "study")

    def studies_of(self, patient_id: str) -> list[StudyEntry]:
        """All studies of a patient, first to last as far as they have dates."""
        with _asking("the patient's studies"):
            filters = {"PatientID": patient_id}
            found = self._web.search_for_studies(search_filters=filters, get_remaining=False)
            entries = [_study(one) for one in found]
        # An id with * or ? is a pattern to QIDO-RS and may find other patients.
        own = [entry for entry in entries if entry.patient_id == patient_id]
        return sorted(own, key=lambda entry: (entry.day or date.min, entry.study_uid))

    def series(self, series_uid: str, study_uid: str | None = None) -> SeriesEntry:
        """The series of a UID, in its study if that is not named; raises UnknownReferenceError."""
        with _asking("the series"):
            filters = {"SeriesInstanceUID": series_uid}
            found = self._web.search_for_series(study_uid, search_filters=filters)
            entries = [_series(one, Asked(study_uid)) for one in found]
        return _only([entry for entry in entries if entry.series_uid == series_uid], "series")

    def series_of(self, study_uid: str, modality: str) -> list[SeriesEntry]:
        """The series of a modality in a study."""
        with _asking("the study's series"):
            found = self._web.search_for_series(
                study_uid,
                fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
                search_filters={"Modality": modality},
            )
            entries = [_series(one, Asked(study_uid)) for one in found]
        return [entry for entry in entries if entry.modality == modality]

    def instances(self, series: SeriesEntry) -> list[InstanceEntry]:
        """The images of a series; positions come from QIDO-RS, else from WADO-RS metadata.

        Raises:
            PacsLimitError: the series has more than ``max_instances``.
            OtherInstanceError: the PACS lists another series, or an image twice.
        """
        self._check_count(series.instances or 0)
        asked = Asked(series.study_uid, series.series_uid)
        uids = (series.study_uid, series.series_uid)
        with _asking("the series' instances"):
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
        with _asking("the series' instances"):
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
        with _asking("an instance"):
            found = self._web.retrieve_instance(series.study_uid, series.series_uid, sop_uid)
            Asked(series.study_uid, series.series_uid, sop_uid, patient_id).check(found)
        return found

    def header(self, series: SeriesEntry, sop_uid: str, *, patient_id: str) -> Dataset:
        """An instance's attributes without its pixels; errors are those of ``retrieve``."""
        with _asking("an instance's attributes"):
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
        with _asking("to store the report"):
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


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turns whatever goes wrong while the PACS is asked into one line."""
    try:
        yield
    except AnswerTooLargeError:
        raise PacsLimitError(
            f"the PACS's answer about {what} is larger than LESION_SEARCH_PACS_MAX_MB"
        ) from None
    except RedirectError:
        raise PacsError(
            f"the PACS redirects when asked for {what}: set LESION_SEARCH_PACS_URL to the service "
            "itself"
        ) from None
    except requests.HTTPError as refused:
        status = 0 if refused.response is None else refused.response.status_code
        raise _refusal(status, what) from None
    except requests.exceptions.SSLError:
        raise PacsUnavailableError(
            "the PACS's certificate is not trusted: name its authority in "
            "LESION_SEARCH_PACS_CA_FILE"
        ) from None
    except requests.Timeout:
        raise PacsUnavailableError(f"the PACS did not answer in time about {what}") from None
    except requests.exceptions.InvalidJSONError:
        raise PacsError(f"the PACS's answer about {what} is not readable DICOMweb") from None
    except requests.RequestException:
        raise PacsUnavailableError(
            "the PACS cannot be reached: check LESION_SEARCH_PACS_URL and that it runs"
        ) from None
    except _UNREADABLE as wrong:
        if isinstance(wrong, LesionSearchError):
            raise
        raise PacsError(f"the PACS's answer about {what} is not readable DICOMweb") from None


def _refusal(status: int, what: str) -> PacsError:
    if status == 404:
        return UnknownReferenceError(f"the PACS does not have {what}: check the UIDs")
    if status in {401, 403}:
        return PacsError(
            "the PACS refuses our credentials: check LESION_SEARCH_PACS_USER and ..._PASSWORD, or "
            "..._TOKEN"
        )
    if status >= 500:
        return PacsUnavailableError(f"the PACS failed ({status}) when asked for {what}")
    return PacsError(f"the PACS refused ({status}) when asked for {what}")


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
