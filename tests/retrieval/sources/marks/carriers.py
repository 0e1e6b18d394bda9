"""Carriers made by hand for the tests, and a study of CT headers for them to lie on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.meaning.options import JudgingOptions
from retrieval.sources.marks.planes import PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import JudgedMark, Refusal

ROWS, COLUMNS, SLICES, INTERVAL_MM = 80, 96, 9, 2.5
SPACING = (0.75, 0.75)
CT = "1.2.840.10008.5.1.4.1.1.2"


def item(**fields: object) -> Dataset:
    """A dataset of fields; lists of datasets become sequences, values are not validated."""
    dataset = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in fields.items():
            is_sequence = isinstance(value, list) and value and isinstance(value[0], Dataset)
            setattr(dataset, keyword, Items(value) if is_sequence else value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


@dataclass(frozen=True)
class CtStudy:
    """Headers of one axial series; ``tilt`` turns it about x, in degrees."""

    name: str = "a"
    patient: str = "P1"
    tilt: float = 0.0
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    axes: tuple[float, ...] | None = None

    def uid(self, what: str) -> str:
        return generate_uid(entropy_srcs=[what, self.name])

    @property
    def frame_uid(self) -> str:
        return self.uid("frame")

    @property
    def axes_xy(self) -> np.ndarray:
        """(2, 3) directions along x and y."""
        if self.axes is not None:
            return np.asarray(self.axes).reshape(2, 3)
        turn = np.radians(self.tilt)
        return np.array([[1, 0, 0], [0, np.cos(turn), np.sin(turn)]])

    def position(self, n: int) -> np.ndarray:
        return np.array([-30.0, -20.0, 100.0 + n * INTERVAL_MM])

    def sop(self, n: int) -> str:
        return self.uid(f"image {n}")

    def header(self, n: int) -> Dataset:
        return item(
            SOPClassUID=CT,
            SOPInstanceUID=self.sop(n),
            StudyInstanceUID=self.uid("study"),
            SeriesInstanceUID=self.uid("series"),
            FrameOfReferenceUID=self.frame_uid,
            PatientID=self.patient,
            Modality="CT",
            SeriesNumber=8,
            InstanceNumber=n + 30,
            ImageType=list(self.image_type),
            Rows=ROWS,
            Columns=COLUMNS,
            PixelSpacing=[SPACING[1], SPACING[0]],
            ImagePositionPatient=[float(one) for one in self.position(n)],
            ImageOrientationPatient=[float(one) for one in self.axes_xy.ravel()],
        )

    @property
    def headers(self) -> list[Dataset]:
        return [self.header(n) for n in range(SLICES)]

    def mm(self, points: Sequence[Sequence[float]], n: int) -> np.ndarray:
        """(k, 3) patient points of pixels (k, 2) of slice n."""
        return self.position(n) + (np.asarray(points) * SPACING) @ self.axes_xy


def carrier(sop_class: str, modality: str, study: CtStudy, name: str) -> Dataset:
    dataset = item(
        SOPClassUID=sop_class,
        SOPInstanceUID=generate_uid(entropy_srcs=[name, study.name]),
        StudyInstanceUID=study.uid("study"),
        SeriesInstanceUID=generate_uid(entropy_srcs=["series", name]),
        PatientID=study.patient,
        Modality=modality,
        ContentDate="20240131",
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


# -- DICOM SR -------------------------------------------------------------------------------------


def content(value_type: str, name: Dataset, *children: Dataset, **fields: object) -> Dataset:
    made = item(ValueType=value_type, ConceptNameCodeSequence=[name], **fields)
    if children:
        made.ContentSequence = Items(children)
    return made


def image_item(uid: str, **fields: object) -> Dataset:
    sop = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid, **fields)
    return item(ValueType="IMAGE", ReferencedSOPSequence=[sop])


def scoord(shape: str, points: object, uid: str | None, name: Dataset | None = None) -> Dataset:
    """Graphic with points in pixels of the product: half a pixel is added."""
    numbers = (np.asarray(points, float) + 0.5).ravel().tolist()
    made = item(ValueType="SCOORD", GraphicType=shape, GraphicData=numbers)
    made.ConceptNameCodeSequence = Items([name or code("111030", "DCM", "Image Region")])
    if uid is not None:
        made.ContentSequence = Items([image_item(uid)])
    return made


def scoord3d(shape: str, points: object, frame_uid: str) -> Dataset:
    return item(
        ValueType="SCOORD3D",
        GraphicType=shape,
        GraphicData=np.asarray(points, float).ravel().tolist(),
        ReferencedFrameOfReferenceUID=frame_uid,
        ConceptNameCodeSequence=[code("111030", "DCM", "Image Region")],
    )


LONG = code("103339001", "SCT", "Long Axis")
SHORT = code("103340004", "SCT", "Short Axis")
LENGTH = code("410668003", "SCT", "Length")


def number(name: Dataset, value: object, unit: str, *children: Dataset) -> Dataset:
    measured = item(
        NumericValue=f"{value:.12g}" if isinstance(value, float) else str(value),
        MeasurementUnitsCodeSequence=[code(unit, "UCUM", unit)],
    )
    return content("NUM", name, *children, MeasuredValueSequence=[measured])


def text(value: str, name: tuple[str, str, str], **fields: object) -> Dataset:
    return content("TEXT", code(*name), TextValue=value, **fields)


def finding(value: tuple[str, str, str]) -> Dataset:
    return content("CODE", code("121071", "DCM", "Finding"), ConceptCodeSequence=[code(*value)])


def site(value: tuple[str, str, str]) -> Dataset:
    name = code("363698007", "SCT", "Finding Site")
    return content("CODE", name, ConceptCodeSequence=[code(*value)])


def tracking(identifier: str, uid: str) -> list[Dataset]:
    return [
        text(identifier, ("112039", "DCM", "Tracking Identifier")),
        content("UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), UID=uid),
    ]


def group(*children: Dataset) -> Dataset:
    return content("CONTAINER", code("125007", "DCM", "Measurement Group"), *children)


def report(study: CtStudy, *groups: Dataset, name: str = "sr") -> Dataset:
    dataset = carrier("1.2.840.10008.5.1.4.1.1.88.33", "SR", study, name)
    dataset.ValueType = "CONTAINER"
    instances = [item(ReferencedSOPInstanceUID=study.sop(n)) for n in range(SLICES)]
    series = item(SeriesInstanceUID=study.uid("series"), ReferencedSOPSequence=instances)
    dataset.CurrentRequestedProcedureEvidenceSequence = Items(
        [item(StudyInstanceUID=study.uid("study"), ReferencedSeriesSequence=[series])]
    )
    container = content("CONTAINER", code("126010", "DCM", "Imaging Measurements"), *groups)
    dataset.ContentSequence = Items(
        [
            content("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="R^1"),
            container,
        ]
    )
    return dataset


# -- GSPS -----------------------------------------------------------------------------------------


def graphic(shape: str, points: object, units: str = "PIXEL", **fields: object) -> Dataset:
    numbers = np.asarray(points, float)
    numbers = numbers + 0.5 if units == "PIXEL" else numbers
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(numbers),
        GraphicData=numbers.ravel().tolist(),
        GraphicType=shape,
        **fields,
    )


def presentation(study: CtStudy, n: int, *, name: str = "pr", **objects: object) -> Dataset:
    """Objects by the name of their sequence, on one image."""
    dataset = carrier("1.2.840.10008.5.1.4.1.1.11.1", "PR", study, name)
    reference = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=study.sop(n))
    dataset.ReferencedSeriesSequence = Items(
        [item(SeriesInstanceUID=study.uid("series"), ReferencedImageSequence=[reference])]
    )
    annotation = item(ReferencedImageSequence=[reference])
    for keyword, held in objects.items():
        setattr(annotation, keyword, Items(held))
    dataset.GraphicAnnotationSequence = Items([annotation])
    return dataset


# -- RTSTRUCT -------------------------------------------------------------------------------------


def contour(points_mm: object, uid: str | None, shape: str = "CLOSED_PLANAR") -> Dataset:
    points = np.asarray(points_mm, float)
    made = item(
        ContourGeometricType=shape,
        NumberOfContourPoints=len(points),
        ContourData=[f"{one:.10g}" for one in points.ravel()],
    )
    if uid is not None:
        made.ContourImageSequence = Items(
            [item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid)]
        )
    return made


def structures(
    study: CtStudy, regions: dict[str, list[Dataset]], *, name: str = "rt", kind: str = ""
) -> Dataset:
    dataset = carrier("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", study, name)
    images = [item(ReferencedSOPInstanceUID=study.sop(n)) for n in range(SLICES)]
    series = item(SeriesInstanceUID=study.uid("series"), ContourImageSequence=images)
    dataset.ReferencedFrameOfReferenceSequence = Items(
        [
            item(
                FrameOfReferenceUID=study.frame_uid,
                RTReferencedStudySequence=[item(RTReferencedSeriesSequence=[series])],
            )
        ]
    )
    described, drawn, observed = [], [], []
    for number_, (label, contours) in enumerate(regions.items(), start=1):
        described.append(
            item(ROINumber=number_, ROIName=label, ReferencedFrameOfReferenceUID=study.frame_uid)
        )
        roi = item(ReferencedROINumber=number_)
        if contours:
            roi.ContourSequence = Items(contours)
        drawn.append(roi)
        observed.append(item(ReferencedROINumber=number_, RTROIInterpretedType=kind))
    dataset.StructureSetROISequence = Items(described)
    dataset.ROIContourSequence = Items(drawn)
    dataset.RTROIObservationsSequence = Items(observed)
    return dataset


# -- reading --------------------------------------------------------------------------------------


def read(*sources: object, **options: object) -> tuple[list[Mark], list[Refusal]]:
    found = [one for source in sources for one in read_marks(source, **options)]
    marks = [one for one in found if isinstance(one, Mark)]
    return marks, [one for one in found if isinstance(one, Refusal)]


def judged(
    sources: object, *studies: CtStudy, options: JudgingOptions | None = None
) -> list[JudgedMark]:
    marks, _ = read(*(sources if isinstance(sources, list) else [sources]))
    planes = PlaneIndex.of([header for study in studies for header in study.headers])
    return list(judge_marks(marks, planes, options))
