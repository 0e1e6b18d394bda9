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
PLATEAUS = np.array([0.0, 1 / 120, 1 / 240, 1 / 480, 1 / 960, 1 / 1920])
"""The values of k, in 1/day, over which is summed; 0 is exponential growth."""

MOST_COURSES_FOR_PRIORS = 300
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
    """

    plateau: FloatArray
    weights: FloatArray
    mean: FloatArray
    covariance: FloatArray
    last: float
    priors: LawPriors

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
    precision = np.linalg.inv(_noise(since, priors))
    before = np.array([float(sizes[-1]), priors.rate_a_day[0]])
    means, covariances = [], []
    for rate in PLATEAUS:
        design = np.column_stack([np.ones_like(since), _reach(rate, since)])
        covariance = np.linalg.inv(
            design.T @ precision @ design + np.diag(1.0 / _prior_variance(priors))
        )
        off = sizes - design @ before
        means.append(before + covariance @ design.T @ precision @ off)
        covariances.append(covariance)
    total = np.log(_prior_weights(priors)) + log_evidence(since[None], sizes[None], priors)[:, 0]
    whole = float(special.logsumexp(total))
    return LawPosterior(
        PLATEAUS,
        np.exp(total - whole),
        np.array(means),
        np.array(covariances),
        float(sizes[-1]),
        priors,
    )


def log_evidence(since: FloatArray, sizes: FloatArray, priors: LawPriors) -> FloatArray:
    """(h, c) log probability density of the sizes (c, n) of c lesions under each plateau.

    ``since`` (c, n) are days since the last study: 0 or negative.
    """
    reach = _reach(PLATEAUS[:, None, None], since)
    off = sizes - sizes[:, -1:] - priors.rate_a_day[0] * reach
    level, rate = _prior_variance(priors)
    marginal = _noise(since, priors) + level + rate * reach[..., :, None] * reach[..., None, :]
    _, log_det = np.linalg.slogdet(marginal)
    squared = np.einsum("hcn,hcn->hc", off, np.linalg.solve(marginal, off[..., None])[..., 0])
    return np.asarray(-(squared + log_det + since.shape[1] * math.log(2 * math.pi)) / 2)


def _noise(since: FloatArray, priors: LawPriors) -> FloatArray:
    """(..., n, n) scatter about the law: errors of measurement, and what has wandered since."""
    shared = np.minimum(-since[..., :, None], -since[..., None, :])
    errors = priors.measurement_error**2 * np.eye(since.shape[-1])
    return np.asarray(errors + priors.wander_a_day**2 * shared)


def _prior_variance(priors: LawPriors) -> FloatArray:
    """(2,) of the level and of the rate at the last study."""
    return np.array([_LEVEL_DEVIATION**2, priors.rate_a_day[1] ** 2])


def _prior_weights(priors: LawPriors) -> FloatArray:
    rest = len(PLATEAUS) - 1
    share = min(max(priors.exponential, 1e-9), 1 - 1e-9)
    return np.array([share, *[(1 - share) / rest] * rest])


def _reach(plateau: FloatArray | float, days: FloatArray | float) -> FloatArray:
    """(1 - exp(-k t)) / k, t itself where k is 0."""
    time = np.asarray(days, dtype=np.float64)
    slow = np.maximum(plateau, 1e-12)
    # An exponent beyond 6 is a plateau long reached: early sizes would count beyond any measure.
    bent = -np.expm1(np.minimum(-slow * time, 6.0)) / slow
    return np.asarray(np.where(np.equal(plateau, 0.0), time, bent))


def laws_of(course: Course, priors: LawPriors) -> LawPosterior | None:
    """The laws of a course with two dated sizes or more, None for any other."""
    days = course.days
    if days is None or len(days) < 2 or not _is_dated(course):
        return None
    return fit_laws(days, course.log_sizes, priors.scaled(course.measure.dimensions))


def fit_priors(courses: Sequence[Course], believed: LawPriors | None = None) -> LawPriors:
    """Priors of a population by the likelihood of its dated courses (empirical Bayes).

    Courses of one measure with ``LEAST_POINTS`` dated sizes or more count. Fewer than
    ``LEAST_COURSES_FOR_PRIORS`` leave ``believed`` as it is.
    """
    start = believed or LawPriors()
    usable = [one for one in courses if len(one.points) >= LEAST_POINTS and _is_dated(one)]
    if len(usable) < LEAST_COURSES_FOR_PRIORS:
        return start
    usable = usable[:: -(-len(usable) // MOST_COURSES_FOR_PRIORS)]
    dimensions = usable[0].measure.dimensions
    groups = _of_equal_length(usable)

    def candidate(theta: FloatArray) -> LawPriors:
        error, deviation, wander = (float(one) for one in np.exp(theta[:3]))
        rate = (float(theta[3]) * deviation, deviation)
        return LawPriors(error, rate, wander, float(special.expit(theta[4])))

    def loss(theta: FloatArray) -> float:
        priors = candidate(theta).scaled(dimensions)
        weights = np.log(_prior_weights(priors))[:, None]
        told = sum(
            float(special.logsumexp(weights + log_evidence(since, sizes, priors), axis=0).sum())
            for since, sizes in groups
        )
        # Weak pulls keep what the courses do not tell near what is usual.
        pull = ((theta[0] - math.log(start.measurement_error)) / 0.5) ** 2
        pull += ((theta[1] - usual) / 1.5) ** 2 + ((theta[2] - usual) / 1.5) ** 2
        pull += (theta[3] / 2) ** 2 + theta[4] ** 2 / 4
        return float(pull / 2 - told)

    usual = math.log(0.002)
    first = np.array([math.log(start.measurement_error), usual, usual, 0.0, 0.0])
    found = optimize.minimize(loss, first, method="Nelder-Mead", options={"maxfev": 400})
    return candidate(np.asarray(found.x))


def _is_dated(course: Course) -> bool:
    days = course.days
    return days is not None and bool((np.diff(days) > 0).all())


def _of_equal_length(courses: Sequence[Course]) -> list[tuple[FloatArray, FloatArray]]:
    """Days since the last study and log sizes, (c, n) each, of courses with equally many sizes."""
    groups: dict[int, list[tuple[FloatArray, FloatArray]]] = {}
    for one in courses:
        days = one.days
        assert days is not None
        groups.setdefault(len(days), []).append((days - days[-1], one.log_sizes))
    return [
        (np.stack([since for since, _ in some]), np.stack([sizes for _, sizes in some]))
        for some in groups.values()
    ]
