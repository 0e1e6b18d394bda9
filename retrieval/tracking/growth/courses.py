"""A lesion's sizes over its studies, checked: what cannot be used is told in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion, LesionType
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.track_types import StudyOrder

FloatArray = NDArray[np.float64]

LARGEST_DIAMETER_MM = 500.0
SMALLEST_DIAMETER_MM = 1.0
LARGEST_VOLUME_MM3 = 6.5e7
SMALLEST_VOLUME_MM3 = 0.5
"""Sizes beyond these are taken for mistakes; DeepLesion's diameters reach 343 mm."""


class UnusableCourseError(TrackingError):
    """A lesion of which no course of sizes can be made."""


class SizeMeasure(StrEnum):
    """What a size is: the long diameter, or a measured volume."""

    LONG = "long_mm"
    VOLUME = "volume_mm3"

    @property
    def dimensions(self) -> int:
        """The power of a length that it grows with."""
        return 1 if self is SizeMeasure.LONG else 3

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest size that is believed."""
        if self is SizeMeasure.LONG:
            return SMALLEST_DIAMETER_MM, LARGEST_DIAMETER_MM
        return SMALLEST_VOLUME_MM3, LARGEST_VOLUME_MM3

    @property
    def words(self) -> str:
        """The measure in a sentence."""
        return "long diameter" if self is SizeMeasure.LONG else "volume"

    @property
    def unit(self) -> str:
        """Its unit in a sentence."""
        return "mm" if self is SizeMeasure.LONG else "mm3"


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """A lesion's size in one study.

    Attributes:
        study_id: the study.
        study_date: its date, None where it has none.
        lesion_ids: the marks there; several where different series hold one each.
        size: of the lesion, the geometric mean of several marks.
    """

    study_id: str
    study_date: date | None
    lesion_ids: tuple[str, ...]
    size: float

    @property
    def log_size(self) -> float:
        """Natural logarithm of the size."""
        return math.log(self.size)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One lesion over its studies, first to last.

    ``vector`` (dimension,) is the embedding of its last mark, None where there is none;
    ``left_out`` says in words which studies could not be used.
    """

    course_id: str
    patient_id: str
    points: tuple[CoursePoint, ...]
    measure: SizeMeasure = SizeMeasure.LONG
    lesion_type: LesionType = LesionType.UNKNOWN
    category: str | None = None
    vectors: tuple[NDArray[np.float32], ...] = ()
    left_out: tuple[str, ...] = field(default=())

    @property
    def log_sizes(self) -> FloatArray:
        """(points,) natural logarithms of the sizes."""
        return np.array([point.log_size for point in self.points])

    @property
    def days(self) -> FloatArray | None:
        """(points,) days since the first study; None unless every study has a date."""
        dates = [point.study_date for point in self.points if point.study_date is not None]
        if not dates or len(dates) < len(self.points):
            return None
        return np.array([(day - dates[0]).days for day in dates], dtype=np.float64)

    def until(self, study_id: str) -> Course:
        """The course up to one of its studies, as it was known then.

        Raises UnusableCourseError if the study is none of them.
        """
        known = [point.study_id for point in self.points]
        if study_id not in known:
            raise UnusableCourseError(
                f"study {study_id!r} holds no usable size of the lesion: "
                + (self.left_out[0] if self.left_out else f"its studies are {', '.join(known)}")
            )
        end = known.index(study_id) + 1
        return replace(self, points=self.points[:end], vectors=self.vectors[:end])


def course_of(
    lesions: Sequence[Lesion],
    order: StudyOrder,
    *,
    sizes: Mapping[str, float | None] | None = None,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    measure: SizeMeasure = SizeMeasure.LONG,
    today: date | None = None,
) -> Course:
    """The course of one lesion track.

    Args:
        lesions: the marks of the track.
        order: the patient's studies.
        sizes: the size of each lesion id; the long diameters if None.
        vectors: the embedding of each lesion id; none if None.
        measure: what the sizes are.
        today: a study of a later date is left out; none is if None.

    Studies without a usable size are left out and told in ``left_out``. Marks of one study on
    several series are one lesion measured several times; two marks on one series are two lesions
    that merged or split, and the study is left out.

    Raises UnusableCourseError if no study is left.
    """
    if sizes is None:
        sizes = {lesion.lesion_id: lesion.long_mm for lesion in lesions}
    points, kept, left_out = [], [], []
    for study_id in order.study_ids:
        marks = [lesion for lesion in lesions if lesion.study_id == study_id]
        if not marks:
            continue
        found = [sizes.get(mark.lesion_id) for mark in marks]
        wrong = _what_is_wrong(marks, found, measure, today)
        if wrong is not None:
            left_out.append(f"study {study_id}: {wrong}")
            continue
        size = math.exp(float(np.mean([math.log(one) for one in found if one is not None])))
        ids = tuple(mark.lesion_id for mark in marks)
        points.append(CoursePoint(study_id, marks[0].study_date, ids, size))
        kept.append(marks[-1])
    if not points:
        raise UnusableCourseError("; ".join(left_out) or "no lesion is given")
    own = [] if vectors is None else [vectors.get(mark.lesion_id) for mark in kept]
    whole = [vector for vector in own if vector is not None]
    return Course(
        course_id=kept[0].lesion_id,
        patient_id=kept[0].patient_id,
        points=tuple(points),
        measure=measure,
        lesion_type=_type_of(kept),
        category=_commonest([one.category for one in kept]),
        vectors=tuple(whole) if len(whole) == len(points) else (),
        left_out=tuple(left_out),
    )


def _what_is_wrong(
    marks: Sequence[Lesion],
    sizes: Sequence[float | None],
    measure: SizeMeasure,
    today: date | None,
) -> str | None:
    """Why a study's marks give no size, in words; None where they do."""
    day = marks[0].study_date
    if day is not None and today is not None and day > today:
        return f"dated {day.isoformat()}, which is after today, {today.isoformat()}"
    if len({mark.series_id for mark in marks}) < len(marks):
        ids = ", ".join(mark.lesion_id for mark in marks)
        return (
            f"two marks on one series ({ids}): the lesion merged or split, and which of them "
            "grew is not known"
        )
    low, high = measure.limits
    for mark, size in zip(marks, sizes, strict=True):
        if size is None:
            return f"no {measure.words} was measured (lesion {mark.lesion_id})"
        if not low <= size <= high:
            return (
                f"the {measure.words} of lesion {mark.lesion_id} is {size:g} {measure.unit}: "
                f"{low:g} to {high:g} {measure.unit} is believed"
            )
    return None


def _type_of(lesions: Sequence[Lesion]) -> LesionType:
    known = [one.lesion_type for one in lesions if one.lesion_type is not LesionType.UNKNOWN]
    return max(known, key=known.count) if known else LesionType.UNKNOWN


def _commonest(names: Sequence[str | None]) -> str | None:
    known = [name for name in names if name is not None]
    return max(known, key=known.count) if known else None
