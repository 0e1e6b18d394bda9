"""Whose images an upload holds, as its files say it: DICOM headers, or an archive's file names.

It goes back to whoever sent the files and nowhere else: never into a log, a vector or an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage

from retrieval.image import Slab
from retrieval.sources.archive import series_named
from service.decoding.limits import UploadError

_TAGS = [
    "PatientID",
    "StudyInstanceUID",
    "StudyDate",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SOPClassUID",
    "SOPInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
]
_MOST_CHARACTERS = 64
"""Of a DICOM LO or UI value (PS3.5, 6.2); a longer one breaks the Standard and is cut."""


_UID = re.compile(r"[0-9]+(\.[0-9]+)*\Z")
_SAME_ORIENTATION = 1e-3


class IdentitySource(StrEnum):
    """Where the identity was read."""

    DICOM = "dicom"
    FILE_NAME = "file_name"


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """Patient, study and series of an upload; None for what its files do not say as one.

    Attributes:
        patient_id: DICOM PatientID, or the patient of an archive's file name.
        study_id: StudyInstanceUID, or the study of the name.
        study_date: StudyDate; names have none.
        series_id: SeriesInstanceUID, or the series of the name.
        series_name: SeriesDescription; names have none.
        source: where all of this was read.
        image_uids: SOPInstanceUID of every slice in the order of the file grid; empty where the
            files do not tell one for each slice. It stays with the service.
    """

    patient_id: str | None
    study_id: str | None
    study_date: date | None
    series_id: str | None
    series_name: str | None
    source: IdentitySource
    image_uids: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields under their names, the date as ISO 8601."""
        day = None if self.study_date is None else self.study_date.isoformat()
        return {**asdict(self), "study_date": day, "source": self.source.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError."""
        day = document["study_date"]
        words = {
            name: line_of(document[name])
            for name in ("patient_id", "study_id", "series_id", "series_name")
        }
        return cls(
            **words,
            study_date=None if day is None else date.fromisoformat(day),
            source=IdentitySource(document["source"]),
            image_uids=tuple(_uid(one) for one in document["image_uids"]),
        )

    @property
    def is_reportable(self) -> bool:
        """Whether a DICOM report can refer to these images: all of their UIDs are known."""
        return bool(self.image_uids and self.study_id and self.series_id)

    def of_slices(self, count: int) -> Self:
        """The same; without the images' UIDs unless there is one for each of ``count`` slices."""
        return self if len(self.image_uids) == count else replace(self, image_uids=())


@dataclass(frozen=True, slots=True)
class IdentifiedImage:
    """What an upload became: its CT, and whose it is where its files say so."""

    slab: Slab
    identity: ImageIdentity | None = None


def identity_of(files: Iterable[Path], names: Sequence[str]) -> ImageIdentity | None:
    """Whose the images are; None where nothing says it.

    Args:
        files: the DICOM files of the upload; none for other kinds.
        names: what the sender, or a zip, calls the images.

    Raises:
        UploadError: the files are of several patients.
    """
    headers = [header for file in files if (header := _header(file)) is not None]
    return _of_headers(headers) if headers else _of_names(names)


def told_name(name: str) -> str:
    """As much of a file's name as may say whose it is: its folder and itself, of bounded length."""
    short = "/".join(name.replace("\\", "/").split("/")[-2:])
    return short if len(short) <= _MOST_CHARACTERS else ""


def _header(file: Path) -> Dataset | None:
    try:
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
    except (InvalidDicomError, OSError):
        return None


def _of_headers(headers: Sequence[Dataset]) -> ImageIdentity | None:
    patients = {line_of(header.get("PatientID")) for header in headers}
    _refuse_several(patients, "their headers")
    return ImageIdentity(
        patient_id=_only(patients),
        study_id=_one(headers, "StudyInstanceUID"),
        study_date=_day(_one(headers, "StudyDate")),
        series_id=_one(headers, "SeriesInstanceUID"),
        series_name=_one(headers, "SeriesDescription"),
        source=IdentitySource.DICOM,
        image_uids=_images(headers),
    )


def _images(headers: Sequence[Dataset]) -> tuple[str, ...]:
    """SOPInstanceUID along the normal of the slices; empty where they make no one stack.

    Slices are counted as ``retrieval.sources.dicom.series`` counts them.
    """
    placed: dict[float, str] = {}
    try:
        first = np.array([float(one) for one in headers[0].ImageOrientationPatient])
        normal = np.cross(first[:3], first[3:])
        for header in headers:
            turned = np.array([float(one) for one in header.ImageOrientationPatient]) - first
            is_ct = header.get("SOPClassUID") == CTImageStorage
            if not is_ct or np.abs(turned).max() > _SAME_ORIENTATION:
                return ()
            position = np.array([float(one) for one in header.ImagePositionPatient])
            placed[round(float(normal @ position), 3)] = _uid(header.get("SOPInstanceUID"))
    except (AttributeError, TypeError, ValueError):
        return ()
    is_axial = int(np.abs(normal).argmax()) == 2
    whole = is_axial and len(placed) == len(headers)
    return tuple(placed[depth] for depth in sorted(placed)) if whole else ()


def _of_names(names: Sequence[str]) -> ImageIdentity | None:
    series = [series_named(name) for name in names]
    known = [ids for ids in series if ids is not None]
    _refuse_several({ids.patient_id for ids in known}, "their names")
    if not known or len(known) < len(series):
        return None
    return ImageIdentity(
        patient_id=_only({ids.patient_id for ids in known}),
        study_id=_only({ids.study_id for ids in known}),
        study_date=None,
        series_id=_only({ids.series_id for ids in known}),
        series_name=None,
        source=IdentitySource.FILE_NAME,
    )


def _refuse_several(patients: set[str | None], where: str) -> None:
    count = len(patients - {None})
    if count > 1:
        raise UploadError(f"the files are of {count} patients by {where}: send those of one")


def _one(headers: Sequence[Dataset], keyword: str) -> str | None:
    return _only({line_of(header.get(keyword)) for header in headers})


def _only(values: set[str | None]) -> str | None:
    """The value that all have, None where they differ."""
    return next(iter(values)) if len(values) == 1 else None


def _uid(value: object) -> str:
    """A UID; raises ValueError for what is none."""
    text = str(value or "").strip()
    if not _UID.match(text) or len(text) > _MOST_CHARACTERS:
        raise ValueError("not a UID")
    return text


def line_of(value: object) -> str | None:
    """One line of printable text of bounded length, None for an empty one."""
    words = "" if value is None else str(value)
    words = "".join(sign if sign.isprintable() else " " for sign in words)
    return " ".join(words.split())[:_MOST_CHARACTERS] or None


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
