"""Marks of AIM 4 annotations, XML or ePAD's JSON.

Coordinates count from the corner of the first pixel, as those of DICOM SR do that AIM took them
from: half a pixel is taken off. ePAD stores lengths in cm under the unit ``linear``: they stay
without millimetres here and are told by the points (``meaning.lengths``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from retrieval.sources.marks.content.aim_tree import AimNode, aim_tree, clear_name
from retrieval.sources.marks.content.concepts import role_of, stated
from retrieval.sources.marks.content.drawn import Drawn, marks_of_finding
from retrieval.sources.marks.content.graphics import GraphicError, checked_points, kind_of_path
from retrieval.sources.marks.mark import (
    Carrier,
    Concept,
    ImageReference,
    LengthRole,
    Mark,
    MarkError,
    MarkKind,
    SegmentReference,
    StatedLength,
    day_of,
    mark_id_of,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict

PIXEL_CENTRE = 0.5
"""The centre of the first pixel in AIM's coordinates."""

_COLLECTION = "ImageAnnotationCollection"
_EXACT = {"Circle": 2, "Ellipse": 4, "Point": 1}


def read_annotations(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of every image annotation of a file (one collection or a list of them)."""
    try:
        root = aim_tree(opened.content)
    except MarkError as wrong:
        yield _refusal(opened, opened.uid, ("file",), Verdict.UNREADABLE, str(wrong))
        return
    collections = [*root.all(_COLLECTION), *root.all("item", _COLLECTION)]
    count = 0
    for n, collection in enumerate(collections):
        uid = collection.text("uniqueIdentifier") or f"{opened.uid}-{n}"
        for annotation in collection.all("imageAnnotations", "ImageAnnotation"):
            count += 1
            yield from _Annotation(opened, collection, annotation, uid).marks()
    if not count:
        words = "AIM file holds no image annotation"
        yield _refusal(opened, opened.uid, ("file",), Verdict.NOT_A_CARRIER, words)


def _refusal(
    opened: Any, uid: str, place: tuple[object, ...], verdict: Verdict, words: str
) -> Refusal:
    mark_id = mark_id_of(Carrier.AIM, uid, place)
    return Refusal(mark_id, verdict, words, opened.name, uid, Carrier.AIM)


class _Annotation:
    """One image annotation: one finding."""

    def __init__(self, opened: Any, collection: AimNode, annotation: AimNode, uid: str) -> None:
        self._opened, self._collection, self._annotation = opened, collection, annotation
        self._uid = uid
        self._own = annotation.text("uniqueIdentifier") or "annotation"
        self._images = _images(annotation)
        self._name = clear_name(annotation.text("name"))

    def marks(self) -> Iterator[Mark | Refusal]:
        """The annotation's marks, and refusals for markups that are none."""
        by_markup, free = self._lengths()
        graphics: list[Drawn] = []
        refused = False
        for n, markup in enumerate(self._annotation.all("markupEntityCollection", "MarkupEntity")):
            place = (self._own, n)
            is_hole = markup.text("includeFlag").lower() == "false"
            if is_hole or markup.type.endswith("TextAnnotationEntity"):
                continue
            lengths = by_markup.get(markup.text("uniqueIdentifier"), ())
            try:
                graphics.append(self._drawn(markup, lengths, place))
            except GraphicError as wrong:
                refused = True
                yield _refusal(self._opened, self._uid, place, wrong.verdict, str(wrong))
        yield from marks_of_finding(graphics, free, self._mark)
        segments = list(self._segments(free))
        yield from segments
        if not graphics and not segments and not refused:
            words = f"annotation {self._name!r} draws nothing and names no segment"
            yield _refusal(self._opened, self._uid, (self._own,), Verdict.NO_COORDINATES, words)

    def _drawn(
        self, markup: AimNode, lengths: tuple[StatedLength, ...], place: tuple[object, ...]
    ) -> Drawn:
        shape = markup.type.rpartition(":")[2]
        is_mm = shape.startswith("ThreeDimension")
        name = "three" if is_mm else "two"
        coordinates = markup.all(
            f"{name}DimensionSpatialCoordinateCollection",
            f"{name[0].upper()}{name[1:]}DimensionSpatialCoordinate",
        )
        ordered = sorted(coordinates, key=lambda one: _whole(one.text("coordinateIndex")))
        axes = ("x", "y", "z") if is_mm else ("x", "y")
        numbers = [one.text(axis) for one in ordered for axis in axes]
        points = checked_points(numbers, len(axes), f"markup {shape or 'without a type'}")
        roles = [length.role for length in lengths]
        role = next((one for one in roles if one in {LengthRole.LONG, LengthRole.SHORT}), None)
        return Drawn(
            _kind(shape.removeprefix("TwoDimension").removeprefix("ThreeDimension"), points),
            points if is_mm else points - PIXEL_CENTRE,
            self._image(markup),
            frame_uid=markup.text("frameOfReferenceUid") if is_mm else "",
            role=role,
            lengths=lengths,
            place=place,
        )

    def _image(self, markup: AimNode) -> ImageReference:
        uid = markup.text("imageReferenceUid")
        known = self._images.get(uid)
        if known is None and len(self._images) == 1 and not uid:
            known = next(iter(self._images.values()))
        image = known or ImageReference(sop_uid=uid)
        frame = _whole(markup.text("referencedFrameNumber"))
        return replace(image, frame=frame) if frame > 1 else image

    def _lengths(self) -> tuple[dict[str, tuple[StatedLength, ...]], list[StatedLength]]:
        """Stated lengths by the markup that they are said of, and those of none."""
        markups = self._annotation.all("markupEntityCollection", "MarkupEntity")
        known = {one.text("uniqueIdentifier") for one in markups}
        markup_of = {
            one.text("subjectUniqueIdentifier"): one.text("objectUniqueIdentifier")
            for one in self._annotation.all(
                "imageAnnotationStatementCollection", "ImageAnnotationStatement"
            )
            if "Markup" in one.type
        }
        by_markup: dict[str, tuple[StatedLength, ...]] = {}
        free: list[StatedLength] = []
        entities = self._annotation.all("calculationEntityCollection", "CalculationEntity")
        for entity in entities:
            length = _length(entity)
            markup = markup_of.get(entity.text("uniqueIdentifier"), "")
            if length is not None and markup in known:
                by_markup[markup] = (*by_markup.get(markup, ()), length)
            elif length is not None:
                free.append(length)
        return by_markup, free

    def _segments(self, lengths: list[StatedLength]) -> Iterator[Mark]:
        entities = self._annotation.all("segmentationEntityCollection", "SegmentationEntity")
        for n, entity in enumerate(entities):
            number = _whole(entity.text("segmentNumber")) or 1
            yield self._mark((self._own, "segment", n)).with_changes(
                kind=MarkKind.MASK,
                lengths=tuple(lengths),
                segment=SegmentReference(entity.text("sopInstanceUid"), number),
            )

    def _mark(self, place: tuple[object, ...]) -> Mark:
        annotation, collection = self._annotation, self._collection
        entities = list(annotation.all("imagingPhysicalEntityCollection", "ImagingPhysicalEntity"))
        located = [one for one in entities if one.text("label").lower() != "status"]
        site = located[0].concept("typeCode") if located else Concept()
        observed = annotation.first(
            "imagingObservationEntityCollection", "ImagingObservationEntity"
        )
        tracking = annotation.text("trackingUniqueIdentifier")
        return Mark(
            mark_id=mark_id_of(Carrier.AIM, self._uid, place),
            carrier=Carrier.AIM,
            kind=MarkKind.POINT,
            image=ImageReference(),
            finding=observed.concept("typeCode"),
            site=site,
            label=self._name,
            comment=annotation.text("comment"),
            tracking_uid=tracking,
            tracking_id=self._name,
            reader=collection.text("user", "loginName") or collection.text("user", "name"),
            drawn_on=day_of(annotation.text("dateTime") or collection.text("dateTime")),
            patient_id=collection.text("person", "id"),
            source=self._opened.name,
            source_uid=self._uid,
            predecessors=tuple(filter(None, [annotation.text("precedentReferencedAnnotationUid")])),
            group=mark_id_of(Carrier.AIM, self._uid, (self._own,)),
        )


def _kind(shape: str, points: Any) -> MarkKind:
    count = len(points)
    needed = _EXACT.get(shape)
    if needed is not None and count != needed:
        words = f"{shape} has {count} points: {needed} make one"
        raise GraphicError(Verdict.NO_COORDINATES, words)
    if needed is not None:
        return MarkKind(shape.lower())
    if shape == "MultiPoint" and count > 2:
        return MarkKind.POINTS
    if shape not in {"MultiPoint", "Polyline", "Polygon", "Spline"}:
        words = f"markup of the type {shape[:40]!r} measures nothing"
        raise GraphicError(Verdict.NO_COORDINATES, words)
    return kind_of_path(points, is_area=shape != "MultiPoint" and count > 2)


def _length(entity: AimNode) -> StatedLength | None:
    """The length that a calculation states, None for areas, densities and the like."""
    concepts = [entity.concept("typeCode"), Concept(meaning=entity.text("description"))]
    concept = next((one for one in concepts if role_of(one) is not None), None)
    result = entity.first("calculationResultCollection", "CalculationResult")
    value = result.text("value") or result.text(
        "calculationDataCollection", "CalculationData", "value"
    )
    if concept is None:
        return None
    return stated(value, result.text("unitOfMeasure"), concept)


def _images(annotation: AimNode) -> dict[str, ImageReference]:
    found = {}
    references = annotation.all("imageReferenceEntityCollection", "ImageReferenceEntity")
    for reference in references:
        study_uid = reference.text("imageStudy", "instanceUid")
        for series in reference.all("imageStudy", "imageSeries"):
            series_uid = series.text("instanceUid")
            for image in series.all("imageCollection", "Image"):
                uid = image.text("sopInstanceUid")
                found[uid] = ImageReference(study_uid, series_uid, uid)
    return found


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
