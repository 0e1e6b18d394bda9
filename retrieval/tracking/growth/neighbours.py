"""What the most similar lesions of other patients did from one study to the next.

Similar is: of the same type (or one of both unknown), at most twice or half the size, and then the
nearest by size, category and embedding. Their changes, smoothed, are a distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionType
from retrieval.tracking.growth.courses import FloatArray
from retrieval.tracking.growth.kernels import Kernels
from retrieval.tracking.growth.steps import GrowthSteps, IntArray

LEAST_NEIGHBOURS = 8
"""Under so many similar lesions with a later study there is no forecast."""

MOST_STEPS = 40
"""Steps that may count for one lesion."""

FARTHEST_LOG_SIZE = math.log(2.0)
SIZE_WIDTH = 0.35
CATEGORY_DISTANCE = 1.0
UNKNOWN_TYPE_DISTANCE = 0.7
DAYS_WIDTH = 0.7
"""How many standard deviations a difference is: in log length 0.35 is one, in log days 0.7, another
category is one, a type that is not known 0.7."""

LEAST_BANDWIDTH = 0.03
KERNEL_FREEDOM = 5.0
"""Student's t about every neighbour: what none of forty did is not impossible."""

_UNKNOWN = LesionType.UNKNOWN.value


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k nearest steps of other patients, nearest first.

    Attributes:
        steps: (k,) their numbers in the collection.
        weights: (k,) adding up to 1; empty where there are none.
        similarity: (k,) cosine of the embeddings, NaN where there are none.
        lesions: how many lesions they are of.
    """

    steps: IntArray
    weights: FloatArray
    similarity: FloatArray
    lesions: int

    @property
    def effective(self) -> float:
        """The effective number: as many steps of equal weight would tell as much (Kish)."""
        return float(1.0 / (self.weights**2).sum()) if len(self.weights) else 0.0

    @property
    def are_enough(self) -> bool:
        """Whether a forecast may rest on them."""
        return self.lesions >= LEAST_NEIGHBOURS


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourQuery:
    """The lesion whose neighbours are sought; ``patient`` is its number, -1 for a stranger."""

    log_size: float
    lesion_type: str
    category: str
    patient: int
    vector: NDArray[np.float32] | None = None
    days: float | None = None


def usual_distance(steps: GrowthSteps, generator: np.random.Generator) -> float:
    """The median of 1 - cosine of two steps of different patients; 1 where there are no vectors."""
    count = len(steps)
    if count < 2 or not steps.vectors.shape[1]:
        return 1.0
    a, b = generator.integers(0, count, (2, 4000))
    apart = steps.patient[a] != steps.patient[b]
    if not apart.any():
        return 1.0
    cosines = np.einsum("nd,nd->n", steps.vectors[a[apart]], steps.vectors[b[apart]])
    return max(float(np.median(1.0 - cosines)), 1e-3)


def find_neighbours(query: NeighbourQuery, steps: GrowthSteps, *, usual: float) -> Neighbours:
    """The steps of other patients that are most like the query.

    ``usual`` is ``usual_distance`` of the steps: half of it is one standard deviation in looks.
    With ``query.days`` only dated steps count, the more the nearer their interval is.
    """
    dimensions = steps.measure.dimensions
    larger = (steps.log_size - query.log_size) / dimensions
    like = (steps.patient != query.patient) & (np.abs(larger) <= FARTHEST_LOG_SIZE)
    if query.lesion_type != _UNKNOWN:
        like &= (steps.types == query.lesion_type) | (steps.types == _UNKNOWN)
    if query.days is not None:
        like &= ~np.isnan(steps.days)
    rows = np.flatnonzero(like)
    distance = (larger[rows] / SIZE_WIDTH) ** 2
    distance += (UNKNOWN_TYPE_DISTANCE * (steps.types[rows] == _UNKNOWN)) ** 2
    if query.category:
        distance += (CATEGORY_DISTANCE * (steps.categories[rows] != query.category)) ** 2
    if query.days is not None:
        distance += (np.log(steps.days[rows] / query.days) / DAYS_WIDTH) ** 2
    similarity = np.full(len(rows), np.nan)
    if query.vector is not None and steps.vectors.shape[1] == len(query.vector):
        unit = query.vector / max(float(np.linalg.norm(query.vector)), 1e-12)
        similarity = (steps.vectors[rows] @ unit).astype(np.float64)
        distance += ((1.0 - similarity) / (usual / 2)) ** 2
    nearest = _smallest(distance, MOST_STEPS)
    if not len(nearest):
        return Neighbours(rows, np.zeros(0), similarity, 0)
    # The nearest sets the scale: weights are relative, and a whole neighbourhood may be far.
    weights = np.exp(-(distance[nearest] - distance[nearest[0]]) / 2)
    rows = rows[nearest]
    return Neighbours(
        rows, weights / weights.sum(), similarity[nearest], len(np.unique(steps.course[rows]))
    )


def _smallest(distance: FloatArray, count: int) -> IntArray:
    """Where the smallest distances are, the nearest first; ties by their place."""
    if len(distance) <= count:
        return np.argsort(distance, kind="stable")
    bound = np.partition(distance, count - 1)[count - 1]
    near = np.flatnonzero(distance <= bound)
    return np.asarray(near[np.argsort(distance[near], kind="stable")][:count])


def neighbour_distribution(found: Neighbours, steps: GrowthSteps) -> Kernels | None:
    """The neighbours' changes, smoothed; None where they are not enough.

    Bandwidth by Silverman's rule (1986, eq. 3.31) with the effective number of steps.
    """
    if not found.are_enough:
        return None
    change = steps.change[found.steps]
    centre = float(found.weights @ change)
    deviation = math.sqrt(float(found.weights @ (change - centre) ** 2))
    order = np.argsort(change)
    below = np.cumsum(found.weights[order])
    low, high = np.interp((0.25, 0.75), below, change[order])
    spread = min(deviation, (high - low) / 1.34) if high > low else deviation
    narrow = LEAST_BANDWIDTH * steps.measure.dimensions
    bandwidth = max(0.9 * spread * found.effective**-0.2, narrow)
    return Kernels(change, np.full(len(change), bandwidth), found.weights, KERNEL_FREEDOM)
