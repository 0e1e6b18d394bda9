"""Forecasts scored on patients left out, beside baselines that know less.

In each fold everything is fitted on the other patients: the population, the neighbours, the
weights, the calibration. No step is scored by anything that saw its patient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.growth.report import GrowthReport, GrowthSection
from retrieval.evaluation.growth.scores import (
    Resampling,
    StepScores,
    auc_estimate,
    estimates,
    gain,
    score_distribution,
    score_point,
    verdict_on_coverage,
)
from retrieval.evaluation.stats.metrics import FloatArray
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.courses import Course
from retrieval.tracking.growth.forecasting import GrowthForecaster
from retrieval.tracking.growth.kernels import ChangeDistribution, Kernels
from retrieval.tracking.growth.mixing import Component
from retrieval.tracking.growth.model import GrowthModel
from retrieval.tracking.growth.outlooks import GROWTH_RATIO
from retrieval.tracking.growth.steps import GrowthSteps

NO_CHANGE = "no change"
TREND = "continued trend"
ALL_ALIKE = "climatology, all alike"
CLIMATOLOGY = "climatology by size and type"
NEIGHBOURS = "neighbours alone"
UNCALIBRATED = "forecast, not calibrated"
FORECAST = "forecast"
METHODS = (NO_CHANGE, TREND, ALL_ALIKE, CLIMATOLOGY, NEIGHBOURS, UNCALIBRATED, FORECAST)

SIZES_MM = ((0.0, 12.0), (12.0, 22.0), (22.0, 45.0), (45.0, math.inf))
INTERVALS_DAYS = ((0.0, 90.0), (90.0, 180.0), (180.0, math.inf))
LEAST_STEPS = 20
"""Sections of fewer steps are not shown: their scores would be noise."""


@dataclass(frozen=True, slots=True)
class GrowthOptions:
    """How growth is evaluated.

    Attributes:
        folds: parts of the patients; at least 2.
        seed: of the folds and of the resamples.
        resamples: of patients, for the intervals.
        base: a model of other patients that is the prior in every fold, as for an index; none if
            None, where the base was fitted on these very patients.
    """

    folds: int = 10
    seed: int = 0
    resamples: int = 1000
    base: GrowthModel | None = None


def evaluate_growth(
    courses: Sequence[Course],
    options: GrowthOptions | None = None,
    *,
    source: str,
    left_out: Mapping[str, int] | None = None,
) -> GrowthReport:
    """Scores every step of the courses in folds of patients.

    Raises TrackingError for fewer patients than folds, or folds without enough to learn from.
    """
    chosen = options or GrowthOptions()
    steps = GrowthSteps.of(courses)
    if not 2 <= chosen.folds <= steps.patients:
        raise TrackingError(
            f"{steps.patients} patients with a later study in {chosen.folds} folds: at least 2 "
            "folds and as many patients are needed"
        )
    scores = score_in_folds(steps, chosen)
    how = Resampling(np.random.default_rng(chosen.seed), chosen.resamples)
    # Everybody is compared on the steps that the forecast answers; the rest are abstentions.
    answered = ~np.isnan(scores[FORECAST].column("crps"))
    sections = {}
    for title, rows in _sections(steps).items():
        shown = rows & answered
        if title == ALL or shown.sum() >= LEAST_STEPS:
            sections[title] = _section(steps, scores, shown, how)
    whole = sections[ALL].methods[FORECAST]
    return GrowthReport(
        source=source,
        patients=steps.patients,
        lesions=len(np.unique(steps.course)),
        steps=len(steps),
        abstained=int((~answered).sum()),
        dated=int((~np.isnan(steps.days)).sum()),
        sections=sections,
        verdict=tuple(verdict_on_coverage(whole)) if whole else (),
        left_out=dict(left_out or {}),
        settings={
            "folds": chosen.folds,
            "seed": chosen.seed,
            "resamples": chosen.resamples,
            "base": None if chosen.base is None else chosen.base.fitted_on,
            "embeddings": bool(steps.vectors.shape[1]),
        },
    )


ALL = "all steps"


def score_in_folds(steps: GrowthSteps, options: GrowthOptions) -> dict[str, StepScores]:
    """The scores of every step by every method, each by what was fitted on other patients."""
    generator = np.random.default_rng(options.seed)
    scores = {method: StepScores.empty(len(steps)) for method in METHODS}
    for fold in _folds(steps, options.folds, generator):
        inside = np.isin(steps.patient, fold)
        known = steps.chosen(~inside)
        forecaster = GrowthForecaster.of(
            known, np.random.default_rng(options.seed), base=options.base, name="other folds"
        )
        everybody = Kernels(
            known.change,
            np.full(len(known), _bandwidth(known)),
            np.full(len(known), 1 / len(known)),
        )
        for step in np.flatnonzero(inside):
            _score_step(scores, steps, int(step), forecaster, everybody)
    return scores


def _score_step(
    scores: Mapping[str, StepScores],
    steps: GrowthSteps,
    step: int,
    forecaster: GrowthForecaster,
    everybody: Kernels,
) -> None:
    course, change = steps.history(step), float(steps.change[step])
    power = course.measure.dimensions
    lasted = float(steps.days[step])
    days = None if math.isnan(lasted) else lasted
    sizes = course.log_sizes
    trend = float(sizes[-1] - sizes[-2]) if len(sizes) > 1 else math.nan
    scores[NO_CHANGE].put(step, score_point(0.0, change, dimensions=power))
    if not math.isnan(trend):
        scores[TREND].put(step, score_point(trend, change, dimensions=power))
    model = forecaster.model
    blend = forecaster.blend(course, days)
    forecasts = {
        ALL_ALIKE: ChangeDistribution.mixture([everybody], [1.0], dimensions=power),
        CLIMATOLOGY: forecaster.population(course, days),
    }
    if blend.neighbours.are_enough:
        similar = [blend.parts[Component.NEIGHBOURS]]
        forecasts[NEIGHBOURS] = ChangeDistribution.mixture(similar, [1.0], dimensions=power)
        forecasts[UNCALIBRATED] = blend.distribution(model.weights, Calibration.none())
        forecasts[FORECAST] = blend.distribution(model.weights, model.calibration)
    for method, forecast in forecasts.items():
        scores[method].put(step, score_distribution(forecast, change, dimensions=power))


def _section(
    steps: GrowthSteps, scores: Mapping[str, StepScores], rows: FloatArray, how: Resampling
) -> GrowthSection:
    patients = steps.patient[rows]
    grew = (steps.change[rows] >= math.log(GROWTH_RATIO) * steps.measure.dimensions).astype(float)
    inside = {method: StepScores(one.table[rows]) for method, one in scores.items()}
    methods = {method: estimates(one, grew, patients, how) for method, one in inside.items()}
    crps = {method: one.column("crps") for method, one in inside.items()}
    return GrowthSection(
        steps=int(rows.sum()),
        patients=len(np.unique(patients)),
        growth=float(grew.mean()) if len(grew) else math.nan,
        methods=methods,
        gains={
            f"CRPS gained on {method}": gain(crps[FORECAST], crps[method], patients, how)
            for method in (NO_CHANGE, TREND, ALL_ALIKE, CLIMATOLOGY)
        },
        size_auc=auc_estimate(-steps.log_size[rows], grew, patients, how),
    )


def _sections(steps: GrowthSteps) -> dict[str, FloatArray]:
    """Which steps each section holds, as masks (n,)."""
    power = steps.measure.dimensions
    size = np.exp(steps.log_size / power)
    sections = {ALL: np.ones(len(steps), dtype=bool)}
    for low, high in SIZES_MM:
        sections[_between("size", low, high, "mm")] = (size >= low) & (size < high)
    for low, high in INTERVALS_DAYS:
        sections[_between("interval", low, high, "days")] = (steps.days >= low) & (
            steps.days < high
        )
    sections["a lesion's first step"] = steps.place == 0
    sections["its later steps"] = steps.place > 0
    return sections


def _between(what: str, low: float, high: float, unit: str) -> str:
    if math.isinf(high):
        return f"{what} from {low:g} {unit}"
    return f"{what} {low:g} to {high:g} {unit}"


def _folds(steps: GrowthSteps, folds: int, generator: Generator) -> list[FloatArray]:
    shuffled = generator.permutation(np.unique(steps.patient))
    return [shuffled[part::folds] for part in range(folds)]


def _bandwidth(steps: GrowthSteps) -> float:
    return float(max(0.9 * steps.change.std() * len(steps) ** -0.2, 0.01))
