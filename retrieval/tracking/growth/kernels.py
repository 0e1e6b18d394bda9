"""Distributions of a log change: weighted kernels, mixtures of them, and their ranges on a grid.

A Student's t, a few Gaussians or the smoothed changes of neighbours are all weighted kernels, so
that whatever forecasts can be mixed and scored exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from retrieval.tracking.growth.courses import FloatArray

GRID_STEPS = 1001
TABLE_FROM = 4000
GRID_REACH = 2.5
"""Changes of a diameter lie within a factor of e^2.5 = 12; of a volume, within its third power."""


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """m weighted kernels of one form: Student's t with ``freedom``, Gaussian where infinite.

    ``centres``, ``scales`` and ``weights`` are (m,); the weights add up to 1.
    """

    centres: FloatArray
    scales: FloatArray
    weights: FloatArray
    freedom: float = np.inf

    @classmethod
    def single(cls, centre: float, scale: float, freedom: float = np.inf) -> Kernels:
        """One kernel."""
        return cls(np.array([centre]), np.array([scale]), np.ones(1), freedom)

    def cdf(self, change: FloatArray | float) -> FloatArray:
        """The probability of a change of at most ``change``, of its shape."""
        standard = self._standard(change)
        return np.asarray(student_cdf(standard, self.freedom) @ self.weights)

    def density(self, change: FloatArray | float) -> FloatArray:
        """The probability density at ``change``, of its shape."""
        standard = self._standard(change)
        height = student_density(standard, self.freedom)
        return np.asarray((height / self.scales) @ self.weights)

    def _standard(self, change: FloatArray | float) -> FloatArray:
        away = np.asarray(change, dtype=np.float64)[..., None] - self.centres
        return np.asarray(away / self.scales)


def student_cdf(standard: FloatArray, freedom: float) -> FloatArray:
    """The distribution function of Student's t, of the normal one where the freedom is infinite.

    Many values are read off a table, right to 1e-6: scipy needs 200 ns for each.
    """
    if np.isinf(freedom):
        return np.asarray(special.ndtr(standard))
    if standard.size < TABLE_FROM:
        return np.asarray(special.stdtr(freedom, standard))
    return np.asarray(np.interp(np.arctan(standard), *_table(freedom)))


@lru_cache(maxsize=32)
def _table(freedom: float) -> tuple[FloatArray, FloatArray]:
    """The distribution function at angles whose tangents are its arguments."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 4001)[1:-1]
    return angles, np.asarray(special.stdtr(freedom, np.tan(angles)), dtype=np.float64)


def student_density(standard: FloatArray, freedom: float) -> FloatArray:
    """The density of Student's t, of the normal distribution where the freedom is infinite."""
    if np.isinf(freedom):
        return np.asarray(np.exp(-(standard**2) / 2) / np.sqrt(2 * np.pi))
    log_top = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)
    log_height = log_top - np.log(freedom * np.pi) / 2
    return np.asarray(np.exp(log_height - (freedom + 1) / 2 * np.log1p(standard**2 / freedom)))


@dataclass(frozen=True, slots=True, eq=False)
class ChangeDistribution:
    """The distribution of a log change: its distribution function ``cdf`` (g,) on a ``grid`` (g,).

    Linear between the points of the grid.
    """

    grid: FloatArray
    cdf: FloatArray

    @classmethod
    def mixture(
        cls, parts: Sequence[Kernels], weights: Sequence[float], *, dimensions: int = 1
    ) -> ChangeDistribution:
        """The mixture of some distributions; ``dimensions`` is 3 for volumes."""
        grid = np.linspace(-GRID_REACH, GRID_REACH, GRID_STEPS) * dimensions
        total = float(sum(weights))
        below = np.zeros(GRID_STEPS)
        for part, weight in zip(parts, weights, strict=True):
            below += part.cdf(grid) * (weight / total)
        return cls(grid, np.maximum.accumulate(below))

    def quantile(self, probability: float) -> float:
        """The change that is not exceeded with that probability."""
        return float(np.interp(probability, self.cdf, self.grid))

    def central_range(self, level: float) -> tuple[float, float]:
        """The range that holds the change with probability ``level``, as much on either side."""
        tail = (1 - level) / 2
        return self.quantile(tail), self.quantile(1 - tail)

    def probability_above(self, change: float) -> float:
        """The probability of a larger change."""
        return 1.0 - self.probability_below(change)

    def probability_below(self, change: float) -> float:
        """The probability of at most that change."""
        return float(np.interp(change, self.grid, self.cdf, left=0.0, right=1.0))

    def crps(self, change: float) -> float:
        """The continuous ranked probability score of what came, in units of log change; 0 is best.

        The integral of (F(x) - [x >= change])^2 (Gneiting and Raftery, JASA 2007;102:359, eq. 20).
        """
        happened = (self.grid >= change).astype(np.float64)
        return float(np.trapezoid((self.cdf - happened) ** 2, self.grid))
