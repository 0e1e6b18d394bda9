"""How far marks of one lesion lie apart in two studies, and estimates from the truth: real noise.

DeepLesion's locations are normalised by the body's outline and by a regressed height, so the same
lesion moves from study to study: all lesions of a study together (breathing, posture, another field
of view), and each mark for itself. Phantom locations are exact and flatter every method that uses
them; this noise makes them honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.tracking.edges import NOMINAL_BODY_MM, TrackNode

Location = tuple[float, float, float]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocationNoise:
    """Scatter of one mark's location about where the lesion is, along x, y, z.

    Attributes:
        name: by which a command asks for it.
        study_mm: scale of the shift that all marks of a study share, nominal mm.
        mark_mm: scale of what each mark adds.
        freedom: degrees of freedom of Student's t, from which both are drawn; few mean that some
            marks lie far off.
    """

    name: str
    study_mm: Location
    mark_mm: Location
    freedom: float

    def shifts(self, studies: Sequence[str], generator: Generator) -> FloatArray:
        """(n, 3) shifts of n marks in units of ``Lesion.location``; one study, one shared part."""
        shift_mm = _shifts(studies, (self.study_mm, self.mark_mm), self.freedom, generator)
        return np.asarray(shift_mm / np.array(NOMINAL_BODY_MM))


DLS_NOISE = LocationNoise("dls", (2.8, 3.1, 2.1), (1.6, 1.7, 2.0), 2.0)
"""Fitted to 368 pairs of the same lesion in two studies, of 52 patients of the Deep Longitudinal
Study (``benchmarks/dls_matching.py``, calibration half), by the 50, 75, 90 and 95 % points of the
offset and of its spread within a pair of studies."""

LOCATION_NOISES = {noise.name: noise for noise in (DLS_NOISE,)}
"""What a command may ask for."""


@dataclass(frozen=True, slots=True)
class EstimateNoise:
    """How far locations that were estimated from an image lie from the truth, along x, y, z.

    Attributes:
        error: standard errors, in units of ``Lesion.location``; every estimate carries them.
        shared: share of their variance that all marks of a study have in common.
        freedom: degrees of freedom of Student's t.
    """

    error: Location
    shared: float = 0.5
    freedom: float = 3.0

    def shifts(self, studies: Sequence[str], generator: Generator) -> FloatArray:
        """(n, 3) errors of the estimates of n marks in units of ``Lesion.location``."""
        error = np.array(self.error)
        parts = (error * np.sqrt(self.shared), error * np.sqrt(1.0 - self.shared))
        return _shifts(studies, parts, self.freedom, generator)


POSITION_NOISE = EstimateNoise((0.001, 0.023, 0.044))
"""Standard errors of ``retrieval.position`` on real images left out of its training: x and y are
normalised by the body's outline, as given ones are, z is what a network reads off the slice."""


def _shifts(
    studies: Sequence[str],
    scales: tuple[Any, Any],
    freedom: float,
    generator: Generator,
) -> FloatArray:
    """(n, 3) draws with a part of the first scale shared within a study and one of each mark."""
    number = {study: place for place, study in enumerate(sorted(set(studies)))}
    shared = generator.standard_t(freedom, size=(len(number), 3)) * np.array(scales[0])
    own = generator.standard_t(freedom, size=(len(studies), 3)) * np.array(scales[1])
    return np.asarray(shared[[number[study] for study in studies]] + own)


def with_location_noise(
    nodes: Sequence[TrackNode], noise: LocationNoise, generator: Generator
) -> list[TrackNode]:
    """The nodes of one patient, their given locations as far off as real ones.

    Locations stay in [0, 1]; a lesion without one stays without.
    """
    shifts = noise.shifts([node.lesion.study_id for node in nodes], generator)
    return [_moved(node, shift, None) for node, shift in zip(nodes, shifts, strict=True)]


def with_estimated_locations(
    nodes: Sequence[TrackNode], noise: EstimateNoise, generator: Generator
) -> list[TrackNode]:
    """The nodes of one patient with estimates of their locations in the place of given ones."""
    shifts = noise.shifts([node.lesion.study_id for node in nodes], generator)
    return [_moved(node, shift, noise.error) for node, shift in zip(nodes, shifts, strict=True)]


def _moved(node: TrackNode, shift: FloatArray, error: Location | None) -> TrackNode:
    if node.lesion.location is None:
        return node
    x, y, z = (float(value) for value in np.clip(np.array(node.lesion.location) + shift, 0.0, 1.0))
    return replace(node, lesion=node.lesion.with_changes(location=(x, y, z), location_error=error))
