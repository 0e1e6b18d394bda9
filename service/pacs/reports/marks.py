"""The lesions that a structured report has measured, ours or another writer's.

Any report with measurement groups (TID 1410 or 1501) is read: a group's image coordinates and
diameters make a mark. What does not say where it lies on an image is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from retrieval.lesion import Box, LesionError, LesionType, Recist
from service.pacs.reports import codes
from service.pacs.reports.writing import PIXEL_CENTRE

TRACKING_UID, GROUP = "112040", "125007"
FINDING_SITES = frozenset({"363698007", "G-C0E3"})
MAX_DEPTH = 32
"""Content deeper than this is not searched: no template nests so far."""


@dataclass(frozen=True)
class ReportedMark:
    """One lesion as a report has it.

    Attributes:
        study_uid, series_uid, sop_uid: of the image it lies on, as the report's evidence tells.
        box: the image region; the RECIST mark's own box where there is a mark only.
        track_uid: what its track is called in all its reports, where it has a name.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    box: Box
    recist: Recist | None = None
    long_mm: float | None = None
    short_mm: float | None = None
    lesion_type: LesionType = LesionType.UNKNOWN
    track_uid: str | None = None


def marks_of(report: Dataset) -> list[ReportedMark]:
    """Every lesion of a report that lies on an image of its evidence."""
    series_of = _evidence(report)
    marks = []
    for group in _groups(report, MAX_DEPTH):
        mark = _mark(group, series_of)
        if mark is not None:
            marks.append(mark)
    return marks


def _mark(group: Dataset, series_of: dict[str, tuple[str, str]]) -> ReportedMark | None:
    regions = [item for item in _descendants(group, MAX_DEPTH) if item.get("GraphicData")]
    images = {uid for item in [group, *regions] for uid in _images(item)}
    known = [uid for uid in images if uid in series_of]
    if len(known) != 1 or not regions:
        return None
    recist = _recist(group)
    try:
        box = _box(regions) if recist is None or _closed(regions) else recist.box()
    except LesionError:
        return None
    study_uid, series_uid = series_of[known[0]]
    return ReportedMark(
        study_uid,
        series_uid,
        known[0],
        box,
        recist,
        _diameter(group, codes.LONG_NAMES),
        _diameter(group, codes.SHORT_NAMES),
        _lesion_type(group),
        _tracking_uid(group),
    )


def _evidence(report: Dataset) -> dict[str, tuple[str, str]]:
    """Instance UID to the UIDs of its study and series."""
    found = {}
    for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in report.get(name) or ():
            for series in study.get("ReferencedSeriesSequence") or ():
                for instance in series.get("ReferencedSOPSequence") or ():
                    place = (str(study.StudyInstanceUID), str(series.SeriesInstanceUID))
                    found[str(instance.ReferencedSOPInstanceUID)] = place
    return found


def _groups(item: Dataset, depth: int) -> Iterator[Dataset]:
    for child in _children(item):
        if _name(child) == GROUP:
            yield child
        elif depth:
            yield from _groups(child, depth - 1)


def _descendants(item: Dataset, depth: int) -> Iterator[Dataset]:
    for child in _children(item):
        yield child
        if depth:
            yield from _descendants(child, depth - 1)


def _children(item: Dataset) -> list[Dataset]:
    return list(item.get("ContentSequence") or ())


def _name(item: Dataset) -> str:
    concept = item.get("ConceptNameCodeSequence")
    return str(concept[0].get("CodeValue", "")) if concept else ""


def _images(item: Dataset) -> list[str]:
    """The images a region was selected from, or that stand beside it."""
    references = [*_children(item), item]
    return [
        str(reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for reference in references
        if reference.get("ReferencedSOPSequence")
    ]


def _points(item: Dataset) -> NDArray[np.float64]:
    """(n, 2) in the product's own pixels."""
    numbers = np.asarray([float(number) for number in item.GraphicData])
    return numbers[: len(numbers) // 2 * 2].reshape(-1, 2) - PIXEL_CENTRE


def _closed(regions: list[Dataset]) -> bool:
    """Whether one of the regions has an area, as a box or an outline does."""
    return any(len(_points(item)) > 2 for item in regions)


def _box(regions: list[Dataset]) -> Box:
    """The extent of the outline if there is one, else of all that was drawn."""
    outlines = [item for item in regions if len(_points(item)) > 2] or regions
    points = np.concatenate([_points(item) for item in outlines])
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return Box(float(x1), float(y1), float(x2), float(y2))


def _recist(group: Dataset) -> Recist | None:
    """The end points of both diameters, where both are drawn."""
    ends: list[tuple[float, float]] = []
    for names in (codes.LONG_NAMES, codes.SHORT_NAMES):
        drawn = [
            _points(region)
            for item in _children(group)
            if _name(item) in names
            for region in _children(item)
            if region.get("GraphicData")
        ]
        lines = [points for points in drawn if len(points) == 2]
        if not lines:
            return None
        ends.extend((float(x), float(y)) for x, y in lines[0])
    return Recist(tuple(ends))


def _diameter(group: Dataset, names: frozenset[str]) -> float | None:
    for item in _children(group):
        if _name(item) not in names or not item.get("MeasuredValueSequence"):
            continue
        value = item.MeasuredValueSequence[0]
        unit = value.get("MeasurementUnitsCodeSequence")
        scale = {"mm": 1.0, "cm": 10.0}.get(str(unit[0].CodeValue) if unit else "")
        if scale is not None:
            return float(value.NumericValue) * scale
    return None


def _lesion_type(group: Dataset) -> LesionType:
    for item in _children(group):
        if _name(item) in FINDING_SITES and item.get("ConceptCodeSequence"):
            return codes.lesion_type_of(str(item.ConceptCodeSequence[0].get("CodeValue", "")))
    return LesionType.UNKNOWN


def _tracking_uid(group: Dataset) -> str | None:
    for item in _children(group):
        if _name(item) == TRACKING_UID and item.get("UID"):
            return str(item.get("UID"))
    return None
