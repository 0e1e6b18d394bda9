"""Marks of DICOM structure sets (RTSTRUCT): regions drawn as contours in patient coordinates.

Each connected part of a region is one mark, on the slice where it is longest; a contour inside
another cuts a hole. Two open contours of two points in one region are the two lines of a RECIST
mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrieval.sources.marks.content.contours import connected_parts
from retrieval.sources.marks.content.drawn import Drawn, marks_of_finding
from retrieval.sources.marks.content.graphics import GraphicError, checked_points, kind_of_path
from retrieval.sources.marks.content.report_tree import concept_of
from retrieval.sources.marks.mark import (
    Carrier,
    Concept,
    ImageReference,
    Mark,
    MarkKind,
    day_of,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict


def read_structures(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of a structure set's regions, and a refusal for each that holds no contour."""
    dataset = opened.dataset
    structures = _Structures(opened)
    contoured = set()
    for place, region in enumerate(dataset.get("ROIContourSequence") or ()):
        number = str(region.get("ReferencedROINumber", ""))
        contoured.add(number)
        yield from structures.region(place, number, region.get("ContourSequence") or ())
    for number in structures.names:
        if number not in contoured:
            yield from structures.region(f"roi {number}", number, ())
    if not structures.names and not contoured:
        words = "structure set holds no region"
        mark_id = mark_id_of(Carrier.RTSTRUCT, opened.uid, ("file",))
        yield Refusal(
            mark_id, Verdict.NOT_A_CARRIER, words, opened.name, opened.uid, Carrier.RTSTRUCT
        )


class _Structures:
    """What all regions of one structure set share."""

    def __init__(self, opened: Any) -> None:
        dataset = opened.dataset
        self._opened = opened
        self._described = {
            str(one.get("ROINumber", "")): one
            for one in dataset.get("StructureSetROISequence") or ()
        }
        self._observed = {
            str(one.get("ReferencedROINumber", "")): one
            for one in dataset.get("RTROIObservationsSequence") or ()
        }
        self._frame_uid, self._places = _references(dataset)

    @property
    def names(self) -> list[str]:
        """Numbers of the regions that are described."""
        return list(self._described)

    def region(self, place: object, number: str, contours: Any) -> Iterator[Mark | Refusal]:
        """The marks of one region."""
        opened = self._opened
        described = self._described.get(number, {})
        name = short_text(described.get("ROIName", "")) or number
        frame_uid = str(described.get("ReferencedFrameOfReferenceUID", "") or self._frame_uid)
        try:
            drawn = [
                self._drawn(contour, name, frame_uid, (place, n))
                for n, contour in enumerate(contours)
            ]
            if not drawn:
                raise GraphicError(Verdict.NO_COORDINATES, f"region {name!r} holds no contour")
        except GraphicError as wrong:
            # Without one of its contours the longest diameter may be another's: none is taken.
            mark_id = mark_id_of(Carrier.RTSTRUCT, opened.uid, (place,))
            yield Refusal(
                mark_id, wrong.verdict, str(wrong), opened.name, opened.uid, Carrier.RTSTRUCT
            )
            return
        areas = [one for one in drawn if one.kind is MarkKind.POLYGON]
        findings = connected_parts(areas) if areas else [drawn]
        base = self._base(number, name, place, is_whole=len(findings) == 1)
        for finding in findings:
            yield from marks_of_finding(
                finding,
                (),
                lambda where: base.with_changes(
                    mark_id=mark_id_of(Carrier.RTSTRUCT, opened.uid, where)
                ),
            )

    def _base(self, number: str, name: str, place: object, *, is_whole: bool) -> Mark:
        dataset, opened = self._opened.dataset, self._opened
        described, observed = self._described.get(number, {}), self._observed.get(number, {})
        kind = short_text(observed.get("RTROIInterpretedType", ""))
        return Mark(
            mark_id=mark_id_of(Carrier.RTSTRUCT, opened.uid, (place,)),
            carrier=Carrier.RTSTRUCT,
            kind=MarkKind.POINT,
            image=ImageReference(),
            finding=concept_of(observed.get("RTROIIdentificationCodeSequence")),
            category=Concept(value=kind.upper(), meaning=kind),
            label=name,
            comment=short_text(described.get("ROIDescription", "")),
            # A region of several parts is several lesions: its one tracking id names none of them.
            tracking_uid=str(described.get("TrackingUID", "") or "") if is_whole else "",
            tracking_id=short_text(described.get("TrackingID", "")) if is_whole else "",
            reader=short_text(observed.get("ROIInterpreter") or dataset.get("OperatorsName")),
            drawn_on=day_of(dataset.get("StructureSetDate") or dataset.get("StudyDate")),
            patient_id=str(dataset.get("PatientID", "") or ""),
            source=opened.name,
            source_uid=opened.uid,
            group=mark_id_of(Carrier.RTSTRUCT, opened.uid, (place,)),
        )

    def _drawn(self, contour: Any, name: str, frame_uid: str, place: tuple[object, ...]) -> Drawn:
        numbers = contour.get("ContourData")
        points = checked_points(
            [] if numbers is None else _several(numbers), 3, f"a contour of region {name!r}"
        )
        shape = str(contour.get("ContourGeometricType", "") or "").upper()
        kind = (
            MarkKind.POINT
            if len(points) == 1
            else kind_of_path(points, is_area=shape.startswith("CLOSED") and len(points) > 2)
        )
        images = list(contour.get("ContourImageSequence") or ())
        image = ImageReference(series_uid=self._series_of(frame_uid))
        if len(images) == 1:
            uid = str(images[0].get("ReferencedSOPInstanceUID", "") or "")
            study_uid, series_uid = self._places.get(uid, ("", ""))
            number = images[0].get("ReferencedFrameNumber")
            frame = int(number) if isinstance(number, int | str) and str(number) else None
            image = ImageReference(study_uid, series_uid, uid, frame)
        return Drawn(kind, points, image, frame_uid=frame_uid, place=place)

    def _series_of(self, frame_uid: str) -> str:
        """The only series that the set refers to; empty where there are several."""
        series = {uid for _, uid in self._places.values() if uid}
        return series.pop() if frame_uid == self._frame_uid and len(series) == 1 else ""


def _references(dataset: Any) -> tuple[str, dict[str, tuple[str, str]]]:
    """The first frame of reference, and instance UID -> (study, series) of all of them."""
    first = ""
    places: dict[str, tuple[str, str]] = {}
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        first = first or str(frame.get("FrameOfReferenceUID", "") or "")
        for study in frame.get("RTReferencedStudySequence") or ():
            study_uid = str(study.get("ReferencedSOPInstanceUID", "") or "")
            for series in study.get("RTReferencedSeriesSequence") or ():
                series_uid = str(series.get("SeriesInstanceUID", "") or "")
                for image in series.get("ContourImageSequence") or ():
                    uid = str(image.get("ReferencedSOPInstanceUID", "") or "")
                    places[uid] = (study_uid, series_uid)
    return first, places


def _several(numbers: Any) -> list[Any]:
    return [numbers] if isinstance(numbers, str | float | int) else list(numbers)
