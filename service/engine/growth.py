"""Forecasts of indexed lesions: the courses of every patient, kept as long as the index stands."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from index.lesion_index import LesionIndex
from index.reports import Match, ReaderDecision
from retrieval.lesion import Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.growth.answers import GrowthForecast, refused
from retrieval.tracking.growth.courses import Course, SizeMeasure
from retrieval.tracking.growth.forecasting import GrowthForecaster, checked_days
from retrieval.tracking.growth.model import bundled_growth
from retrieval.tracking.growth.patient_courses import (
    MeasuredMarks,
    PatientCourses,
    patient_courses,
)
from retrieval.tracking.growth.steps import GrowthSteps
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.patient_timeline import PatientEvidence
from retrieval.tracking.tracks import track_patient
from service.engine.patient_tracks import PatientCase

PAGE = 5_000
REFIT_SHARE = 0.05
"""A model is fitted anew where the number of steps has changed by so much."""

SEED = 0
FEWEST_VOLUME_PATIENTS = 8
"""Nothing is fitted to the volumes of fewer patients with two measured studies."""

FEW_VOLUMES = (
    f"fewer than {FEWEST_VOLUME_PATIENTS} patients of this index have a lesion with measured "
    "volumes in two studies; ask for long_mm, or measure with `lesion-search index measure`"
)


@dataclass(frozen=True)
class LesionForecast:
    """An indexed lesion, its forecast or why there is none, and what to know before trusting it."""

    lesion: Lesion
    measure: SizeMeasure
    forecast: GrowthForecast | None
    reason: str | None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of ``lesion-search forecast`` and of ``GET /v1/lesions/{id}/forecast``."""
        found = self.forecast
        told = refused(self.reason or "", self.measure) if found is None else found.to_json()
        return {"lesion": self.lesion.to_json(), **told, "warnings": list(self.warnings)}


@dataclass(frozen=True)
class ForecastRequest:
    """What is asked of a lesion: how many days ahead, the next study if None, and which size."""

    days: float | None = None
    measure: SizeMeasure = SizeMeasure.LONG

    def __post_init__(self) -> None:
        checked_days(self.days)


class GrowthLibrary:
    """The courses of all patients of an index, and the model fitted on them.

    Made when it is first asked for, which takes some seconds for ten thousand lesions; after a
    change of the index only the patients that it touches are tracked again. Threads share it.
    """

    def __init__(self, index: LesionIndex, matcher: MatcherModel | None = None) -> None:
        self._index = index
        self._matcher = matcher or bundled_matcher()
        self._lock = threading.Lock()
        self._state: tuple[int, tuple[Match, ...]] | None = None
        self._order: list[str] = []
        self._patient_of: dict[str, str] = {}
        self._courses: dict[str, PatientCourses] = {}
        self._volumes: dict[str, PatientCourses] = {}
        self._forecaster: GrowthForecaster | None = None
        self._by_volume: GrowthForecaster | None = None

    def forecast(self, lesion_id: str, wanted: ForecastRequest | None = None) -> LesionForecast:
        """The forecast of one lesion after its study, as if later studies were not known.

        Raises:
            UnknownLesionError: the index does not hold the lesion.
            ForecastError: days that nobody can look ahead.
        """
        request = wanted or ForecastRequest()
        lesion = self._index.get(lesion_id).lesion
        by_volume = request.measure is SizeMeasure.VOLUME
        forecaster: GrowthForecaster | None = self.forecaster()
        own = self._courses_of(lesion, request.measure)
        if by_volume:
            forecaster = self._by_volume
        course = _course_with(own, lesion_id)
        if course is None:
            reason = own.without.get(lesion_id, "its sizes cannot be used")
            return LesionForecast(lesion, request.measure, None, reason, self._warnings())
        if forecaster is None:
            return LesionForecast(lesion, request.measure, None, FEW_VOLUMES, self._warnings())
        known = course.until(lesion.study_id)
        later = len(course.points) - len(known.points)
        told = self._warnings()
        if later:
            told += (
                f"the lesion has {later} later stud{'y' if later == 1 else 'ies'}: this is the "
                f"forecast after study {lesion.study_id}, as if they were not known",
            )
        found = forecaster.forecast(known, days=request.days)
        return LesionForecast(lesion, request.measure, found, None, told)

    def latest(self, patient_id: str) -> list[str]:
        """The last lesion of each course of a patient, and every lesion that has no course.

        Raises UnknownPatientError.
        """
        case = PatientCase.of(self._index, patient_id)
        own = self._tracked(case.nodes, case.known)[SizeMeasure.LONG]
        ids = [course.points[-1].lesion_ids[0] for course in own.courses]
        return [*ids, *own.without]

    def forecaster(self) -> GrowthForecaster:
        """The forecaster of the index as it stands."""
        with self._lock:
            state = (self._index.generation, tuple(self._index.matches()))
            if self._forecaster is None or state != self._state:
                self._refresh(state)
            assert self._forecaster is not None
            return self._forecaster

    def _refresh(self, state: tuple[int, tuple[Match, ...]]) -> None:
        ids, matrix = self._index.vectors()
        changed = _changed(self._order, ids)
        decided = set(state[1]) ^ set(() if self._state is None else self._state[1])
        changed |= {lesion for match in decided for lesion in (match.lesion_a, match.lesion_b)}
        vectors = dict(zip(ids, matrix, strict=True))
        touched = {self._patient_of[one] for one in changed if one in self._patient_of}
        lesions = self._read(changed & vectors.keys())
        touched |= {lesion.patient_id for lesion in lesions}
        self._patient_of.update({lesion.lesion_id: lesion.patient_id for lesion in lesions})
        for lost in changed - vectors.keys():
            self._patient_of.pop(lost, None)
        self._track(touched, vectors, lesions, state[1])
        self._forecaster = self._fitted(_steps_of(self._courses))
        self._by_volume = self._fitted_by_volume(_steps_of(self._volumes))
        self._order, self._state = ids, state

    def _read(self, wanted: set[str]) -> list[Lesion]:
        """The lesions of these ids; the whole index page by page where there are many."""
        if len(wanted) < PAGE:
            return [record.lesion for record in self._index.records(wanted)]
        found: list[Lesion] = []
        after = ""
        while page := self._index.page(after, PAGE):
            found += page
            after = page[-1].lesion_id
        return found

    def _track(
        self,
        touched: set[str],
        vectors: Mapping[str, Any],
        lesions: Sequence[Lesion],
        matches: Iterable[Match],
    ) -> None:
        """The courses of the touched patients anew."""
        first = self._state is None
        by_patient: dict[str, list[Lesion]] = {}
        if first:
            for lesion in lesions:
                by_patient.setdefault(lesion.patient_id, []).append(lesion)
        decisions: dict[str, list[Match]] = {}
        for match in matches:
            decisions.setdefault(self._patient_of.get(match.lesion_a, ""), []).append(match)
        for patient in sorted(touched):
            if first:
                own = by_patient.get(patient, [])
            else:
                own = [record.lesion for record in self._index.patient(patient)]
            nodes = [
                TrackNode(one, vectors[one.lesion_id]) for one in own if one.lesion_id in vectors
            ]
            if len({node.lesion.study_id for node in nodes}) < 2:
                self._courses.pop(patient, None)
                self._volumes.pop(patient, None)
                continue
            found = self._tracked(nodes, _evidence(decisions.get(patient, [])))
            self._courses[patient] = found[SizeMeasure.LONG]
            self._volumes[patient] = found[SizeMeasure.VOLUME]

    def _tracked(
        self, nodes: Sequence[TrackNode], known: PatientEvidence
    ) -> dict[SizeMeasure, PatientCourses]:
        """The courses by diameter and, of measured volumes alone, by volume."""
        tracks = track_patient(nodes, model=self._matcher, known=known)
        vectors = {node.lesion.lesion_id: node.vector for node in nodes}
        volumes = {node.lesion.lesion_id: _volume(node.lesion) for node in nodes}
        today = date.today()
        by_volume = MeasuredMarks(vectors, volumes, SizeMeasure.VOLUME)
        return {
            SizeMeasure.LONG: patient_courses(tracks, MeasuredMarks(vectors), today=today),
            SizeMeasure.VOLUME: patient_courses(tracks, by_volume, today=today),
        }

    def _courses_of(self, lesion: Lesion, measure: SizeMeasure) -> PatientCourses:
        kept = self._courses if measure is SizeMeasure.LONG else self._volumes
        known = kept.get(lesion.patient_id)
        if known is not None:
            return known
        case = PatientCase.of(self._index, lesion.patient_id)
        return self._tracked(case.nodes, case.known)[measure]

    def _fitted_by_volume(self, steps: GrowthSteps) -> GrowthForecaster | None:
        """A forecaster over steps of volumes, fitted on them alone: diameters tell none."""
        if steps.patients < FEWEST_VOLUME_PATIENTS:
            return None
        before = self._by_volume
        if before is not None and _is_near(before.model.steps, len(steps)):
            return before.over(steps)
        name = f"{len(steps)} steps of measured volumes of {steps.patients} patients of this index"
        return GrowthForecaster.of(steps, np.random.default_rng(SEED), base=None, name=name)

    def _fitted(self, steps: GrowthSteps) -> GrowthForecaster:
        """A forecaster over the steps; its model is kept where they are nearly the same."""
        before = self._forecaster
        if before is not None and _is_near(before.model.steps, len(steps)):
            return before.over(steps)
        base = bundled_growth()
        own = f"{len(steps)} steps of {steps.patients} patients of this index"
        name = f"{own}, starting from {base.fitted_on}"
        return GrowthForecaster.of(steps, np.random.default_rng(SEED), base=base, name=name)

    def _warnings(self) -> tuple[str, ...]:
        told = self._matcher.warning_for(self._index.binding.fingerprint)
        return () if told is None else (told,)


def _steps_of(courses: Mapping[str, PatientCourses]) -> GrowthSteps:
    return GrowthSteps.of(
        [one for known in courses.values() for one in known.courses if len(one.points) > 1]
    )


def _volume(lesion: Lesion) -> float | None:
    return None if lesion.measured is None else lesion.measured.whole_volume_mm3


def _course_with(own: PatientCourses, lesion_id: str) -> Course | None:
    for course in own.courses:
        if any(lesion_id in point.lesion_ids for point in course.points):
            return course
    return None


def _changed(before: Sequence[str], now: Sequence[str]) -> set[str]:
    """Ids that were removed, added or replaced: rows only ever go, or come at the end."""
    waiting = iter(before)
    gone: set[str] = set()
    kept = 0
    for one in now:
        for other in waiting:
            if other == one:
                kept += 1
                break
            gone.add(other)
        else:
            break
    return gone | set(waiting) | set(now[kept:])


def _evidence(matches: Sequence[Match]) -> PatientEvidence:
    confirmed, rejected = (
        [(one.lesion_a, one.lesion_b) for one in matches if one.verdict is verdict]
        for verdict in (ReaderDecision.CONFIRMED, ReaderDecision.REJECTED)
    )
    return PatientEvidence(confirmed, rejected)


def _is_near(before: int, now: int) -> bool:
    return before > 0 and abs(now - before) <= REFIT_SHARE * before
