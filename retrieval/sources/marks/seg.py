"""Marks of DICOM segmentations (SEG): each connected part of each segment, on its longest slice.

Pixels lie where the frames say (patient coordinates), on whatever grid: that of the images, or a
finer one. A part's points are the middles of its pixels' edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import iter_pixels
from scipy import ndimage

from retrieval.sources.importers.mask_marks import pixel_outline
from retrieval.sources.marks.content.graphics import key_first
from retrieval.sources.marks.content.report_tree import concept_of, image_of
from retrieval.sources.marks.mark import (
    MOST_POINTS,
    Carrier,
    ImageReference,
    Mark,
    MarkKind,
    MarkOutline,
    SegmentReference,
    day_of,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.planes import ImagePlane, planes_of_header
from retrieval.sources.marks.verdicts import Refusal, Verdict

_TOUCHING = np.ones((3, 3, 3), np.bool_)
"""Voxels that share a face, an edge or a corner belong together."""

_SAME_DEPTH_MM = 0.01
_GAP = 1.5
"""Slices farther apart than this many usual gaps do not touch."""

MOST_PARTS = 500
"""A segment of more parts is noise or no lesion: it is refused whole."""


@dataclass(frozen=True, eq=False)
class _Slice:
    """What one frame has of one segment: a mask cropped to what is inside."""

    plane: ImagePlane
    image: ImageReference
    row: int
    column: int
    inside: NDArray[np.bool_]


MOST_PIXELS = 1 << 26
"""Of one frame; a frame of more is refused undecoded."""

MOST_VOXELS = 1 << 30
"""Of the box about one segment, a byte each while its parts are told apart."""


def read_segmentation(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of a segmentation's segments, and a refusal for each that is empty."""
    dataset = opened.dataset
    segments = {
        int(one.get("SegmentNumber", 0)): one for one in dataset.get("SegmentSequence") or ()
    }
    kind = str(dataset.get("SegmentationType", "") or "BINARY").upper()
    if kind == "LABELMAP":
        segments.pop(0, None)
    slices, reason = _slices(dataset, kind, set(segments))
    for number, segment in segments.items():
        name = short_text(segment.get("SegmentLabel", "")) or str(number)
        try:
            parts = [] if reason else _parts(slices.get(number, []))
        except ValueError as wrong:
            parts, reason_here = [], str(wrong)
        else:
            reason_here = reason or "is empty"
        if not parts:
            mark_id = mark_id_of(Carrier.SEG, opened.uid, (number,))
            words = f"segment {name!r} {reason_here}"
            yield Refusal(
                mark_id, Verdict.NO_COORDINATES, words, opened.name, opened.uid, Carrier.SEG
            )
        for place, part in enumerate(parts):
            yield _mark(opened, segment, part, place if len(parts) > 1 else None)


def _slices(dataset: Any, kind: str, numbers: set[int]) -> tuple[dict[int, list[_Slice]], str]:
    """Segment number -> its slices; or the reason why there are none."""
    planes = planes_of_header(dataset)
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if not frames or len(planes) != len(frames) or not all(one.has_place for one in planes):
        return {}, "lies nowhere: its frames do not say where they are"
    if int(dataset.Rows) * int(dataset.Columns) > MOST_PIXELS:
        return {}, f"has frames of {dataset.Rows} x {dataset.Columns} pixels: too large to be read"
    places = _places(dataset)
    found: dict[int, list[_Slice]] = {}
    half = max(int(dataset.get("MaximumFractionalValue", 255) or 255), 1) / 2
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    for plane, frame, pixels in zip(planes, frames, iter_pixels(dataset), strict=True):
        image = _source(frame, places)
        if kind == "LABELMAP":
            masks = {int(value): pixels == value for value in np.unique(pixels)}
        else:
            masks = {_number(frame, shared): pixels >= half if kind == "FRACTIONAL" else pixels > 0}
        for number in numbers & masks.keys():
            piece = _cropped(plane, image, masks[number])
            if piece is not None:
                found.setdefault(number, []).append(piece)
    return found, ""


def _number(frame: Any, shared: Any) -> int:
    for groups in (frame, shared):
        identified = groups.get("SegmentIdentificationSequence")
        if identified:
            return int(identified[0].get("ReferencedSegmentNumber", 0))
    return 0


def _cropped(plane: ImagePlane, image: ImageReference, mask: NDArray[Any]) -> _Slice | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.bool_)
    return _Slice(plane, image, int(rows[0]), int(columns[0]), inside)


def _parts(slices: list[_Slice]) -> list[list[_Slice]]:
    """Connected parts, each with its slices; raises ValueError for more than any lesion."""
    ordered = sorted(slices, key=lambda one: one.plane.depth_mm)
    if not ordered:
        return []
    layers = _layers([one.plane.depth_mm for one in ordered])
    top = min(one.row for one in ordered)
    left = min(one.column for one in ordered)
    height = max(one.row + one.inside.shape[0] for one in ordered) - top
    width = max(one.column + one.inside.shape[1] for one in ordered) - left
    if (layers[-1] + 1) * height * width > MOST_VOXELS:
        raise ValueError(f"spans {layers[-1] + 1} x {height} x {width} voxels: too large a lesion")
    volume = np.zeros((layers[-1] + 1, height, width), np.bool_)
    held: dict[int, _Slice] = {}
    for layer, one in zip(layers, ordered, strict=True):
        rows, columns = one.inside.shape
        window = volume[layer, one.row - top :, one.column - left :][:rows, :columns]
        window |= one.inside
        held.setdefault(layer, one)
    numbered, count = ndimage.label(volume, structure=_TOUCHING)
    if count > MOST_PARTS:
        raise ValueError(f"has {count} separate parts: at most {MOST_PARTS} are lesions")
    parts = []
    for number, place in enumerate(ndimage.find_objects(numbered), start=1):
        pieces = []
        for layer in range(place[0].start, place[0].stop):
            inside = numbered[layer, place[1], place[2]] == number
            if layer in held and inside.any():
                corner = (top + place[1].start, left + place[2].start)
                pieces.append(replace(held[layer], row=corner[0], column=corner[1], inside=inside))
        parts.append(pieces)
    return parts


def _layers(depths: list[float]) -> list[int]:
    """A layer for each depth (in order): the same for the same one, a gap left where one is."""
    steps = np.diff(depths)
    real = steps[steps > _SAME_DEPTH_MM]
    usual = float(np.median(real)) if len(real) else 1.0
    layers = [0]
    for step in steps:
        add = 0 if step <= _SAME_DEPTH_MM else 1 if step <= _GAP * usual else 2
        layers.append(layers[-1] + add)
    return layers


def _mark(opened: Any, segment: Any, part: list[_Slice], place: int | None) -> Mark:
    dataset = opened.dataset
    outlines = key_first([_outline(piece) for piece in part])
    key, number = outlines[0], int(segment.get("SegmentNumber", 0))
    where = (number,) if place is None else (number, place)
    is_whole = place is None
    spacing = part[0].plane.spacing_mm_px
    return Mark(
        mark_id=mark_id_of(Carrier.SEG, opened.uid, where),
        carrier=Carrier.SEG,
        kind=MarkKind.MASK,
        image=key.image,
        points_mm=key.points_mm,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "") or ""),
        others=tuple(outlines[1:]),
        finding=concept_of(segment.get("SegmentedPropertyTypeCodeSequence")),
        category=concept_of(segment.get("SegmentedPropertyCategoryCodeSequence")),
        site=concept_of(segment.get("AnatomicRegionSequence")),
        label=short_text(segment.get("SegmentLabel", "")),
        comment=short_text(segment.get("SegmentDescription", "")),
        # A segment of several parts is several lesions: its one tracking id names none of them.
        tracking_uid=str(segment.get("TrackingUID", "") or "") if is_whole else "",
        tracking_id=short_text(segment.get("TrackingID", "")) if is_whole else "",
        reader=short_text(dataset.get("ContentCreatorName")),
        drawn_on=day_of(dataset.get("ContentDate") or dataset.get("StudyDate")),
        patient_id=str(dataset.get("PatientID", "") or ""),
        source=opened.name,
        source_uid=opened.uid,
        group=mark_id_of(Carrier.SEG, opened.uid, (number,)),
        segment=SegmentReference(opened.uid, number),
        pixel_mm=None if spacing is None else max(spacing),
    )


def _outline(piece: _Slice) -> MarkOutline:
    points = pixel_outline(piece.inside) + np.array([piece.column, piece.row])
    if len(points) > MOST_POINTS:
        points = points[:: len(points) // MOST_POINTS + 1]
    return MarkOutline(piece.image, points_mm=piece.plane.points_mm_of(points))


def _source(frame: Any, places: dict[str, tuple[str, str]]) -> ImageReference:
    """The image that a frame was drawn on, where exactly one is named."""
    sources = [
        one
        for derivation in frame.get("DerivationImageSequence") or ()
        for one in derivation.get("SourceImageSequence") or ()
    ]
    return image_of(sources[0], places) if len(sources) == 1 else ImageReference()


def _places(dataset: Any) -> dict[str, tuple[str, str]]:
    """Instance UID -> (study, series) of the images that the segmentation refers to."""
    study_uid = str(dataset.get("StudyInstanceUID", "") or "")
    places = {}
    for series in dataset.get("ReferencedSeriesSequence") or ():
        series_uid = str(series.get("SeriesInstanceUID", "") or "")
        for image in series.get("ReferencedInstanceSequence") or ():
            places[str(image.get("ReferencedSOPInstanceUID", ""))] = (study_uid, series_uid)
    return places
