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
        self._forecaster: GrowthForecaster | None = None

    def forecast(self, lesion_id: str, wanted: ForecastRequest | None = None) -> LesionForecast:
        """The forecast of one lesion after its study, as if later studies were not known.

        Raises:
            UnknownLesionError: the index does not hold the lesion.
            ForecastError: days that nobody can look ahead.
        """
        request = wanted or ForecastRequest()
        lesion = self._index.get(lesion_id).lesion
        if request.measure is SizeMeasure.VOLUME:
            reason = "no volume of this lesion was measured; ask for long_mm"
            return LesionForecast(lesion, request.measure, None, reason, self._warnings())
        forecaster = self.forecaster()
        own = self._courses_of(lesion)
        course = _course_with(own, lesion_id)
        if course is None:
            reason = own.without.get(lesion_id, "its sizes cannot be used")
            return LesionForecast(lesion, request.measure, None, reason, self._warnings())
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
        own = self._tracked(case.nodes, case.known)
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
        steps = GrowthSteps.of(
            [
                one
                for known in self._courses.values()
                for one in known.courses
                if len(one.points) > 1
            ]
        )
        self._forecaster = self._fitted(steps)
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
                continue
            self._courses[patient] = self._tracked(nodes, _evidence(decisions.get(patient, [])))

    def _tracked(self, nodes: Sequence[TrackNode], known: PatientEvidence) -> PatientCourses:
        tracks = track_patient(nodes, model=self._matcher, known=known)
        vectors = {node.lesion.lesion_id: node.vector for node in nodes}
        return patient_courses(tracks, MeasuredMarks(vectors), today=date.today())

    def _courses_of(self, lesion: Lesion) -> PatientCourses:
        known = self._courses.get(lesion.patient_id)
        if known is not None:
            return known
        case = PatientCase.of(self._index, lesion.patient_id)
        return self._tracked(case.nodes, case.known)

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
