"""Marks that are no lesions, or of no image at hand: how each kind is made."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset

from retrieval.lesion import Recist
from tests.service.jobs.mining.carriers import outlines_of, rtstruct_of, seg_of, sr_of
from tests.service.jobs.mining.changed_reports import (
    graphics,
    items,
    numbers,
    only_first_line,
    two_lines,
)
from tests.service.jobs.mining.drawn import Drawn, uid_of
from tests.service.jobs.mining.hospital import POINTS
from tests.service.jobs.mining.strays import coronal, mr, scout


def single_line(wards: Any, place: int) -> list[Dataset]:
    return [only_first_line(sr_of([wards.slot()])[0])]


def not_perpendicular(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    p, q, *_ = drawn.recist.points
    middle = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
    askew = ((middle[0] - 4, middle[1] - 4), (middle[0] + 4, middle[1] + 4))
    return [*two_lines(drawn, (p, q), askew)]


def far_apart(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    (x1, y1), (x2, y2), *_ = drawn.recist.points
    beside = ((x2 + 8, y1 - 5), (x2 + 8, y1 + 5))
    return [*two_lines(drawn, ((x1, y1), (x2, y2)), beside)]


def on_a_scout(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, scout)])


def on_a_coronal_slice(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, coronal)])


def on_an_mr_image(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, mr)])


def without_image(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    header = copy.deepcopy(drawn.header)
    header.StudyInstanceUID, header.SeriesInstanceUID = uid_of("gone", 1), uid_of("gone", 2)
    header.SOPInstanceUID = uid_of("gone", place)
    return sr_of([Drawn(header, drawn.recist)])


def other_frame(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    header = copy.deepcopy(drawn.header)
    header.FrameOfReferenceUID = uid_of("another frame")
    (made,) = rtstruct_of([Drawn(header, drawn.recist)])
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid_of("frame", place)
    return [made]


def between_patients(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    report.PatientID = "MRN-OTHER"
    return [report]


def swapped_axes(wards: Any, place: int) -> list[Dataset]:
    """Rows for columns: on this body the mark leaves the image, or lies in the air."""
    drawn = wards.slot()
    points = [(y + 60, x + 60) for x, y in drawn.recist.points]
    return sr_of([Drawn(drawn.header, Recist(tuple(points)))])


def on_air(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    points = [(x / 8 + 1, y / 8 + 86) for x, y in POINTS]
    return sr_of([Drawn(drawn.header, Recist(tuple(points)))])


def not_a_number(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for graphic in graphics(report):
        graphic.GraphicData = [float("nan"), *list(graphic.GraphicData)[1:]]
    return [report]


def too_many_points(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for graphic in graphics(report):
        graphic.GraphicData = [float(value % 90) for value in range(2 * 1001)]
    return [report]


def contradicting(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for item in numbers(report):
        value = item.MeasuredValueSequence[0]
        value.NumericValue = str(round(float(value.NumericValue) * 3.3, 4))
    return [report]


def anatomy(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for item in items(report):
        name = item.get("ConceptNameCodeSequence")
        if name and name[0].CodeValue == "121071":
            code = item.ConceptCodeSequence[0]
            code.CodeValue, code.CodeMeaning = "15825003", "Aorta"
    return [report]


def organ_segment(wards: Any, place: int) -> list[Dataset]:
    (made,) = seg_of([wards.slot()])
    segment = made.SegmentSequence[0]
    segment.SegmentLabel = "Liver"
    for sequence, value, meaning in (
        ("SegmentedPropertyCategoryCodeSequence", "123037004", "Anatomical Structure"),
        ("SegmentedPropertyTypeCodeSequence", "10200004", "Liver"),
    ):
        code = segment[sequence].value[0]
        code.CodeValue, code.CodeMeaning = value, meaning
    return [made]


def organ_contour(wards: Any, place: int) -> list[Dataset]:
    (made,) = outlines_of([wards.slot()])
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid_of("organ", place)
    made.StructureSetROISequence[0].ROIName = "Heart"
    made.RTROIObservationsSequence[0].RTROIInterpretedType = "ORGAN"
    return [made]


def dangling(wards: Any, place: int) -> list[Dataset]:
    (made,) = rtstruct_of([wards.slot()])
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid_of("empty", place)
    del made.ROIContourSequence[0].ContourSequence
    return [made]


def angle(wards: Any, place: int) -> list[Dataset]:
    """An angle of three points, in degrees."""
    report = only_first_line(sr_of([wards.slot()])[0])
    for item in numbers(report):
        name = item.ConceptNameCodeSequence[0]
        name.CodeValue, name.CodingSchemeDesignator = "1483009", "SCT"
        name.CodeMeaning = "Angle"
        unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
        unit.CodeValue, unit.CodeMeaning = "deg", "degrees"
    for graphic in graphics(report):
        x, y = (float(value) for value in list(graphic.GraphicData)[:2])
        graphic.GraphicData = [x, y, x + 9, y, x + 9, y + 9]
    return [report]


def point_alone(wards: Any, place: int) -> list[Dataset]:
    report = only_first_line(sr_of([wards.slot()])[0])
    for graphic in graphics(report):
        graphic.GraphicType = "POINT"
        graphic.GraphicData = list(graphic.GraphicData)[:2]
    return [report]


def truncated(wards: Any, place: int) -> list[bytes]:
    """The first bytes of a report, and no more of it."""
    return [b'{"ImageAnnotationCollection": {"uniqueIdentifier": {"root": "1.2.3'[: 40 + place]]


def superseded(wards: Any, place: int) -> list[Dataset]:
    """A report whose mark a later version draws elsewhere: the later one is empty of it."""
    drawn = wards.slot()
    (old,) = sr_of([drawn])
    later = without_image(wards, 100 + place)[0]
    study = Dataset()
    study.StudyInstanceUID = old.StudyInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = old.SeriesInstanceUID
    instance = Dataset()
    instance.ReferencedSOPClassUID = old.SOPClassUID
    instance.ReferencedSOPInstanceUID = old.SOPInstanceUID
    series.ReferencedSOPSequence = [instance]
    study.ReferencedSeriesSequence = [series]
    later.PredecessorDocumentsSequence = [study]
    later.PatientID = old.PatientID
    return [old, later]


def _on(wards: Any, place: int, make: Callable[[Dataset, int], Dataset]) -> Drawn:
    drawn = wards.slot()
    return Drawn(make(drawn.header, place % 2), drawn.recist)


RECIPES: dict[str, tuple[Callable[[Any, int], list[Any]], str]] = {
    "single": (single_line, "single line"),
    "askew": (not_perpendicular, "not perpendicular|single line"),
    "apart": (far_apart, "not perpendicular|single line"),
    "scout": (on_a_scout, "not axial CT"),
    "coronal": (on_a_coronal_slice, "not axial CT"),
    "mr": (on_an_mr_image, "not axial CT"),
    "gone": (without_image, "no image"),
    "frame": (other_frame, "other frame of reference"),
    "patient": (between_patients, "another patient's image"),
    "swapped": (swapped_axes, "outside the image|not a lesion"),
    "air": (on_air, "not a lesion"),
    "nan": (not_a_number, "not a number"),
    "points": (too_many_points, "too many points|open line|too large"),
    "lengths": (contradicting, "contradicting lengths"),
    "anatomy": (anatomy, "anatomy"),
    "organ": (organ_segment, "anatomy|not a lesion"),
    "heart": (organ_contour, "anatomy|not a lesion"),
    "empty": (dangling, "no coordinates"),
    "angle": (angle, "angle"),
    "dot": (point_alone, "point"),
    "cut": (truncated, "unreadable|no marks in it"),
    "old": (superseded, "replaced by|no image"),
}
"""Kind -> how it is made, and the verdicts that name it rightly."""

COUNTS = {"scout": 4, "coronal": 4, "mr": 4, "cut": 4, "old": 4}
