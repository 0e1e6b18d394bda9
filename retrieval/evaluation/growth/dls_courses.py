"""The lesions of the Deep Longitudinal Study over time, from its file of pairs.

A pair is the same lesion in two studies, so connected pairs are one lesion. The file has no dates:
studies are ordered by their number. Diameters are pixels in it, see
``retrieval.evaluation.tracking.dls``. Types are not in it; DeepLesion's table adds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.evaluation.tracking.dls import DlsError, pair_numbers, pair_records
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.growth.courses import Course, UnusableCourseError, course_of
from retrieval.tracking.study_order import order_studies

SIDES = ("source", "target")


def dls_courses(path: Path, table: Sequence[Lesion] = ()) -> list[Course]:
    """The courses of a truth file's lesions, in the order of their first pairs.

    Args:
        path: the benchmark's JSON.
        table: DeepLesion's lesions: of its slice the nearest in diameter gives the type.

    Raises DlsError where a pair lacks what is needed.
    """
    records = pair_records(path)
    by_slice: dict[str, list[Lesion]] = {}
    for lesion in table:
        name = f"{lesion.series_id}/{lesion.key_slice_index:03d}.png"
        by_slice.setdefault(name, []).append(lesion)
    marks: dict[str, Lesion] = {}
    track_of: dict[str, str] = {}
    diameters = {side: pair_numbers(records, f"{side} recist diameter", 2) for side in SIDES}
    spacings = {side: pair_numbers(records, f"{side} spacing", 3) for side in SIDES}
    for row, (key, record) in enumerate(records.items()):
        names = []
        for side in SIDES:
            long_mm = float(diameters[side][row].max() * spacings[side][row, 0])
            mark = _mark(key, record, side, long_mm)
            mark = mark.with_changes(lesion_type=_type(record, side, long_mm, by_slice))
            marks[mark.lesion_id] = mark
            names.append(track_of.setdefault(mark.lesion_id, mark.lesion_id))
        for lesion_id, name in track_of.items():
            if name == names[1]:
                track_of[lesion_id] = names[0]
    tracks: dict[str, list[Lesion]] = {}
    for lesion_id, name in track_of.items():
        tracks.setdefault(name, []).append(marks[lesion_id])
    return [course for some in tracks.values() if (course := _course(some)) is not None]


def _course(marks: Sequence[Lesion]) -> Course | None:
    try:
        return course_of(marks, order_studies(marks))
    except UnusableCourseError:
        return None


def _mark(key: str, record: Mapping[str, Any], side: str, long_mm: float) -> Lesion:
    """One end of a pair; its id is its slice and the middle of its RECIST mark."""
    slice_name = str(record.get(f"{side} recist slice", ""))
    series, _, number = slice_name.removesuffix(".png").partition("/")
    parts = series.split("_")
    if len(parts) < 3 or not number.isdecimal():
        raise DlsError(
            f"pair {key}: {f'{side} recist slice'!r} is {slice_name!r}: a name like "
            "000004_02_01/013.png is needed"
        )
    x, y, _ = pair_numbers({key: record}, f"{side} recist center", 3)[0]
    return Lesion(
        lesion_id=f"{series}_{number}_x{x:.1f}_y{y:.1f}",
        patient_id=parts[0],
        study_id="_".join(parts[:2]),
        series_id=series,
        key_slice_index=int(number),
        box=Box.around((float(x), float(y)), 10.0),
        long_mm=long_mm,
    )


def _type(
    record: Mapping[str, Any], side: str, long_mm: float, table: Mapping[str, list[Lesion]]
) -> LesionType:
    known = table.get(str(record.get(f"{side} recist slice", "")), [])
    if not known:
        return LesionType.UNKNOWN
    return min(known, key=lambda one: abs((one.long_mm or 0.0) - long_mm)).lesion_type
