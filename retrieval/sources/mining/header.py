"""ImageHeader: what mining must know of one image, read once and kept in the header index."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Self

import numpy as np
from pydicom.dataset import Dataset

from retrieval.sources.dicom.elements import Elements
from retrieval.sources.dicom.header import ACQUISITION_TAGS, DicomPlane
from retrieval.sources.dicom.objects import SCOUT, stray_kind
from retrieval.sources.marks.mark import ImageReference
from retrieval.sources.marks.planes import ImagePlane, planes_of_header

HEADER_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "StudyDate",
    "Modality",
    "BurnedInAnnotation",
    "InstanceNumber",
    "SeriesNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "WindowCenter",
    "WindowWidth",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *ACQUISITION_TAGS,
)
"""All that is read of an image before its pixels are wanted."""

_DATE_DIGITS = 8


@dataclass(frozen=True)
class ImageHeader:
    """One image, or one frame of a multi-frame image.

    Attributes:
        plane: which image it is and where it lies. Its identifiers are DICOM's own: they never
            leave the work file.
        thickness_mm: SliceThickness, or 0.
        day: StudyDate as YYYYMMDD, or empty.
        sex, age: as the image says it: F, M or empty; years, or -1.
        window: (low, high) HU of the first display window; (0, 0) if there is none.
        acquisition: what tells it from other acquisitions of its series.
        where: the path of the file; empty where the image lies in a PACS.
    """

    plane: ImagePlane
    thickness_mm: float = 0.0
    day: str = ""
    sex: str = ""
    age: float = -1.0
    window: tuple[float, float] = (0.0, 0.0)
    acquisition: Mapping[str, str] = field(default_factory=dict)
    where: str = ""

    @property
    def image(self) -> ImageReference:
        """Its UIDs and numbers."""
        return self.plane.image

    @property
    def key(self) -> tuple[str, int]:
        """SOP instance UID and frame, 0 for a single image."""
        return self.plane.image.sop_uid, self.plane.image.frame or 0

    @property
    def is_slice(self) -> bool:
        """Whether it is an axial CT slice that lies somewhere."""
        return self.plane.is_axial_ct and self.plane.has_place

    @property
    def study_day(self) -> date | None:
        """The study's date, None where the image does not say it."""
        try:
            return date(int(self.day[:4]), int(self.day[4:6]), int(self.day[6:8]))
        except ValueError:
            return None

    def as_slice(self) -> DicomPlane:
        """The slice without its pixels, for the rules by which slices become volumes."""
        plane = self.plane
        assert plane.position is not None
        assert plane.orientation is not None
        assert plane.spacing_mm_px is not None
        return DicomPlane(
            "/".join(str(part) for part in self.key),
            _unread(plane.rows, plane.columns, plane.image),
            plane.image.series_uid,
            plane.orientation,
            plane.position,
            plane.spacing_mm_px,
            (1.0, 0.0),
            None,
            self.thickness_mm or None,
            self.acquisition,
        )

    def pack(self) -> str:
        """The header as one line of JSON."""
        told = asdict(replace(self, plane=replace(self.plane, position=None, orientation=None)))
        told["position"] = _listed(self.plane.position)
        told["orientation"] = _listed(self.plane.orientation)
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def unpack(cls, text: str) -> Self:
        """The inverse of ``pack``."""
        told = json.loads(text)
        position, orientation = told.pop("position"), told.pop("orientation")
        plane = told.pop("plane")
        spacing = plane["spacing_mm_px"]
        plane |= {
            "image": ImageReference(**plane["image"]),
            "spacing_mm_px": None if spacing is None else tuple(spacing),
            "position": None if position is None else np.array(position, np.float64),
            "orientation": None if orientation is None else np.array(orientation, np.float64),
        }
        return cls(ImagePlane(**plane), **{**told, "window": tuple(told["window"])})


def _unread(rows: int, columns: int, image: ImageReference) -> Elements:
    """What the rules of volumes ask of an image whose pixels were not read."""
    dataset = Dataset()
    # Copies of a slice are told by their pixels; unread ones are told apart by their UID.
    dataset.add_new("PixelData", "OW", f"{image.sop_uid}/{image.frame}".encode())
    told = {
        "Rows": rows,
        "Columns": columns,
        "InstanceNumber": image.instance_number,
        "SeriesNumber": image.series_number,
    }
    return Elements(dataset, told=told)


def headers_of(dataset: Any, where: str = "") -> list[ImageHeader]:
    """The headers of a DICOM image's frames, one for a single image; empty for what is no image."""
    stray = stray_kind(dataset)
    acquisition = {
        key: str(dataset.get(key)) for key in ACQUISITION_TAGS if dataset.get(key) not in (None, "")
    }
    headers = []
    for plane in planes_of_header(dataset):
        is_screen = plane.modality == "CT" and stray not in {None, SCOUT}
        headers.append(
            ImageHeader(
                replace(plane, is_derived_screen=plane.is_derived_screen or is_screen),
                thickness_mm=_number(dataset.get("SliceThickness")) or 0.0,
                day=_day(dataset),
                sex=_sex(dataset),
                age=_age(dataset),
                window=_window(dataset),
                acquisition=acquisition,
                where=where,
            )
        )
    return headers


def _listed(numbers: Any) -> list[float] | None:
    return None if numbers is None else [float(one) for one in numbers]


def _number(value: Any) -> float | None:
    """The first number of an element; None where there is none."""
    if value is not None and not isinstance(value, str | int | float):
        value = next(iter(value), None) if hasattr(value, "__iter__") else value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(dataset: Any, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _day(dataset: Any) -> str:
    text = _text(dataset, "StudyDate")
    return text if len(text) == _DATE_DIGITS and text.isdecimal() else ""


def _sex(dataset: Any) -> str:
    text = _text(dataset, "PatientSex").upper()
    return text if text in {"F", "M"} else ""


def _age(dataset: Any) -> float:
    """Years of PatientAge, as ``061Y`` or ``018M``; -1 where it is not said."""
    text = _text(dataset, "PatientAge").upper()
    a_year = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}.get(text[-1:])
    if a_year is None or not text[:-1].isdecimal():
        return -1.0
    return round(int(text[:-1]) / a_year, 2)


def _window(dataset: Any) -> tuple[float, float]:
    centre, width = (_number(dataset.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or not 0 < width < 1e5 or abs(centre) > 1e5:
        return 0.0, 0.0
    return centre - width / 2, centre + width / 2
