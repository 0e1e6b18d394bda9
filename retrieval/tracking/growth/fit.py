"""The model of a collection of steps: everything is scored on patients that it did not see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.blend import Blend, Library
from retrieval.tracking.growth.climatology import (
    Climatology,
    ClimatologyPrior,
    as_prior,
    fit_climatology,
)
from retrieval.tracking.growth.conformal import LEAST_PATIENTS, Calibration
from retrieval.tracking.growth.courses import FloatArray
from retrieval.tracking.growth.laws import LawPriors, fit_priors
from retrieval.tracking.growth.mixing import Component, fit_weights, mixed
from retrieval.tracking.growth.model import GrowthModel
from retrieval.tracking.growth.neighbours import usual_distance
from retrieval.tracking.growth.steps import GrowthSteps, IntArray

MOST_LEFT_OUT_SINGLY = 150
FOLDS_BEYOND = 20
MOST_SCORED_STEPS = 1500
"""Up to 150 patients are left out one by one; of more, twenty groups, and of all only so many steps
as patients drawn at random have."""


def fit_growth(
    steps: GrowthSteps, generator: Generator, *, base: GrowthModel | None = None, name: str = ""
) -> GrowthModel:
    """The model of some steps.

    Args:
        steps: at least two patients' without ``base``.
        generator: draws the patients that are left out together.
        base: a model of another population, which holds where these steps say little: its
            climatology is the prior, its mixture counts as some steps, its calibration is kept
            for fewer than 30 patients.
        name: what the steps are of, for ``fitted_on``.

    Raises TrackingError for too few patients without a base.
    """
    if base is None and steps.patients < 2:
        raise TrackingError(
            f"{len(steps)} growth steps of {steps.patients} patients: two patients with a later "
            "study are needed"
        )
    prior = None if base is None else as_prior(base.climatology)
    believed = LawPriors() if base is None else base.priors
    priors = fit_priors(steps.courses, believed)
    climatology = fit_climatology(steps, prior)
    if base is not None and not len(steps):
        return replace(base, climatology=climatology)
    scored = LeftOut.of(steps, climatology, prior, priors, generator)
    weights = fit_weights(scored.density, None if base is None else base.weights)
    calibration = Calibration.fit(mixed(scored.below, weights), scored.patients)
    alone = Calibration.fit(scored.below[Component.CLIMATOLOGY], scored.patients)
    if base is not None and calibration.patients < LEAST_PATIENTS:
        calibration, alone = base.calibration, base.climatology_calibration
    return GrowthModel(
        climatology, priors, weights, calibration, alone, name, len(steps), steps.patients
    )


class LeftOut:
    """What every component said of s scored steps whose patients it had not seen.

    ``density`` and ``below`` hold (s,) probability densities and distribution functions of what
    came, NaN where the component had no forecast; ``patients`` (s,) whose steps they are.
    """

    def __init__(self, count: int, patients: IntArray) -> None:
        self.density = {one: np.full(count, np.nan) for one in Component}
        self.below = {one: np.full(count, np.nan) for one in Component}
        self.patients = patients

    @classmethod
    def of(
        cls,
        steps: GrowthSteps,
        climatology: Climatology,
        prior: ClimatologyPrior | None,
        priors: LawPriors,
        generator: Generator,
    ) -> LeftOut:
        """Scores the steps of patients drawn at random, every patient's with it left out."""
        groups = list(_groups(steps, generator))
        rows = np.concatenate(groups)
        found = cls(len(rows), steps.patient[rows])
        library = Library(steps, usual_distance(steps, generator))
        at = 0
        for group in groups:
            others = ~np.isin(steps.patient, steps.patient[group])
            population = fit_climatology(steps.chosen(others), prior, start=climatology)
            for step in group:
                days = float(steps.days[step])
                blend = Blend.of(
                    steps.history(int(step)),
                    None if math.isnan(days) else days,
                    library,
                    population,
                    priors,
                )
                for one, kernels in blend.parts.items():
                    found.density[one][at] = float(kernels.density(steps.change[step]))
                    found.below[one][at] = float(kernels.cdf(steps.change[step]))
                at += 1
        return found


def _groups(steps: GrowthSteps, generator: Generator) -> Iterator[IntArray]:
    """Steps of patients left out together, as numbers."""
    names = generator.permutation(np.unique(steps.patient))
    if len(names) <= MOST_LEFT_OUT_SINGLY:
        parts: list[FloatArray | IntArray] = [names[at : at + 1] for at in range(len(names))]
    else:
        counts = np.bincount(steps.patient)[names]
        names = names[np.cumsum(counts) <= max(MOST_SCORED_STEPS, int(counts[0]))]
        parts = [names[part::FOLDS_BEYOND] for part in range(FOLDS_BEYOND)]
    for part in parts:
        rows = np.flatnonzero(np.isin(steps.patient, part))
        if len(rows):
            yield rows
