"""Lesion tracks as a DICOM structured report: TID 1500 with one group a measured lesion.

A report holds what was measured in one study and belongs to it. A track over several studies has a
measurement in a report of each, under one tracking identifier and UID, with the study's time point:
readers such as OHIF take all measurements of one UID within a report for one item.
Coordinates are those of PS3.3 C.18.6: (0, 0) is the corner of the top-left pixel, half a pixel
off from the product's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import highdicom.sr as hd
import numpy as np
from highdicom.sr.content import CoordinatesForMeasurement, SourceImageForRegion
from highdicom.sr.enum import GraphicTypeValues, RelationshipTypeValues
from highdicom.sr.value_types import (
    ContainerContentItem,
    ContentSequence,
    ImageContentItem,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from retrieval.lesion import Box, Lesion, LesionSearchError, LesionType, Recist
from retrieval.sources.marks.content.report_group import PIXEL_CENTRE
from service.pacs.reports import codes

DEVICE_UID = "2.25.232569121898527054193324816377826306503"
DEVICE_NAME = "Lesion Search"
NOTICE = (
    "Made by Lesion Search, research software. Not a medical device; not for diagnosis or "
    "treatment. Verify every measurement and match."
)
SERIES_NUMBER = 9900
_CONTAINS = RelationshipTypeValues.CONTAINS
_INHERITED = {
    "PatientID": "",
    "PatientName": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "AccessionNumber": "",
    "StudyID": "",
    "StudyDate": "",
    "StudyTime": "",
}


class ReportError(LesionSearchError):
    """Measurements that make no report."""


@dataclass(frozen=True)
class Measured:
    """One lesion on its key image.

    Attributes:
        header: the key image's attributes, from which the report takes patient and study.
        box: in pixels of the key image.
        recist: the mark itself, where it is known: its end points go along.
        long_mm, short_mm: diameters; None where they are not known.
        volume_mm3: of the lesion's mask, which is always an estimate; None where it is not known.
        mean_hu: mean of the mask's voxels; None where it is not known.
        estimated: the values were estimated, by the network or from a box, not measured by a
            reader.
    """

    header: Dataset
    box: Box
    lesion_type: LesionType = LesionType.UNKNOWN
    recist: Recist | None = None
    long_mm: float | None = None
    short_mm: float | None = None
    estimated: bool = False
    volume_mm3: float | None = None
    mean_hu: float | None = None

    @property
    def study_uid(self) -> str:
        """The study of the key image."""
        return str(self.header.StudyInstanceUID)

    @property
    def day(self) -> date:
        """The study's date; the first of all days where it is not told."""
        text = str(self.header.get("StudyDate") or "")
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else date.min


@dataclass(frozen=True)
class MeasuredTrack:
    """One physical lesion: a name for people, a UID for machines, its measurements."""

    name: str
    uid: str
    lesions: tuple[Measured, ...]

    @property
    def latest(self) -> Measured:
        """The measurement of its last study."""
        return max(self.lesions, key=_place)


def track_uid(first: Measured) -> str:
    """A tracking UID that follows from a lesion's key image and box: the same each time."""
    x, y = first.box.center
    name = f"lesion-search/track/{first.header.SOPInstanceUID}/{x:.1f}/{y:.1f}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def reports_of(
    tracks: Sequence[MeasuredTrack], *, stable: bool = False, comment: str = ""
) -> list[Any]:
    """One report for each study of the tracks, by date; raises ReportError for no track.

    With ``stable`` the UIDs of a report follow from what it measures: made twice, it is the same.
    A ``comment`` stands in each of them behind the notice.
    """
    if not tracks:
        raise ReportError("there is no lesion track to report")
    measured = sorted((one for track in tracks for one in track.lesions), key=_place)
    notice = f"{NOTICE} {comment}".strip()
    reports = []
    for number, study in enumerate(dict.fromkeys(one.study_uid for one in measured), start=1):
        of_study = [
            MeasuredTrack(track.name, track.uid, here)
            for track in tracks
            if (here := tuple(one for one in track.lesions if one.study_uid == study))
        ]
        reports.append(_report(of_study, TimePoint(number, notice), stable=stable))
    return reports


@dataclass(frozen=True)
class TimePoint:
    """A study's number by date, from 1, and the notice that its report carries."""

    number: int
    notice: str


def _report(tracks: Sequence[MeasuredTrack], when: TimePoint, *, stable: bool) -> Any:
    """A Comprehensive SR dataset in a series of its own in the study of the tracks' lesions."""
    measured = [one for track in tracks for one in track.lesions]
    groups = [_group(track, one, when.number) for track in tracks for one in track.lesions]
    content = hd.MeasurementReport(
        observation_context=hd.ObservationContext(observer_device_context=_observer()),
        procedure_reported=codes.CT_PROCEDURE,
        imaging_measurements=groups,
    )
    _put_library(content[0].ContentSequence, _evidence(measured))
    content[0].ContentSequence.append(
        TextContentItem(codes.COMMENT, when.notice, RelationshipTypeValues.CONTAINS)
    )
    told = _told(tracks, when.number)
    report = hd.ComprehensiveSR(
        evidence=_evidence(measured),
        content=content,
        series_instance_uid=_content_uid("series", told) if stable else _new_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=_content_uid("report", told) if stable else _new_uid(),
        instance_number=1,
        manufacturer=DEVICE_NAME,
        series_description="Lesion Search measurements (research)",
        manufacturer_model_name=DEVICE_NAME,
        software_versions=version("lesion-search"),
    )
    report.preamble = b"\0" * 128
    return report


def _put_library(items: Any, images: Sequence[Dataset]) -> None:
    """The key images as an image library (TID 1600), before the measurements.

    The standard lets it be left out; OHIF's reader of reports takes none that has none.
    """
    library = ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=_CONTAINS)
    group = ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=_CONTAINS)
    group.ContentSequence = ContentSequence(
        [
            ImageContentItem(
                codes.SOURCE, one.SOPClassUID, one.SOPInstanceUID, relationship_type=_CONTAINS
            )
            for one in images
        ]
    )
    library.ContentSequence = ContentSequence([group])
    names = [one.ConceptNameCodeSequence[0].CodeValue for one in items]
    items.insert(names.index(codes.IMAGING_MEASUREMENTS), library)


def _group(track: MeasuredTrack, one: Measured, time_point: int) -> Any:
    """TID 1501 with the end points of a RECIST mark, or TID 1410 with the box as image region.

    The standard lets a measurement carry its own coordinates only in the first of them. A mark's
    box follows from its end points, so nothing is lost. The time point is told by name alone: its
    order would be a number without coordinates, which OHIF's reader takes for a measurement.
    """
    image = SourceImageForRegion.from_source_image(one.header)
    site = codes.FINDING_SITES.get(one.lesion_type)
    shared: dict[str, Any] = {
        "tracking_identifier": hd.TrackingIdentifier(uid=track.uid, identifier=track.name),
        "time_point_context": hd.TimePointContext(str(time_point)),
        "finding_type": codes.LESION,
        "finding_sites": None if site is None else [hd.FindingSite(site)],
        "measurements": _measurements(one, image) or None,
    }
    if one.recist is not None:
        return hd.MeasurementsAndQualitativeEvaluations(**shared)
    region = hd.ImageRegion(GraphicTypeValues.POLYLINE, _outline(one.box), image)
    return hd.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **shared)


def _measurements(one: Measured, image: SourceImageForRegion) -> list[hd.Measurement]:
    ends = (None, None) if one.recist is None else _axes(one.recist, one.header)
    named = ((codes.LONG_AXIS, one.long_mm, ends[0]), (codes.SHORT_AXIS, one.short_mm, ends[1]))
    made = [
        _measurement((name, codes.MILLIMETRE), value, axis, image, estimated=one.estimated)
        for name, value, axis in named
        if value is not None
    ]
    if one.volume_mm3 is not None:
        kind = (codes.VOLUME, codes.CUBIC_MILLIMETRE)
        made.append(_measurement(kind, one.volume_mm3, None, image, estimated=True))
    if one.mean_hu is not None:
        kind = (codes.ATTENUATION, codes.HOUNSFIELD)
        made.append(_measurement(kind, one.mean_hu, None, image, estimated=True))
    return made


def measured_values(lesion: Lesion) -> dict[str, Any]:
    """The sizes of an indexed lesion as fields of ``Measured``.

    The diameters are those of its mark; where it has none, those of its mask, as estimates.
    """
    sizes = lesion.measured
    values: dict[str, Any] = {"long_mm": lesion.long_mm, "short_mm": lesion.short_mm}
    if sizes is None:
        return values
    if lesion.long_mm is None and lesion.short_mm is None:
        long_mm, short_mm, _ = sizes.sizes
        values |= {"long_mm": long_mm, "short_mm": short_mm, "estimated": True}
    return {**values, "volume_mm3": sizes.whole_volume_mm3, "mean_hu": sizes.mean_hu.value}


def _measurement(
    kind: tuple[Code, Code],
    value: float,
    axis: Any,
    image: SourceImageForRegion,
    *,
    estimated: bool,
) -> hd.Measurement:
    """A value of a kind: its name and unit."""
    region = None
    if axis is not None:
        region = [CoordinatesForMeasurement(GraphicTypeValues.POLYLINE, axis, image)]
    return hd.Measurement(
        name=kind[0],
        value=value,
        unit=kind[1],
        derivation=codes.ESTIMATED if estimated else None,
        referenced_coordinates=region,
    )


def _axes(recist: Recist, header: Dataset) -> tuple[Any, Any]:
    """(2, 2) end points of the long and of the short axis, whichever was drawn first."""
    y_mm, x_mm = (float(value) for value in header.get("PixelSpacing", (1.0, 1.0)))
    points = np.asarray(recist.points) + PIXEL_CENTRE
    first, second = points[:2], points[2:]
    lengths = [np.hypot(*((axis[1] - axis[0]) * (x_mm, y_mm))) for axis in (first, second)]
    return (first, second) if lengths[0] >= lengths[1] else (second, first)


def _outline(box: Box) -> Any:
    """(5, 2) corners of the box, closed."""
    x1, y1, x2, y2 = (edge + PIXEL_CENTRE for edge in box.to_list())
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])


def _observer() -> hd.ObserverContext:
    return hd.ObserverContext(
        hd.CodedConcept.from_code(codes.DEVICE),
        hd.DeviceObserverIdentifyingAttributes(
            uid=DEVICE_UID,
            name=DEVICE_NAME,
            manufacturer_name=DEVICE_NAME,
            model_name=f"{DEVICE_NAME} {version('lesion-search')}",
        ),
    )


def _evidence(measured: Sequence[Measured]) -> list[Dataset]:
    """The key images of one study, each once: the report takes patient and study from them."""
    once = {str(one.header.SOPInstanceUID): one.header for one in measured}
    for header in once.values():
        for keyword, empty in _INHERITED.items():
            if keyword not in header:
                setattr(header, keyword, empty)
    return list(once.values())


def _place(one: Measured) -> tuple[date, str, str]:
    return one.day, str(one.header.get("StudyID") or ""), one.study_uid


def _new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def _told(tracks: Sequence[MeasuredTrack], time_point: int) -> str:
    """All that a report says: two that say the same are the same."""
    told: list[tuple[Any, ...]] = [
        (
            *(track.uid, str(one.header.SOPInstanceUID), one.box.to_list()),
            *(one.long_mm, one.short_mm),
            *(value for value in (one.volume_mm3, one.mean_hu) if value is not None),
        )
        for track in tracks
        for one in track.lesions
    ]
    return repr((time_point, told))


def _content_uid(kind: str, told: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'lesion-search/{kind}/{told}').int}"
