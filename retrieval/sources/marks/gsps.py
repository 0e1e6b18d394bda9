"""Marks of softcopy presentation states (GSPS): graphics, compound graphics and texts on images.

Graphic units (PS3.3 C.10.5):

* PIXEL and MATRIX count pixels of the stored image from the corner of its first pixel; the
  presentation's rotation and flip do not touch them. Half a pixel is taken off.
* DISPLAY counts fractions of the displayed area as it is seen, after rotation and flip: both are
  undone here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.content.drawn import Drawn, outlined
from retrieval.sources.marks.content.graphics import (
    GraphicError,
    checked_points,
    corners_of_box,
    kind_of_path,
)
from retrieval.sources.marks.content.report_tree import first_whole, image_of
from retrieval.sources.marks.content.words import lengths_of_words
from retrieval.sources.marks.mark import (
    Carrier,
    ImageReference,
    Mark,
    MarkKind,
    day_of,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict

PIXEL_CENTRE = 0.5
"""The centre of the first pixel in PIXEL and MATRIX units."""

_CLOCKWISE: dict[int, tuple[tuple[float, float], tuple[float, float]]] = {
    0: ((1, 0), (0, 1)),
    90: ((0, -1), (1, 0)),
    180: ((-1, 0), (0, -1)),
    270: ((0, 1), (-1, 0)),
}
"""Image directions (x, y) of the display's right and down, by the image's clockwise rotation."""


def read_presentation(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of a presentation state in its order; texts are marks of kind TEXT."""
    state = _Presentation(opened)
    count = 0
    for n, annotation in enumerate(opened.dataset.get("GraphicAnnotationSequence") or ()):
        for one in state.annotation(n, annotation):
            count += 1
            yield one
    if not count:
        yield state.refusal(
            ("file",), Verdict.NOT_A_CARRIER, "presentation state holds no graphic and no text"
        )


class _Presentation:
    """One presentation state."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._dataset = opened.dataset
        self._places = _series_of(self._dataset)

    def refusal(self, place: tuple[object, ...], verdict: Verdict, words: str) -> Refusal:
        opened = self._opened
        mark_id = mark_id_of(Carrier.GSPS, opened.uid, place)
        return Refusal(mark_id, verdict, words, opened.name, opened.uid, Carrier.GSPS)

    def annotation(self, n: int, annotation: Any) -> Iterator[Mark | Refusal]:
        """The marks of one item: all on one image, or each a refusal where it is not told."""
        images = self._images(annotation)
        readers = (
            ("GraphicObjectSequence", self._graphic),
            ("CompoundGraphicSequence", self._compound),
            ("TextObjectSequence", self._text),
        )
        for name, reader in readers:
            for m, item in enumerate(annotation.get(name) or ()):
                place = (n, name, m)
                if len(images) != 1:
                    words = f"a graphic applies to {len(images)} images: one is needed"
                    yield self.refusal(place, Verdict.NO_IMAGE, words)
                    continue
                try:
                    yield reader(item, images[0], place)
                except GraphicError as wrong:
                    yield self.refusal(place, wrong.verdict, str(wrong))

    def _images(self, annotation: Any) -> list[ImageReference]:
        referenced = annotation.get("ReferencedImageSequence")
        if referenced:
            return [image_of(one, self._places) for one in referenced]
        return [
            ImageReference(study_uid, series_uid, uid)
            for uid, (study_uid, series_uid) in self._places.items()
        ]

    def _graphic(self, item: Any, image: ImageReference, place: tuple[object, ...]) -> Mark:
        shape = str(item.get("GraphicType", "") or "").upper()
        points = self._points(item, "GraphicAnnotationUnits", image, shape or "graphic")
        is_filled = str(item.get("GraphicFilled", "") or "") == "Y"
        if shape in {"POLYLINE", "INTERPOLATED"}:
            kind = kind_of_path(points, is_area=is_filled and len(points) > 2)
        elif shape in {"POINT", "CIRCLE", "ELLIPSE"}:
            kind = MarkKind(shape.lower())
            needed = {"POINT": 1, "CIRCLE": 2, "ELLIPSE": 4}[shape]
            if len(points) != needed:
                words = f"{shape} has {len(points)} points: {needed} make one"
                raise GraphicError(Verdict.NO_COORDINATES, words)
        else:
            words = f"graphic type {short_text(shape)!r} is unknown"
            raise GraphicError(Verdict.NO_COORDINATES, words)
        return self._mark(item, Drawn(kind, points, image, place=place))

    def _compound(self, item: Any, image: ImageReference, place: tuple[object, ...]) -> Mark:
        shape = str(item.get("CompoundGraphicType", "") or "").upper()
        points = self._points(item, "CompoundGraphicUnits", image, shape or "compound graphic")
        if shape in {"RULER", "RANGELINE"} and len(points) == 2:
            drawn = Drawn(MarkKind.LINE, points, image, place=place)
        elif shape == "ARROW" and len(points) == 2:
            # From the tail to the head: a mark's tip comes first.
            drawn = Drawn(MarkKind.ARROW, points[::-1], image, place=place)
        elif shape in {"RECTANGLE", "ELLIPSE"} and len(points) == 2:
            drawn = _turned(shape, points, item, image, place)
        elif shape == "MULTILINE" and len(points) >= 2:
            drawn = Drawn(kind_of_path(points), points, image, place=place)
        else:
            words = (
                f"compound graphic {short_text(shape)!r} of {len(points)} points measures nothing"
            )
            raise GraphicError(Verdict.NO_COORDINATES, words)
        return self._mark(item, drawn)

    def _text(self, item: Any, image: ImageReference, place: tuple[object, ...]) -> Mark:
        words = short_text(item.get("UnformattedTextValue", ""))
        points = None
        for corner, units in (
            ("AnchorPoint", "AnchorPointAnnotationUnits"),
            ("BoundingBoxTopLeftHandCorner", "BoundingBoxAnnotationUnits"),
        ):
            if item.get(corner) is not None:
                points = self._points(item, units, image, "a text's anchor", corner)
                break
        drawn = Drawn(
            MarkKind.TEXT, np.zeros((0, 2)) if points is None else points, image, place=place
        )
        mark = self._mark(item, drawn)
        return mark.with_changes(
            points=points, label="", comment=words, lengths=lengths_of_words(words)
        )

    def _points(
        self, item: Any, units: str, image: ImageReference, what: str, data: str = "GraphicData"
    ) -> NDArray[np.float64]:
        numbers = item.get(data)
        points = checked_points([] if numbers is None else numbers, 2, what)
        unit = str(item.get(units, "") or "PIXEL").upper()
        if unit in {"PIXEL", "MATRIX"}:
            return points - PIXEL_CENTRE
        if unit != "DISPLAY":
            raise GraphicError(
                Verdict.NO_COORDINATES, f"{what} has the units {short_text(unit)!r}: unknown"
            )
        corner, right, down = self._displayed(image)
        return np.asarray(corner + points[:, :1] * right + points[:, 1:] * down)

    def _displayed(self, image: ImageReference) -> tuple[NDArray[np.float64], ...]:
        """Corner of the displayed area, its whole width and height, in pixels of the image."""
        area = self._area(image)
        # Counted from 1 at the centre of the first pixel.
        first, last = (
            checked_points(area.get(name) or (), 2, "the displayed area")[0] - 1
            for name in (
                "DisplayedAreaTopLeftHandCorner",
                "DisplayedAreaBottomRightHandCorner",
            )
        )
        rotation = int(self._dataset.get("ImageRotation", 0) or 0) % 360
        if rotation not in _CLOCKWISE:
            raise GraphicError(Verdict.NO_COORDINATES, f"the image is turned by {rotation} degrees")
        right, down = (np.asarray(one, np.float64) for one in _CLOCKWISE[rotation])
        if str(self._dataset.get("ImageHorizontalFlip", "") or "") == "Y":
            right = -right
        low, high = np.minimum(first, last) - 0.5, np.maximum(first, last) + 0.5
        toward = right + down
        corner = np.where(toward > 0, low, high)
        return corner, right * (high - low), down * (high - low)

    def _area(self, image: ImageReference) -> Any:
        areas = list(self._dataset.get("DisplayedAreaSelectionSequence") or ())
        for area in areas:
            referenced = area.get("ReferencedImageSequence") or ()
            uids = {str(one.get("ReferencedSOPInstanceUID", "")) for one in referenced}
            if not uids or image.sop_uid in uids:
                return area
        words = "DISPLAY units need the displayed area, which is not told"
        raise GraphicError(Verdict.NO_COORDINATES, words)

    def _mark(self, item: Any, drawn: Drawn) -> Mark:
        dataset, opened = self._dataset, self._opened
        group = first_whole({"ReferencedGroup": item.get("GraphicGroupID")}, "Group")
        base = Mark(
            mark_id=mark_id_of(Carrier.GSPS, opened.uid, drawn.place),
            carrier=Carrier.GSPS,
            kind=drawn.kind,
            image=drawn.image,
            label=short_text(dataset.get("ContentDescription") or dataset.get("ContentLabel")),
            tracking_uid=str(item.get("TrackingUID", "") or ""),
            tracking_id=short_text(item.get("TrackingID", "")),
            reader=short_text(dataset.get("ContentCreatorName")),
            drawn_on=day_of(dataset.get("PresentationCreationDate") or dataset.get("ContentDate")),
            patient_id=str(dataset.get("PatientID", "") or ""),
            source=opened.name,
            source_uid=opened.uid,
            group="" if group is None else mark_id_of(Carrier.GSPS, opened.uid, ("group", group)),
        )
        if drawn.kind in {MarkKind.POLYGON, MarkKind.BOX}:
            return outlined([drawn], (), base)
        return base.with_changes(points=drawn.points)


def _turned(
    shape: str, points: NDArray[np.float64], item: Any, image: ImageReference, place: Any
) -> Drawn:
    """A rectangle or ellipse from two opposite corners and its rotation about a point."""
    (x1, y1), (x2, y2) = corners_of_box(points)
    middle = points.mean(axis=0)
    angle = float(item.get("RotationAngle", 0) or 0)
    about = item.get("RotationPoint")
    pivot = middle if about is None else checked_points(about, 2, "rotation")[0] - PIXEL_CENTRE
    if shape == "RECTANGLE":
        path = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
    else:
        x, y = middle
        path = np.array([[x1, y], [x2, y], [x, y1], [x, y2]])
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    path = (path - pivot) @ rotation + pivot
    kind = MarkKind.ELLIPSE if shape == "ELLIPSE" else kind_of_path(path)
    return Drawn(kind, path, image, place=place)


def _series_of(dataset: Any) -> dict[str, tuple[str, str]]:
    """Instance UID -> (study, series) of all images that the presentation applies to."""
    study_uid = str(dataset.get("StudyInstanceUID", "") or "")
    places = {}
    for series in dataset.get("ReferencedSeriesSequence") or ():
        series_uid = str(series.get("SeriesInstanceUID", "") or "")
        for image in series.get("ReferencedImageSequence") or ():
            places[str(image.get("ReferencedSOPInstanceUID", ""))] = (study_uid, series_uid)
    return places
