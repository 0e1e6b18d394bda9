"""Patients whose lesions grow by known laws: what forecasts and priors are tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from numpy.random import Generator

from retrieval.lesion import LesionType
from retrieval.tracking.growth.courses import Course, CoursePoint, FloatArray, SizeMeasure


class GrowthLaw(StrEnum):
    """How a simulated lesion grows."""

    EXPONENTIAL = "exponential"
    GOMPERTZ = "gompertz"
    WALK = "random walk"


@dataclass(frozen=True, slots=True)
class SimulatedGrowth:
    """A population of known growth, in log length.

    Attributes:
        law: of every lesion.
        measurement_error: standard deviation of a reader's log diameter.
        rate_a_day: mean and standard deviation of the rate at the last study.
        plateau_days: 1/k of Gompertz growth, each as likely.
        wander_a_day: standard deviation for one day of changes that follow no law.
        studies: how many a lesion has at least and at most.
        interval_days: shortest and longest interval.
        lesions: of each patient, at most.
    """

    law: GrowthLaw = GrowthLaw.EXPONENTIAL
    measurement_error: float = 0.088
    rate_a_day: tuple[float, float] = (0.0005, 0.0015)
    plateau_days: tuple[float, ...] = (120.0, 240.0, 480.0, 960.0, 1920.0)
    wander_a_day: float = 0.0
    studies: tuple[int, int] = (3, 5)
    interval_days: tuple[float, float] = (60.0, 200.0)
    lesions: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCourse:
    """A course, and what it was made of: the true rate a day at its last study."""

    course: Course
    true_rate_a_day: float


def simulate_courses(
    population: SimulatedGrowth, patients: int, generator: Generator, *, dated: bool = True
) -> list[SimulatedCourse]:
    """The lesions of ``patients`` patients; sizes are long diameters."""
    made = []
    for patient in range(patients):
        for lesion in range(int(generator.integers(1, population.lesions + 1))):
            name = f"{patient:06d}_{lesion}"
            made.append(_course(population, name, generator, dated=dated))
    return made


def _course(
    population: SimulatedGrowth, name: str, generator: Generator, *, dated: bool
) -> SimulatedCourse:
    low, high = population.studies
    count = int(generator.integers(low, high + 1))
    days = np.concatenate(
        [[0.0], np.cumsum(generator.uniform(*population.interval_days, count - 1)).round()]
    )
    mean, deviation = population.rate_a_day
    rate = float(generator.normal(mean, deviation))
    path = _path(population, generator)(days - days[-1], rate)
    true = float(generator.normal(np.log(18.0), 0.45)) + path - path[0]
    seen = true + generator.normal(0.0, population.measurement_error, count)
    patient = name.partition("_")[0]
    first = date(2020, 1, 1)
    points = tuple(
        CoursePoint(
            study_id=f"{patient}_{number + 1:02d}",
            study_date=first + timedelta(days=float(day)) if dated else None,
            lesion_ids=(f"{name}_{number}",),
            size=float(np.exp(size)),
        )
        for number, (day, size) in enumerate(zip(days, seen, strict=True))
    )
    kinds = (LesionType.LUNG, LesionType.LIVER, LesionType.MEDIASTINUM)
    kind = kinds[int(generator.integers(len(kinds)))]
    course = Course(f"{name}_0", patient, points, SizeMeasure.LONG, kind)
    return SimulatedCourse(course, rate)


def _path(
    population: SimulatedGrowth, generator: Generator
) -> Callable[[FloatArray, float], FloatArray]:
    """True log sizes against the last study's, by days before it and the rate there."""

    def wandered(since: FloatArray) -> FloatArray:
        gaps = np.diff(since)
        steps = generator.normal(0.0, population.wander_a_day * np.sqrt(np.maximum(gaps, 0.0)))
        return np.concatenate([-np.cumsum(steps[::-1])[::-1], [0.0]])

    def path(since: FloatArray, rate: float) -> FloatArray:
        if population.law is GrowthLaw.WALK:
            return wandered(since)
        if population.law is GrowthLaw.EXPONENTIAL:
            return rate * since + wandered(since)
        plateau = 1.0 / float(generator.choice(population.plateau_days))
        return np.asarray(-rate * np.expm1(-plateau * since) / plateau + wandered(since))

    return path
