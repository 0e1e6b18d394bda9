"""Reports of what the service itself holds: a mark on an upload, the lesion tracks of its index."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionType
from retrieval.segmentation.measuring import LesionMeasurement
from retrieval.tracking.matcher import MatcherModel
from service.decoding.identity import IdentifiedImage, ImageIdentity
from service.engine.patient_tracks import tracks_of
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import MarkedBox
from service.pacs.client import PacsClient
from service.pacs.reports.files import content_of, zip_of
from service.pacs.reports.tracks import PacsReports
from service.pacs.reports.writing import (
    Measured,
    MeasuredTrack,
    ReportError,
    measured_values,
    reports_of,
    track_uid,
)

DERIVED = (
    "Images are named by identifiers that follow from the index's names: the index does not know "
    "their own."
)

STUDY_ID_LENGTH = 16
"""The most characters of a StudyID. Studies without a date are in its order."""


@dataclass(frozen=True)
class ReportFile:
    """A report, or a zip of several, as a file.

    Attributes:
        content: the bytes.
        media_type: ``application/dicom`` or ``application/zip``.
        name: what to call it; it holds no patient's id.
        measurements: how many lesions stand in it.
    """

    content: bytes
    media_type: str
    name: str
    measurements: int


def report_of_mark(
    image: IdentifiedImage,
    query: LesionQuery,
    *,
    lesion_type: LesionType = LesionType.UNKNOWN,
    measured: LesionMeasurement | None = None,
) -> ReportFile:
    """The marked lesion on the key slice of DICOM images as a report of its own.

    Args and errors are those of ``track_of_mark``.
    """
    track = track_of_mark(image, query, lesion_type=lesion_type, measured=measured)
    return _file(reports_of(track, stable=True), "lesion_report", 1)


def stored_report_of_mark(
    pacs: PacsClient,
    image: IdentifiedImage,
    query: LesionQuery,
    *,
    lesion_type: LesionType = LesionType.UNKNOWN,
    measured: LesionMeasurement | None = None,
) -> PacsReports:
    """``report_of_mark`` stored in the PACS that has the images.

    Raises, beside its errors:
        UnknownReferenceError: the PACS does not have the study.
        OtherInstanceError: it has the image as another patient's.
    """
    track = track_of_mark(image, query, lesion_type=lesion_type, measured=measured)
    header = track[0].lesions[0].header
    series = pacs.series(str(header.SeriesInstanceUID), str(header.StudyInstanceUID))
    pacs.header(series, str(header.SOPInstanceUID), patient_id=str(header.PatientID))
    reports = reports_of(track, stable=True)
    pacs.store(reports)
    return PacsReports(tuple(reports), 1, 0)


def track_of_mark(
    image: IdentifiedImage,
    query: LesionQuery,
    *,
    lesion_type: LesionType = LesionType.UNKNOWN,
    measured: LesionMeasurement | None = None,
) -> list[MeasuredTrack]:
    """The marked lesion on the key slice of DICOM images, as a track of one measurement.

    Args:
        image: CT on its key slice, with the UIDs of its images.
        query: the box or RECIST mark, in its grid.
        measured: the network's diameters go along instead of the mark's, called estimated.

    Raises:
        ReportError: the image is not DICOM, or its images' UIDs are not known.
        QueryError: neither a box nor a RECIST mark.
    """
    slab, identity = image.slab, image.identity
    if identity is None or not identity.is_reportable:
        raise ReportError(
            "a DICOM report refers to DICOM images: this image is no such series, or not all of "
            "its slices say their UID; export the table instead"
        )
    header = _header_of_upload(identity, slab)
    if measured is None:
        one = _marked(header, query.in_file_grid(slab.grid), slab)
    else:
        one = _measured(header, measured)
    one = replace(one, lesion_type=lesion_type)
    return [MeasuredTrack("Lesion 1", track_uid(one), (one,))]


def report_of_indexed(
    index: LesionIndex, patient_id: str, *, model: MatcherModel | None = None
) -> ReportFile:
    """All lesion tracks that the index has of a patient: one report for each study.

    An index knows names of studies and series, no images' UIDs: those in the reports follow from
    the names and are the same each time. The reports say so.

    Raises UnknownPatientError.
    """
    records = {one.lesion.lesion_id: one for one in index.patient(patient_id)}
    tracks = []
    for track in tracks_of(index, patient_id, model=model).tracks:
        members = tuple(_indexed(records[lesion.lesion_id]) for lesion in track.lesions)
        tracks.append(MeasuredTrack(track.track_id, track_uid(members[0]), members))
    reports = reports_of(tracks, stable=True, comment=DERIVED)
    return _file(reports, "patient_report", len(records))


def _marked(header: Dataset, asked: LesionQuery, slab: Slab) -> Measured:
    marked = MarkedBox.given(asked, slab)
    if marked is None:
        raise QueryError("give the lesion's box as x1,y1,x2,y2 or its RECIST mark")
    return Measured(
        header=header,
        box=marked.box,
        recist=asked.recist,
        long_mm=marked.long_mm,
        short_mm=marked.short_mm,
    )


def _measured(header: Dataset, found: LesionMeasurement) -> Measured:
    recist = found.slab.grid.to_file_recist(found.diameters.recist)
    values = {name: one.value for name, one in found.values.items()}
    return Measured(
        header=header,
        box=recist.box(),
        recist=recist,
        long_mm=values["long_mm"],
        short_mm=values["short_mm"],
        volume_mm3=values.get("volume_mm3"),
        mean_hu=values.get("mean_hu"),
        estimated=True,
    )


def _indexed(record: LesionRecord) -> Measured:
    lesion = record.lesion
    return Measured(
        header=_header_of_lesion(lesion, record.source.spacing_mm_px),
        box=lesion.box,
        lesion_type=lesion.lesion_type,
        **measured_values(lesion),
    )


def _header_of_upload(identity: ImageIdentity, slab: Slab) -> Dataset:
    header = _header(slab.file_spacing_mm_px)
    header.PatientID = identity.patient_id or ""
    header.StudyInstanceUID = identity.study_id
    header.SeriesInstanceUID = identity.series_id
    header.SOPInstanceUID = identity.image_uids[slab.key_slice_index - slab.slice_numbers[0]]
    if identity.study_date is not None:
        header.StudyDate = identity.study_date.strftime("%Y%m%d")
    return header


def _header_of_lesion(lesion: Lesion, spacing_mm_px: tuple[float, float]) -> Dataset:
    header = _header(spacing_mm_px)
    header.PatientID = lesion.patient_id
    header.StudyInstanceUID = _uid(lesion.study_id, "study")
    if len(lesion.study_id) <= STUDY_ID_LENGTH:
        header.StudyID = lesion.study_id
    header.SeriesInstanceUID = _uid(lesion.series_id, "series")
    header.SOPInstanceUID = _uid(f"{lesion.series_id}/{lesion.key_slice_index}", "image")
    if lesion.study_date is not None:
        header.StudyDate = lesion.study_date.strftime("%Y%m%d")
    return header


def _header(spacing_mm_px: tuple[float, float]) -> Dataset:
    x_mm, y_mm = spacing_mm_px
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.Modality = "CT"
    header.SamplesPerPixel = 1
    header.PixelSpacing = [y_mm, x_mm]
    return header


def _uid(name: str, kind: str) -> str:
    """The name where it is a UID already, else one that follows from it."""
    if name.count(".") >= 2 and UID(name).is_valid:
        return name
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'lesion-search/{kind}/{name}').int}"


def _file(reports: Sequence[Any], name: str, measurements: int) -> ReportFile:
    if len(reports) == 1:
        content = content_of(reports[0])
        return ReportFile(content, "application/dicom", f"{name}.dcm", measurements)
    return ReportFile(zip_of(reports, name), "application/zip", f"{name}s.zip", measurements)
