"""RECIST marks written into every carrier, by other people's writers where there are any."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import highdicom.pr as pr
import highdicom.seg as seg
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from retrieval.lesion import Recist
from service.pacs.reports.writing import Measured, MeasuredTrack, reports_of
from tests.service.jobs.mining.aim_documents import aim_of
from tests.service.jobs.mining.drawn import CORNER, Drawn, uid_of
from tests.service.jobs.mining.measured_segments import reports_of_segments

SUBPIXELS = 8
_MADE_BY = {
    "manufacturer": "Test",
    "manufacturer_model_name": "Writer",
    "software_versions": "1",
    "device_serial_number": "1",
}


def sr_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """The product's own reports, TID 1500 by highdicom."""
    tracks = []
    for one in drawn:
        long_mm, short_mm = one.recist.diameters_mm(one.spacing_mm_px)
        measured = Measured(
            copy.deepcopy(one.header),
            one.recist.box(),
            one.lesion_type,
            one.recist,
            long_mm,
            short_mm,
        )
        uid = one.tracking_uid or uid_of("track", one.header.SOPInstanceUID, *one.recist.points)
        tracks.append(MeasuredTrack(one.name, uid, (measured,)))
    return list(reports_of(tracks))


def gsps_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """One presentation state: two lines a mark, in pixels, a graphic group each."""
    return _presentation(drawn, [pr.GraphicGroup(n, one.name[:16]) for n, one in numbered(drawn)])


def lines_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """The same as lines of no group: which of them belong together the miner must tell."""
    return _presentation(drawn, [])


def numbered(drawn: Sequence[Drawn]) -> list[tuple[int, Drawn]]:
    """The marks from 1."""
    return list(enumerate(drawn, start=1))


def _presentation(drawn: Sequence[Drawn], groups: Sequence[Any]) -> list[Dataset]:
    layer = pr.GraphicLayer("MEASUREMENTS", order=1)
    annotations = [
        pr.GraphicAnnotation(
            [one.header],
            layer,
            graphic_objects=[
                pr.GraphicObject(
                    "POLYLINE",
                    np.clip(line + CORNER, 0, (one.header.Columns, one.header.Rows)),
                    "PIXEL",
                    graphic_group=groups[n - 1] if groups else None,
                    tracking_id=one.name,
                    tracking_uid=one.tracking_uid
                    or uid_of("gsps", one.header.SOPInstanceUID, *one.recist.points),
                )
                for line in one.lines
            ],
        )
        for n, one in numbered(drawn)
    ]
    images = {str(one.header.SOPInstanceUID): one.header for one in drawn}
    state = pr.GrayscaleSoftcopyPresentationState(
        list(images.values()),
        series_instance_uid=uid_of("gsps series", len(groups), *sorted(images)),
        series_number=50,
        sop_instance_uid=uid_of("gsps", len(groups), *sorted(images)),
        instance_number=1,
        content_label="MARKS",
        graphic_annotations=annotations,
        graphic_layers=[layer],
        graphic_groups=groups or None,
        **_MADE_BY,
    )
    # A released mark ends beyond the edge of its image, which highdicom does not write.
    for annotation, one in zip(state.GraphicAnnotationSequence, drawn, strict=True):
        for graphic, line in zip(annotation.GraphicObjectSequence, one.lines, strict=True):
            graphic.GraphicData = [float(value) for value in (line + CORNER).ravel()]
    return [_with_preamble(state)]


def mask_of(recist: Recist, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) the pixels of which half lies inside the four ends' outline."""
    p, q, s, t = recist.points
    corners = np.array([p, s, q, t])
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    height, width = min(bottom, rows) - top, min(right, columns) - left
    fine = np.zeros((height * SUBPIXELS, width * SUBPIXELS), np.uint8)
    inside = (corners - (left, top) + 0.5) * SUBPIXELS - 0.5
    cv2.fillPoly(fine, [np.rint(inside).astype(np.int32)], 1)
    share = fine.reshape(height, SUBPIXELS, width, SUBPIXELS).mean(axis=(1, 3))
    mask = np.zeros((rows, columns), np.bool_)
    mask[top : top + height, left : left + width] = share >= 0.5
    # A lesion thinner than a pixel still has the pixel that it lies in.
    middle = np.rint(corners.mean(axis=0)).astype(int)
    mask[middle[1], middle[0]] = True
    return mask


def seg_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """One SEG for each image: a binary segment a mark."""
    return [_segmentation(members) for members in _by_image(drawn)]


def measured_seg_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """The same, and for each a report with the lengths of its segments (TID 1411)."""
    members = _by_image(drawn)
    made = [_segmentation(held) for held in members]
    return [*made, *reports_of_segments(made, members)]


def _by_image(drawn: Sequence[Drawn]) -> list[list[Drawn]]:
    found: dict[str, list[Drawn]] = {}
    for one in drawn:
        found.setdefault(str(one.header.SOPInstanceUID), []).append(one)
    return list(found.values())


def _segmentation(members: Sequence[Drawn]) -> Dataset:
    header = members[0].header
    rows, columns = int(header.Rows), int(header.Columns)
    masks = np.stack([mask_of(one.recist, rows, columns) for one in members], axis=-1)
    described = [
        seg.SegmentDescription(
            number,
            one.name,
            Code("49755003", "SCT", "Morphologically Altered Structure"),
            Code("52988006", "SCT", "Lesion"),
            "MANUAL",
            tracking_uid=one.tracking_uid
            or uid_of("seg", header.SOPInstanceUID, *one.recist.points),
            tracking_id=one.name,
        )
        for number, one in enumerate(members, start=1)
    ]
    made = seg.Segmentation(
        [header],
        masks[None],
        "BINARY",
        described,
        series_instance_uid=uid_of("seg series", header.SOPInstanceUID),
        series_number=60,
        sop_instance_uid=uid_of("seg", header.SOPInstanceUID),
        instance_number=1,
        **_MADE_BY,
    )
    return _with_preamble(made)


def rtstruct_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """One structure set for each frame of reference: two open contours a region, the lines."""
    return _all_structures(drawn, "lines")


def outlines_of(drawn: Sequence[Drawn]) -> list[Dataset]:
    """One structure set for each frame of reference: a closed contour through the four ends."""
    return _all_structures(drawn, "outlines")


def _all_structures(drawn: Sequence[Drawn], form: str) -> list[Dataset]:
    by_frame: dict[str, list[Drawn]] = {}
    for one in drawn:
        by_frame.setdefault(str(one.header.FrameOfReferenceUID), []).append(one)
    return [_structures(frame, members, form) for frame, members in by_frame.items()]


def _structures(frame: str, members: Sequence[Drawn], form: str) -> Dataset:
    first = members[0].header
    names = [one.header.SOPInstanceUID for one in members]
    made = Dataset()
    made.SOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = uid_of("rtstruct", form, frame, *names)
    made.SeriesInstanceUID = uid_of("rtstruct series", form, frame, first.SeriesInstanceUID)
    made.Modality, made.StructureSetLabel, made.SeriesNumber = "RTSTRUCT", "MARKS", 70
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(made, keyword, first.get(keyword, ""))
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        setattr(made, keyword, first.get(keyword, ""))
    made.StructureSetDate, made.StructureSetTime = first.get("StudyDate", ""), "120000"
    made.ReferencedFrameOfReferenceSequence = [_referenced(frame, members)]
    made.StructureSetROISequence = [
        _dataset(
            ROINumber=number,
            ReferencedFrameOfReferenceUID=frame,
            ROIName=one.name,
            ROIGenerationAlgorithm="MANUAL",
        )
        for number, one in enumerate(members, start=1)
    ]
    made.ROIContourSequence = [
        _dataset(ReferencedROINumber=number, ContourSequence=_contours(one, form))
        for number, one in enumerate(members, start=1)
    ]
    made.RTROIObservationsSequence = [
        _dataset(
            ObservationNumber=number,
            ReferencedROINumber=number,
            RTROIInterpretedType="GTV",
            ROIInterpreter="",
        )
        for number, _ in enumerate(members, start=1)
    ]
    return _with_preamble(made)


def _contours(one: Drawn, form: str) -> list[Dataset]:
    p, q, s, t = one.recist.points
    if form == "lines":
        return [_contour(one, "OPEN_PLANAR", (p, q)), _contour(one, "OPEN_PLANAR", (s, t))]
    return [_contour(one, "CLOSED_PLANAR", (p, s, q, t))]


def _contour(one: Drawn, kind: str, points: Sequence[tuple[float, float]]) -> Dataset:
    numbers = np.concatenate([_in_mm(one.header, point) for point in points])
    return _dataset(
        ContourImageSequence=[_instance(one.header)],
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{value:.10g}"[:16] for value in numbers],
    )


def _referenced(frame: str, members: Sequence[Drawn]) -> Dataset:
    series: dict[tuple[str, str], dict[str, Dataset]] = {}
    for one in members:
        key = (str(one.header.StudyInstanceUID), str(one.header.SeriesInstanceUID))
        series.setdefault(key, {})[str(one.header.SOPInstanceUID)] = one.header
    studies = [
        _dataset(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
            ReferencedSOPInstanceUID=study,
            RTReferencedSeriesSequence=[
                _dataset(
                    SeriesInstanceUID=uid,
                    ContourImageSequence=[_instance(header) for header in headers.values()],
                )
            ],
        )
        for (study, uid), headers in series.items()
    ]
    return _dataset(FrameOfReferenceUID=frame, RTReferencedStudySequence=studies)


WRITERS: dict[str, Callable[[Sequence[Drawn]], Sequence[Dataset | bytes]]] = {
    "sr": sr_of,
    "gsps": gsps_of,
    "gsps-lines": lines_of,
    "seg": seg_of,
    "seg-measured": measured_seg_of,
    "rtstruct": rtstruct_of,
    "rtstruct-outline": outlines_of,
    "aim": aim_of,
}
"""One writer a carrier."""


def write_marks(carrier: str, drawn: Sequence[Drawn], folder: Path, name: str = "marks") -> int:
    """Writes the marks into files of a folder; returns how many files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = WRITERS[carrier](drawn)
    for number, one in enumerate(made):
        path = folder / f"{name}-{carrier}-{number}"
        if isinstance(one, bytes):
            path.with_suffix(".json").write_bytes(one)
        else:
            one.save_as(path.with_suffix(".dcm"), enforce_file_format=True)
    return len(made)


def _in_mm(header: Dataset, point: tuple[float, float]) -> np.ndarray:
    y_mm, x_mm = (float(one) for one in header.PixelSpacing)
    axes = np.array([float(one) for one in header.ImageOrientationPatient]).reshape(2, 3)
    origin = np.array([float(one) for one in header.ImagePositionPatient])
    return origin + np.array(point) * (x_mm, y_mm) @ axes


def _instance(header: Dataset) -> Dataset:
    return _dataset(
        ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID
    )


def _dataset(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _with_preamble(made: Any) -> Any:
    if not hasattr(made, "file_meta") or "TransferSyntaxUID" not in made.file_meta:
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.preamble = b"\0" * 128
    return made
