"""One lesion's forecast: neighbours, population and its own course, mixed and calibrated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.answers import (
    ComponentShare,
    GrowthForecast,
    GrowthHorizon,
    NeighbourCase,
    PopulationOutlook,
)
from retrieval.tracking.growth.blend import Blend, Library
from retrieval.tracking.growth.climatology import groups_of
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.courses import Course
from retrieval.tracking.growth.fit import fit_growth
from retrieval.tracking.growth.kernels import ChangeDistribution, Kernels
from retrieval.tracking.growth.laws import LEAST_POINTS, LawPosterior, laws_of
from retrieval.tracking.growth.mixing import Component
from retrieval.tracking.growth.model import GrowthModel
from retrieval.tracking.growth.neighbours import LEAST_NEIGHBOURS, Neighbours, usual_distance
from retrieval.tracking.growth.outlooks import DoublingTime, SizeOutlook
from retrieval.tracking.growth.steps import GrowthSteps

MOST_DAYS = 3650
"""Ten years: nobody's lesions here were followed longer."""

SHOWN_CASES = 12
FAN_SHARES = (0.25, 0.5, 0.75, 1.0)


class ForecastError(TrackingError):
    """A forecast that nobody can make."""


def checked_days(days: float | None) -> float | None:
    """The days ahead that are asked for; raises ForecastError unless they are 1 to 3650."""
    if days is not None and not (math.isfinite(days) and 1 <= days <= MOST_DAYS):
        raise ForecastError(
            f"a forecast over {days:g} days cannot be made: ask for 1 to {MOST_DAYS} days (ten "
            "years), or leave the days out for the next study"
        )
    return days


@dataclass(frozen=True, slots=True, eq=False)
class GrowthForecaster:
    """The steps of known lesions, and a model fitted on them: answers for any course."""

    library: Library
    model: GrowthModel

    @classmethod
    def of(
        cls, steps: GrowthSteps, generator: Generator, *, base: GrowthModel | None, name: str
    ) -> GrowthForecaster:
        """A forecaster with its model fitted on the steps; arguments as of ``fit_growth``."""
        model = fit_growth(steps, generator, base=base, name=name)
        return cls(Library(steps, usual_distance(steps, generator)), model)

    def over(self, steps: GrowthSteps) -> GrowthForecaster:
        """The same model over other steps, which are nearly those it was fitted on."""
        return replace(self, library=Library(steps, self.library.usual_distance))

    def blend(self, course: Course, days: float | None) -> Blend:
        """The components of a course."""
        return Blend.of(course, days, self.library, self.model.climatology, self.model.priors)

    def population(self, course: Course, days: float | None) -> ChangeDistribution:
        """The calibrated distribution of the log change of all lesions of that size and type."""
        kernels = self.model.climatology.distribution(
            course.points[-1].log_size, groups_of(course), days
        )
        raw = ChangeDistribution.mixture([kernels], [1.0], dimensions=course.measure.dimensions)
        return self.model.climatology_calibration.calibrated(raw)

    def forecast(self, course: Course, *, days: float | None = None) -> GrowthForecast:
        """The forecast of a course after its last study.

        Args:
            course: of the lesion, of the measure of the steps.
            days: how far ahead; the next study if None.

        Raises ForecastError for days that nobody can look ahead.
        """
        horizon = self._horizon(course, checked_days(days))
        posterior = laws_of(course, self.model.priors)
        blend = self.blend(course, horizon.days)
        reason = self._why_not(course, blend, horizon)
        fan = () if reason else self._fan(course, horizon, blend, posterior)
        everybody = SizeOutlook.of(course, self.population(course, horizon.days), horizon.days)
        return GrowthForecast(
            course=course,
            horizon=horizon,
            reason=reason,
            outlook=fan[-1] if fan else None,
            fan=fan,
            population=PopulationOutlook(
                everybody, self.model.fitted_on, self.model.steps, self.model.patients
            ),
            components=tuple(self._components(course, blend, horizon)),
            doubling=None if posterior is None else DoublingTime.of(course, posterior),
            neighbours=blend.neighbours.lesions,
            effective_neighbours=blend.neighbours.effective,
            cases=tuple(self._cases(blend.neighbours)),
        )

    def _horizon(self, course: Course, days: float | None) -> GrowthHorizon:
        if days is not None:
            return GrowthHorizon("days", days)
        usual, own = self.library.steps.median_days, course.days
        if own is not None and len(own) > 1:
            usual = float(np.median(np.diff(own)))
        if usual is None or self.library.steps.median_days is None or own is None:
            return GrowthHorizon("next study", None)
        return GrowthHorizon("next study", float(np.clip(usual, 1, MOST_DAYS)))

    def _why_not(self, course: Course, blend: Blend, horizon: GrowthHorizon) -> str | None:
        if horizon.kind == "days" and course.points[-1].study_date is None:
            return (
                "the lesion's study has no date, so that nothing can be said of a number of days: "
                "leave the days out for the next study"
            )
        if horizon.kind == "days" and self.library.steps.median_days is None:
            return (
                "no indexed lesion has two dated studies, so that nothing can be said of a number "
                "of days: leave the days out for the next study"
            )
        found = blend.neighbours.lesions
        if found >= LEAST_NEIGHBOURS:
            return None
        return (
            f"too few similar lesions of other patients with a later study: {found} known, "
            f"{LEAST_NEIGHBOURS} needed"
        )

    def _fan(
        self,
        course: Course,
        horizon: GrowthHorizon,
        blend: Blend,
        posterior: LawPosterior | None,
    ) -> tuple[SizeOutlook, ...]:
        outlooks = []
        for share in FAN_SHARES:
            if share == 1.0:
                at, days = blend, horizon.days
            elif horizon.days is None:
                continue
            else:
                days = share * horizon.days
                population = self.model.climatology.distribution(
                    course.points[-1].log_size, groups_of(course), days
                )
                laws = None if posterior is None else posterior.change_after(days)
                at = blend.part_way(share, population, laws)
            change = at.distribution(self.model.weights, self.model.calibration)
            outlooks.append(SizeOutlook.of(course, change, days))
        return tuple(outlooks)

    def _components(
        self, course: Course, blend: Blend, horizon: GrowthHorizon
    ) -> Iterator[ComponentShare]:
        shares = blend.shares(self.model.weights)
        for one in Component:
            kernels = blend.parts.get(one)
            if kernels is None:
                yield ComponentShare(one.value, 0.0, None, _absent(one, blend))
                continue
            change = _plain(kernels, blend.dimensions)
            yield ComponentShare(
                one.value, shares[one], SizeOutlook.of(course, change, horizon.days)
            )

    def _cases(self, found: Neighbours) -> Iterator[NeighbourCase]:
        steps = self.library.steps
        for step, weight, similarity in zip(
            found.steps[:SHOWN_CASES], found.weights, found.similarity, strict=False
        ):
            course = steps.courses[steps.course[step]]
            yield NeighbourCase.of(course, int(steps.place[step]), weight, similarity)


def _plain(kernels: Kernels, dimensions: int) -> ChangeDistribution:
    raw = ChangeDistribution.mixture([kernels], [1.0], dimensions=dimensions)
    return Calibration.none().calibrated(raw)


def _absent(component: Component, blend: Blend) -> str:
    if component is Component.NEIGHBOURS:
        return f"similar lesions known: {blend.neighbours.lesions}, needed: {LEAST_NEIGHBOURS}"
    return f"{LEAST_POINTS} dated sizes of the lesion, and dates of others, are needed"
