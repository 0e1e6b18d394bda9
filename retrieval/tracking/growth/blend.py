"""What forecasts a lesion: each component's distribution, its neighbours, and their mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.tracking.growth.climatology import Climatology, groups_of
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.courses import Course
from retrieval.tracking.growth.kernels import ChangeDistribution, Kernels
from retrieval.tracking.growth.laws import LEAST_POINTS, LawPriors, laws_of
from retrieval.tracking.growth.mixing import Component
from retrieval.tracking.growth.neighbours import (
    NeighbourQuery,
    Neighbours,
    find_neighbours,
    neighbour_distribution,
)
from retrieval.tracking.growth.steps import GrowthSteps


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """The steps in which neighbours are sought, and the usual distance of their looks."""

    steps: GrowthSteps
    usual_distance: float

    def patient(self, patient_id: str) -> int:
        """The number of a patient in the steps, -1 for a stranger."""
        return self.steps.numbers.get(patient_id, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """The components that a lesion has, and the neighbours behind one of them."""

    parts: Mapping[Component, Kernels]
    neighbours: Neighbours
    dimensions: int

    @classmethod
    def of(
        cls,
        course: Course,
        days: float | None,
        library: Library,
        population: Climatology,
        priors: LawPriors,
    ) -> Blend:
        """The components of a course, over ``days`` or to the next study."""
        last = course.points[-1]
        query = NeighbourQuery(
            log_size=last.log_size,
            lesion_type=course.lesion_type.value,
            category=course.category or "",
            patient=library.patient(course.patient_id),
            vector=course.vectors[-1] if course.vectors else None,
            days=days,
        )
        groups = groups_of(course)
        parts = {Component.CLIMATOLOGY: population.distribution(last.log_size, groups, days)}
        found = find_neighbours(query, library.steps, usual=library.usual_distance)
        smoothed = neighbour_distribution(found, library.steps)
        if smoothed is not None:
            parts[Component.NEIGHBOURS] = smoothed
        if days is not None and len(course.points) >= LEAST_POINTS:
            laws = laws_of(course, priors)
            if laws is not None:
                parts[Component.LAWS] = laws.change_after(days)
        return cls(parts, found, course.measure.dimensions)

    def shares(self, weights: Mapping[Component, float]) -> dict[Component, float]:
        """The weights of the components that are there, adding up to 1."""
        total = sum(weights.get(one, 0.0) for one in self.parts)
        return {one: weights.get(one, 0.0) / total for one in self.parts}

    def distribution(
        self, weights: Mapping[Component, float], calibration: Calibration
    ) -> ChangeDistribution:
        """The calibrated mixture."""
        shares = self.shares(weights)
        raw = ChangeDistribution.mixture(
            [self.parts[one] for one in shares], list(shares.values()), dimensions=self.dimensions
        )
        return calibration.calibrated(raw)

    def part_way(self, share: float, population: Kernels, laws: Kernels | None) -> Blend:
        """The blend at ``share`` of the way; neighbours' changes are taken as straight lines."""
        parts = {Component.CLIMATOLOGY: population}
        if (similar := self.parts.get(Component.NEIGHBOURS)) is not None:
            parts[Component.NEIGHBOURS] = Kernels(
                similar.centres * share, similar.scales, similar.weights
            )
        if laws is not None and Component.LAWS in self.parts:
            parts[Component.LAWS] = laws
        return Blend(parts, self.neighbours, self.dimensions)
