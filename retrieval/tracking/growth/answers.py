"""What a forecast says of one lesion, and its JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from retrieval.tracking.growth.courses import Course, CoursePoint, SizeMeasure
from retrieval.tracking.growth.outlooks import DoublingTime, SizeOutlook, percent, rounded
from retrieval.tracking.track_types import RESEARCH_USE

CAVEATS = (
    "Learned from lesions that were found again: those that vanished, and new ones, are missing.",
    "Treatment is not known: neither of this lesion nor of the lesions that the answer rests on.",
    "Where lesions were linked by their looks and size, links of lesions that changed much may be "
    "missing.",
)
"""Stand beside every forecast."""


class ForecastState(StrEnum):
    """Whether there is a forecast, or why not in ``reason``."""

    FORECAST = "forecast"
    ABSTAINED = "abstained"


@dataclass(frozen=True, slots=True)
class GrowthHorizon:
    """How far ahead: a number of days, or the next study.

    Attributes:
        kind: what was asked for.
        days: ahead; of the next study the usual interval, None where no dates tell it.
    """

    kind: str
    days: float | None

    def to_json(self) -> dict[str, Any]:
        """The horizon as JSON values."""
        return {"kind": self.kind, "days": rounded(self.days, 1)}


@dataclass(frozen=True, slots=True)
class ComponentShare:
    """One way of forecasting, and how much it counts.

    Attributes:
        name: climatology, neighbours or growth laws.
        weight: in the mixture, 0 where it has nothing to say.
        outlook: what it says by itself, not calibrated; None where it says nothing.
        note: why it says nothing, empty where it does.
    """

    name: str
    weight: float
    outlook: SizeOutlook | None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The share as JSON values."""
        return {
            "name": self.name,
            "weight": round(self.weight, 4),
            "outlook": None if self.outlook is None else self.outlook.to_json(),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class NeighbourPoint:
    """A neighbour's size in one of its studies.

    Attributes:
        study_id: the study.
        lesion_id: the mark there.
        step: studies after the one in which it is like the asked lesion; negative before.
        days: after that study, None where a date is missing.
        size: in the unit of the measure.
        ratio: to its size when it was like the asked lesion.
    """

    study_id: str
    lesion_id: str
    step: int
    days: float | None
    size: float
    ratio: float

    def to_json(self) -> dict[str, Any]:
        """The point as JSON values."""
        return {
            "study_id": self.study_id,
            "lesion_id": self.lesion_id,
            "step": self.step,
            "days": self.days,
            "size": round(self.size, 2),
            "ratio": round(self.ratio, 4),
        }


@dataclass(frozen=True, slots=True)
class NeighbourCase:
    """A similar lesion of another patient, and its own course.

    Attributes:
        lesion_id: the mark that is like the asked lesion.
        patient_id: whose it is.
        lesion_type: its type.
        weight: how much it counts among the neighbours.
        similarity: cosine of the embeddings, None where there are none.
        change_pct: of its size to its next study.
        days: to its next study, None where a date is missing.
        course: all its sizes.
    """

    lesion_id: str
    patient_id: str
    lesion_type: str
    weight: float
    similarity: float | None
    change_pct: float
    days: float | None
    course: tuple[NeighbourPoint, ...]

    @classmethod
    def of(cls, course: Course, place: int, weight: float, similarity: float) -> Self:
        """The case of one step of a course."""
        start, later = course.points[place], course.points[place + 1]
        return cls(
            lesion_id=start.lesion_ids[0],
            patient_id=course.patient_id,
            lesion_type=course.lesion_type.value,
            weight=weight,
            similarity=None if math.isnan(similarity) else similarity,
            change_pct=percent(later.size / start.size),
            days=_days_between(start, later),
            course=tuple(
                NeighbourPoint(
                    point.study_id,
                    point.lesion_ids[0],
                    number - place,
                    _days_between(start, point),
                    point.size,
                    point.size / start.size,
                )
                for number, point in enumerate(course.points)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The case as JSON values."""
        return {
            "lesion_id": self.lesion_id,
            "patient_id": self.patient_id,
            "lesion_type": self.lesion_type,
            "weight": round(self.weight, 4),
            "similarity": rounded(self.similarity, 4),
            "change_pct": round(self.change_pct, 1),
            "days": self.days,
            "course": [point.to_json() for point in self.course],
        }


@dataclass(frozen=True, slots=True)
class PopulationOutlook:
    """What all lesions of that size and type did: no forecast of this one.

    Attributes:
        outlook: its ranges.
        fitted_on: whose lesions they were.
        steps: how many changes it was fitted on.
        patients: of how many patients.
    """

    outlook: SizeOutlook
    fitted_on: str
    steps: int
    patients: int

    def to_json(self) -> dict[str, Any]:
        """The population as JSON values."""
        return {
            "outlook": self.outlook.to_json(),
            "fitted_on": self.fitted_on,
            "steps": self.steps,
            "patients": self.patients,
        }


@dataclass(frozen=True, slots=True, eq=False)
class GrowthForecast:
    """The forecast of one lesion, or why there is none.

    Attributes:
        course: the sizes that it starts from.
        horizon: how far ahead.
        reason: why there is no forecast, None where there is one.
        outlook: the forecast.
        fan: from the last study to the horizon, for drawing; the last is the outlook. One entry
            where there are no dates.
        population: what all lesions of that size and type did.
        components: how the mixture was made.
        doubling: None without two dated sizes.
        neighbours: similar lesions with a later study; the forecast rests on them.
        effective_neighbours: as many steps of equal weight would tell as much.
        cases: the nearest of them.
    """

    course: Course
    horizon: GrowthHorizon
    reason: str | None
    outlook: SizeOutlook | None
    fan: tuple[SizeOutlook, ...]
    population: PopulationOutlook
    components: tuple[ComponentShare, ...]
    doubling: DoublingTime | None
    neighbours: int
    effective_neighbours: float
    cases: tuple[NeighbourCase, ...]

    @property
    def state(self) -> ForecastState:
        """Whether there is a forecast."""
        return ForecastState.FORECAST if self.reason is None else ForecastState.ABSTAINED

    def to_json(self) -> dict[str, Any]:
        """The forecast's part of the document of ``lesion-search forecast``."""
        return {
            "notice": RESEARCH_USE,
            "caveats": list(CAVEATS),
            "state": self.state.value,
            "reason": self.reason,
            "measure": self.course.measure.value,
            "horizon": self.horizon.to_json(),
            "course": [_point_json(self.course, point) for point in self.course.points],
            "left_out": list(self.course.left_out),
            "outlook": None if self.outlook is None else self.outlook.to_json(),
            "fan": [one.to_json() for one in self.fan],
            "doubling_time": None if self.doubling is None else self.doubling.to_json(),
            "neighbours": {
                "count": self.neighbours,
                "effective": round(self.effective_neighbours, 2),
                "cases": [case.to_json() for case in self.cases],
            },
            "components": [one.to_json() for one in self.components],
            "population": self.population.to_json(),
        }


def refused(reason: str, measure: SizeMeasure) -> dict[str, Any]:
    """The document of a lesion of which nothing at all can be said."""
    return {
        "notice": RESEARCH_USE,
        "caveats": list(CAVEATS),
        "state": ForecastState.ABSTAINED.value,
        "reason": reason,
        "measure": measure.value,
        "horizon": GrowthHorizon("next study", None).to_json(),
        "course": [],
        "left_out": [],
        "outlook": None,
        "fan": [],
        "doubling_time": None,
        "neighbours": {"count": 0, "effective": 0.0, "cases": []},
        "components": [],
        "population": None,
    }


def _point_json(course: Course, point: CoursePoint) -> dict[str, Any]:
    return {
        "study_id": point.study_id,
        "study_date": None if point.study_date is None else point.study_date.isoformat(),
        "lesion_ids": list(point.lesion_ids),
        "days": _days_between(course.points[-1], point),
        "size": round(point.size, 2),
    }


def _days_between(start: CoursePoint, end: CoursePoint) -> float | None:
    if start.study_date is None or end.study_date is None:
        return None
    return float((end.study_date - start.study_date).days)
