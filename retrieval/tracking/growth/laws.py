"""Exponential and Gompertz growth of one lesion, with population priors and measurement error.

In the logarithm of the size an exponential course is a straight line, a Gompertz course

    x(t) = a + b (1 - exp(-k t)) / k        (Benzekry et al., PLoS Comput Biol 2014;10:e1003800)

tends to a plateau, and k = 0 is the exponential one. For a given k the course is linear in a and b,
so under normal priors and normal errors everything is exact, and k is summed over a few values.
Time runs from the last study. With two or three points the data do not tell the laws apart: the
priors decide, and the ranges say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import optimize, special

from retrieval.tracking.growth.courses import Course, FloatArray
from retrieval.tracking.growth.kernels import Kernels

LEAST_POINTS = 3
"""Dated sizes from which a lesion's own law may forecast."""

LEAST_COURSES_FOR_PRIORS = 20
_PLATEAU_DAYS = (120.0, 240.0, 480.0, 960.0, 1920.0)
_LEVEL_DEVIATION = 3.0
"""Of the size at the last study beforehand: nothing is known."""


@dataclass(frozen=True, slots=True)
class LawPriors:
    """What is believed of a lesion's growth before its sizes are seen; all in log length.

    Attributes:
        measurement_error: standard deviation of one reader's log diameter: 0.088 between marks
            of one lesion on two series of one study (27 pairs of the Deep Longitudinal Study).
        rate_a_day: mean and standard deviation of the growth rate at the last study. The
            default's deviation is a volume that doubles in 115 days: an assumption.
        wander_a_day: standard deviation of the changes that follow no law, for one day; it grows
            with the square root of time.
        exponential: the probability of exponential growth; the rest is Gompertz.
    """

    measurement_error: float = 0.088
    rate_a_day: tuple[float, float] = (0.0, 0.002)
    wander_a_day: float = 0.0
    exponential: float = 0.5

    def scaled(self, dimensions: int) -> LawPriors:
        """The same of sizes that grow with that power of a length."""
        mean, deviation = self.rate_a_day
        return LawPriors(
            self.measurement_error * dimensions,
            (mean * dimensions, deviation * dimensions),
            self.wander_a_day * dimensions,
            self.exponential,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "measurement_error": self.measurement_error,
            "rate_a_day": list(self.rate_a_day),
            "wander_a_day": self.wander_a_day,
            "exponential": self.exponential,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError."""
        mean, deviation = fields["rate_a_day"]
        return cls(
            float(fields["measurement_error"]),
            (float(mean), float(deviation)),
            float(fields["wander_a_day"]),
            float(fields["exponential"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LawPosterior:
    """A lesion's growth after its sizes, as a mixture over h hypotheses of the plateau's rate k.

    Attributes:
        plateau: (h,) k in 1/day, 0 for exponential growth.
        weights: (h,) their probabilities.
        mean: (h, 2) of the log size and the rate at the last study.
        covariance: (h, 2, 2) of both.
        last: the last measured log size.
        priors: what was believed before, for this measure.
        log_evidence: logarithm of the probability density of the sizes beforehand.
    """

    plateau: FloatArray
    weights: FloatArray
    mean: FloatArray
    covariance: FloatArray
    last: float
    priors: LawPriors
    log_evidence: float

    @property
    def exponential_probability(self) -> float:
        """How likely exponential growth is, Gompertz being the alternative."""
        return float(self.weights[self.plateau == 0].sum())

    def change_after(self, days: float) -> Kernels:
        """The change from the last measured size to the one that will be measured."""
        reach = np.stack([np.ones_like(self.plateau), _reach(self.plateau, days)], axis=1)
        centre = np.einsum("hi,hi->h", reach, self.mean) - self.last
        variance = np.einsum("hi,hij,hj->h", reach, self.covariance, reach)
        variance += self.priors.measurement_error**2 + self.priors.wander_a_day**2 * days
        return Kernels(centre, np.sqrt(variance), self.weights)

    def rate(self) -> Kernels:
        """The rate of the log size at the last study, in 1/day."""
        return Kernels(self.mean[:, 1], np.sqrt(self.covariance[:, 1, 1]), self.weights)


def fit_laws(days: FloatArray, log_sizes: FloatArray, priors: LawPriors) -> LawPosterior:
    """The growth laws of one lesion.

    Args:
        days: (n,) of each study, rising.
        log_sizes: (n,) natural logarithms of the sizes.
        priors: scaled to the measure.
    """
    since = np.asarray(days, dtype=np.float64) - days[-1]
    sizes = np.asarray(log_sizes, dtype=np.float64)
    plateau = np.array([0.0, *(1.0 / one for one in _PLATEAU_DAYS)])
    before = np.array(
        [priors.exponential, *[(1 - priors.exponential) / len(_PLATEAU_DAYS)] * len(_PLATEAU_DAYS)]
    )
    # The scatter about the law: errors of measurement, and what has wandered since each study.
    shared = np.minimum(-since[:, None], -since[None, :])
    noise = priors.measurement_error**2 * np.eye(len(since)) + priors.wander_a_day**2 * shared
    precision = np.linalg.inv(noise)
    prior_mean = np.array([float(sizes[-1]), priors.rate_a_day[0]])
    prior_precision = np.diag([1 / _LEVEL_DEVIATION**2, 1 / priors.rate_a_day[1] ** 2])
    means, covariances, evidence = [], [], []
    for rate in plateau:
        design = np.column_stack([np.ones_like(since), _reach(np.array([rate]), since)])
        covariance = np.linalg.inv(design.T @ precision @ design + prior_precision)
        off = sizes - design @ prior_mean
        means.append(prior_mean + covariance @ design.T @ precision @ off)
        covariances.append(covariance)
        evidence.append(_log_evidence(off, design, noise, prior_precision))
    total = np.log(before) + np.array(evidence)
    log_evidence = float(special.logsumexp(total))
    return LawPosterior(
        plateau,
        np.exp(total - log_evidence),
        np.array(means),
        np.array(covariances),
        float(sizes[-1]),
        priors,
        log_evidence,
    )


def _reach(plateau: FloatArray, days: FloatArray | float) -> FloatArray:
    """(1 - exp(-k t)) / k, t itself where k is 0; before the last study bounded, see below."""
    time = np.asarray(days, dtype=np.float64)
    slow = np.maximum(plateau, 1e-12)
    # Exponents beyond 6 (a plateau long reached) would make early sizes count beyond any measure.
    return np.asarray(np.where(plateau == 0, time, -np.expm1(np.minimum(-slow * time, 6.0)) / slow))


def _log_evidence(
    off: FloatArray, design: FloatArray, noise: FloatArray, prior_precision: FloatArray
) -> float:
    marginal = noise + design @ np.linalg.inv(prior_precision) @ design.T
    _, log_det = np.linalg.slogdet(marginal)
    squared = float(off @ np.linalg.solve(marginal, off))
    return -(squared + float(log_det) + len(off) * math.log(2 * math.pi)) / 2


def laws_of(course: Course, priors: LawPriors) -> LawPosterior | None:
    """The laws of a course with two dated sizes or more, None for any other."""
    days = course.days
    if days is None or len(days) < 2 or bool((np.diff(days) <= 0).any()):
        return None
    return fit_laws(days, course.log_sizes, priors.scaled(course.measure.dimensions))


def fit_priors(courses: Sequence[Course], believed: LawPriors | None = None) -> LawPriors:
    """Priors of a population by the likelihood of its dated courses (empirical Bayes).

    Courses of one measure with ``LEAST_POINTS`` dated sizes or more count. Fewer than
    ``LEAST_COURSES_FOR_PRIORS`` leave ``believed`` as it is.
    """
    start = believed or LawPriors()
    usable = [one for one in courses if one.days is not None and len(one.points) >= LEAST_POINTS]
    usable = [one for one in usable if one.days is not None and (np.diff(one.days) > 0).all()]
    if len(usable) < LEAST_COURSES_FOR_PRIORS:
        return start
    dimensions = usable[0].measure.dimensions
    known = [(one.days, one.log_sizes) for one in usable if one.days is not None]

    def candidate(theta: FloatArray) -> LawPriors:
        error, deviation, wander = np.exp(theta[:3])
        return LawPriors(
            float(error),
            (float(theta[3]) * float(deviation), float(deviation)),
            float(wander),
            float(special.expit(theta[4])),
        )

    def loss(theta: FloatArray) -> float:
        priors = candidate(theta).scaled(dimensions)
        told = sum(fit_laws(days, sizes, priors).log_evidence for days, sizes in known)
        # Weak pulls keep what the courses do not tell near what is usual.
        pull = ((theta[0] - math.log(start.measurement_error)) / 0.5) ** 2
        pull += ((theta[2] - math.log(0.002)) / 1.5) ** 2 + (theta[3] / 2) ** 2 + theta[4] ** 2 / 4
        return float(pull / 2 - told)

    first = np.array(
        [math.log(start.measurement_error), math.log(0.002), math.log(0.002), 0.0, 0.0]
    )
    found = optimize.minimize(loss, first, method="Nelder-Mead", options={"maxfev": 250})
    return candidate(np.asarray(found.x))
