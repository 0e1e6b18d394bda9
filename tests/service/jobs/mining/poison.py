"""Two hundred marks as a PACS holds them: sixty lesions, and everything that is none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from retrieval.lesion import Recist
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.carriers import (
    lines_of,
    outlines_of,
    rtstruct_of,
    seg_of,
    sr_of,
    write_marks,
)
from tests.service.jobs.mining.drawn import Drawn, uid_of
from tests.service.jobs.mining.hospital import KEY, POINTS, SLICES, Study

PATIENTS = 5
GOOD_PER_CARRIER = 12
GOOD = ("sr", "gsps", "seg", "rtstruct", "aim")
HOSTILE = ("'; DROP TABLE marks; --", "../../etc/passwd", "=HYPERLINK(1)", "\u202eevil", "x" * 60)

Recipe = Callable[[Any, int], tuple[list[Dataset | bytes], str]]


@dataclass
class Expected:
    """What must become of the marks.

    Attributes:
        lesions: (SOP instance UID, middle of the box) of every lesion.
        refused: file name -> the verdicts that are right for what is in it.
    """

    lesions: list[tuple[str, tuple[float, float]]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class _Wards:
    """The images, and an image of its own for each mark."""

    def __init__(self) -> None:
        self.studies = [
            Study(f"MRN-{number}", number, date(2020, 1, number)) for number in range(1, 6)
        ]
        self.datasets = [study.datasets() for study in self.studies]
        self._next = 0

    def slot(self) -> Drawn:
        """A place on a slice that no other mark has."""
        place = self._next
        self._next += 1
        patient, rest = place % PATIENTS, place // PATIENTS
        position, corner = rest % SLICES, rest // SLICES
        datasets = self.datasets[patient]
        points = POINTS + ((0, 0), (-25, 22), (12, -25))[corner]
        return Drawn(datasets[position], recist_of(points), f"Lesion {place}")


def recist_of(points: np.ndarray) -> Recist:
    """A mark of four ends."""
    return Recist(tuple((float(x), float(y)) for x, y in points))


def poisoned_hospital(root: Path) -> Expected:
    """Writes images and marks below ``root/source``; returns what must come of them."""
    wards = _Wards()
    for number, datasets in enumerate(wards.datasets):
        write_files(datasets, root / "source" / "ct" / str(number))
    marks = root / "source" / "marks"
    expected = Expected()
    for carrier in GOOD:
        for place in range(GOOD_PER_CARRIER):
            drawn = wards.slot()
            name = HOSTILE[place % len(HOSTILE)] if place >= GOOD_PER_CARRIER // 2 else drawn.name
            drawn = Drawn(drawn.header, drawn.recist, name, drawn.tracking_uid)
            write_marks(carrier, [drawn], marks, f"good{place:02d}")
            box = drawn.recist.box()
            expected.lesions.append((str(drawn.header.SOPInstanceUID), box.center))
    for kind, (recipe, verdicts) in RECIPES.items():
        for place in range(COUNTS.get(kind, 7)):
            written = recipe(wards, place)
            for number, one in enumerate(written):
                name = f"{kind}{place:02d}-{number}"
                path = marks / (f"{name}.json" if isinstance(one, bytes) else f"{name}.dcm")
                _store(one, path)
                expected.refused[path.name] = verdicts
    images = root / "source" / "strays"
    images.mkdir(parents=True)
    for number, stray in enumerate(_strays(wards)):
        stray.save_as(images / f"stray{number}.dcm", enforce_file_format=True)
    return expected


def _store(one: Dataset | bytes, path: Path) -> None:
    if isinstance(one, bytes):
        path.write_bytes(one)
    else:
        one.save_as(path, enforce_file_format=True)


# Recipes: what is written, and which verdicts are right for it -------------------------------


def single_line(wards: Any, place: int) -> list[Dataset]:
    return [_only_first_line(sr_of([wards.slot()])[0])]


def not_perpendicular(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    p, q, *_ = drawn.recist.points
    middle = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
    askew = ((middle[0] - 4, middle[1] - 4), (middle[0] + 4, middle[1] + 4))
    return [*_two_lines(drawn, (p, q), askew)]


def far_apart(wards: Any, place: int) -> list[Dataset]:
    drawn = wards.slot()
    (x1, y1), (x2, y2), *_ = drawn.recist.points
    beside = ((x2 + 8, y1 - 5), (x2 + 8, y1 + 5))
    return [*_two_lines(drawn, ((x1, y1), (x2, y2)), beside)]


def on_a_scout(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, _scout)])


def on_a_coronal_slice(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, _coronal)])


def on_an_mr_image(wards: Any, place: int) -> list[Dataset]:
    return sr_of([_on(wards, place, _mr)])


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
    for graphic in _graphics(report):
        graphic.GraphicData = [float("nan"), *list(graphic.GraphicData)[1:]]
    return [report]


def too_many_points(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for graphic in _graphics(report):
        graphic.GraphicData = [float(value % 90) for value in range(2 * 1001)]
    return [report]


def contradicting(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for item in _numbers(report):
        value = item.MeasuredValueSequence[0]
        value.NumericValue = str(round(float(value.NumericValue) * 3.3, 4))
    return [report]


def anatomy(wards: Any, place: int) -> list[Dataset]:
    (report,) = sr_of([wards.slot()])
    for item in _items(report):
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
    report = _only_first_line(sr_of([wards.slot()])[0])
    for item in _numbers(report):
        name = item.ConceptNameCodeSequence[0]
        name.CodeValue, name.CodingSchemeDesignator = "1483009", "SCT"
        name.CodeMeaning = "Angle"
        unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
        unit.CodeValue, unit.CodeMeaning = "deg", "degrees"
    for graphic in _graphics(report):
        x, y = (float(value) for value in list(graphic.GraphicData)[:2])
        graphic.GraphicData = [x, y, x + 9, y, x + 9, y + 9]
    return [report]


def point_alone(wards: Any, place: int) -> list[Dataset]:
    report = _only_first_line(sr_of([wards.slot()])[0])
    for graphic in _graphics(report):
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


def rounded(middle: tuple[float, float]) -> tuple[float, float]:
    return round(middle[0], 2), round(middle[1], 2)


# Images that are no axial CT -------------------------------------------------------------------


def _on(wards: Any, place: int, make: Callable[[Dataset, int], Dataset]) -> Drawn:
    drawn = wards.slot()
    return Drawn(make(drawn.header, place % 2), drawn.recist)


def _strays(wards: Any) -> Iterator[Dataset]:
    for make in (_scout, _coronal, _mr):
        for datasets in wards.datasets:
            for place in (0, 1):
                yield make(datasets[KEY], place)


def _renamed(header: Dataset, kind: str, place: int) -> Dataset:
    made = copy.deepcopy(header)
    made.SeriesInstanceUID = uid_of(kind, header.StudyInstanceUID)
    made.SOPInstanceUID = uid_of(kind, header.StudyInstanceUID, place)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.SeriesNumber = 90
    return made


def _scout(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "scout", place)
    made.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return made


def _coronal(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "coronal", place)
    made.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return made


def _mr(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "mr", place)
    made.Modality = "MR"
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    return made


# Reports changed item by item ------------------------------------------------------------------


def _items(dataset: Dataset) -> Iterator[Dataset]:
    for child in dataset.get("ContentSequence") or ():
        yield child
        yield from _items(child)


def _graphics(report: Dataset) -> list[Dataset]:
    return [item for item in _items(report) if "GraphicData" in item]


def _numbers(report: Dataset) -> list[Dataset]:
    return [item for item in _items(report) if item.get("ValueType") == "NUM"]


def _only_first_line(report: Dataset) -> Dataset:
    """The report without its short axes."""
    for item in [report, *_items(report)]:
        if "ContentSequence" in item:
            item.ContentSequence = [
                child
                for child in item.ContentSequence
                if not (
                    child.get("ValueType") == "NUM"
                    and child.ConceptNameCodeSequence[0].CodeMeaning.lower() == "short axis"
                )
            ]
    return report


def _two_lines(drawn: Drawn, first: Any, second: Any) -> list[Dataset]:
    """A presentation state of two lines, drawn one by one, that are no RECIST mark."""
    (state,) = lines_of([Drawn(drawn.header, Recist((*first, *second)), drawn.name)])
    state.SOPInstanceUID = state.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    annotation = state.GraphicAnnotationSequence[0]
    other = copy.deepcopy(annotation)
    lines = list(annotation.GraphicObjectSequence)
    annotation.GraphicObjectSequence, other.GraphicObjectSequence = lines[:1], lines[1:]
    for one in lines:
        del one.TrackingID
        del one.TrackingUID
    state.GraphicAnnotationSequence = [annotation, other]
    return [state]
