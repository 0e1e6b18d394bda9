"""Mined marks back as reports: what readers measured, under one UID a track."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset

from retrieval.lesion import LesionType, Recist
from retrieval.sources.mining.verdict_line import MarkSketch
from service.pacs.reports.writing import Measured, MeasuredTrack, reports_of, track_uid


def reports_of_marks(
    marks: Sequence[MarkSketch], attributes: Callable[[MarkSketch], Dataset]
) -> list[Any]:
    """The reports of one patient's kept marks, one a study; empty where none has a RECIST mark.

    Args:
        marks: of one patient; those without four ends are left out.
        attributes: what the key image of a mark says, without its pixels.
    """
    groups: dict[str, list[MarkSketch]] = {}
    for mark in marks:
        if mark.recist and mark.frame is None:
            groups.setdefault(mark.track or mark.mark_id, []).append(mark)
    if not groups:
        return []
    tracks = [
        _track(f"Lesion {number}", members, attributes)
        for number, members in enumerate(groups.values(), start=1)
    ]
    return reports_of(tracks, stable=True)


def _track(
    name: str, members: Sequence[MarkSketch], attributes: Callable[[MarkSketch], Dataset]
) -> MeasuredTrack:
    measured = [_measured(mark, attributes(mark)) for mark in members]
    first = min(measured, key=lambda one: (one.day, one.study_uid))
    given = sorted({mark.tracking_uid for mark in members} - {""})
    return MeasuredTrack(name, given[0] if given else track_uid(first), tuple(measured))


def _measured(mark: MarkSketch, header: Dataset) -> Measured:
    recist = Recist.from_numbers(mark.recist)
    return Measured(
        header, recist.box(), LesionType(mark.lesion_type), recist, mark.long_mm, mark.short_mm
    )
