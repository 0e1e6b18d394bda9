"""Steps: one measured size of a lesion and the next, as the arrays that everything is fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.tracking.growth.courses import Course, FloatArray, SizeMeasure

IntArray = NDArray[np.int64]

SHORTEST_DAYS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class GrowthSteps:
    """n steps: each a size, and the change to the next study that measured the lesion.

    Attributes:
        courses: the courses that the steps are from.
        course: (n,) the number of the step's course.
        place: (n,) the number of the step's first point in it.
        patient: (n,) the patient, numbered.
        log_size: (n,) natural logarithm of the first size.
        change: (n,) natural logarithm of the next size over the first.
        days: (n,) between both, NaN where a date is missing.
        types: (n,) the lesion type's value.
        categories: (n,) the category, empty where there is none.
        vectors: (n, dimension) unit embeddings of the first marks; (n, 0) where there are none.
        numbers: the number of each patient id.
    """

    courses: tuple[Course, ...]
    course: IntArray
    place: IntArray
    patient: IntArray
    log_size: FloatArray
    change: FloatArray
    days: FloatArray
    types: NDArray[np.str_]
    categories: NDArray[np.str_]
    vectors: NDArray[np.float32]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, courses: Sequence[Course]) -> GrowthSteps:
        """Every step of the courses; those of one study give none.

        Embeddings are kept only if every step has them. A step of less than a day (two studies
        of one date) is left out.
        """
        numbers = {name: at for at, name in enumerate(sorted({c.patient_id for c in courses}))}
        rows: list[tuple[int, int, int]] = []
        days: list[float] = []
        for number, one in enumerate(courses):
            since = one.days
            for at in range(len(one.points) - 1):
                lasted = np.nan if since is None else float(since[at + 1] - since[at])
                if lasted < SHORTEST_DAYS:
                    continue
                rows.append((number, at, numbers[one.patient_id]))
                days.append(lasted)
        course, place, patient = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        sizes = [one.log_sizes for one in courses]
        first = np.array([sizes[c][p] for c, p, _ in rows], dtype=np.float64)
        later = np.array([sizes[c][p + 1] for c, p, _ in rows], dtype=np.float64)
        return cls(
            courses=tuple(courses),
            course=course,
            place=place,
            patient=patient,
            log_size=first,
            change=later - first,
            days=np.array(days, dtype=np.float64),
            types=np.array([courses[c].lesion_type.value for c, _, _ in rows], dtype=np.str_),
            categories=np.array([courses[c].category or "" for c, _, _ in rows], dtype=np.str_),
            vectors=_vectors(courses, rows),
            numbers=numbers,
        )

    def __len__(self) -> int:
        return len(self.change)

    @property
    def patients(self) -> int:
        """How many patients have a step."""
        return len(np.unique(self.patient))

    @property
    def measure(self) -> SizeMeasure:
        """What the sizes are."""
        return self.courses[0].measure if self.courses else SizeMeasure.LONG

    @property
    def median_days(self) -> float | None:
        """The usual interval of dated steps, None where there is none."""
        known = self.days[~np.isnan(self.days)]
        return float(np.median(known)) if len(known) else None

    def chosen(self, rows: NDArray[np.bool_] | IntArray) -> GrowthSteps:
        """Some of the steps, by mask or number; the courses stay."""
        return replace(
            self,
            course=self.course[rows],
            place=self.place[rows],
            patient=self.patient[rows],
            log_size=self.log_size[rows],
            change=self.change[rows],
            days=self.days[rows],
            types=self.types[rows],
            categories=self.categories[rows],
            vectors=self.vectors[rows],
        )

    def history(self, step: int) -> Course:
        """The course of a step as it was known before the change."""
        whole: Course = self.courses[int(self.course[step])]
        return whole.until(whole.points[self.place[step]].study_id)


def _vectors(
    courses: Sequence[Course], rows: Sequence[tuple[int, int, int]]
) -> NDArray[np.float32]:
    if not rows or any(not courses[c].vectors for c, _, _ in rows):
        return np.zeros((len(rows), 0), np.float32)
    stacked = np.stack([courses[c].vectors[p] for c, p, _ in rows]).astype(np.float32)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    return np.asarray(stacked / np.maximum(lengths, 1e-12), dtype=np.float32)
