"""How far the marks of one lesion lie apart in two studies: noise measured on real patients.

DeepLesion's locations are normalised by the body's outline and by a regressed height, so the same
lesion moves from study to study: all lesions of a study together (breathing, posture, another field
of view), and each mark for itself. Phantom locations are exact and flatter every method that uses
them; this noise makes them honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        number = {study: place for place, study in enumerate(sorted(set(studies)))}
        shared = generator.standard_t(self.freedom, size=(len(number), 3)) * self.study_mm
        own = generator.standard_t(self.freedom, size=(len(studies), 3)) * self.mark_mm
        rows = [number[study] for study in studies]
        return np.asarray((shared[rows] + own) / np.array(NOMINAL_BODY_MM))


DLS_NOISE = LocationNoise("dls", (2.8, 3.1, 2.1), (1.6, 1.7, 2.0), 2.0)
"""Fitted to 368 pairs of the same lesion in two studies, of 52 patients of the Deep Longitudinal
Study (``benchmarks/dls_matching.py``, calibration half), by the 50, 75, 90 and 95 % points of the
offset and of its spread within a pair of studies."""

LOCATION_NOISES = {noise.name: noise for noise in (DLS_NOISE,)}
"""What a command may ask for."""


def with_location_noise(
    nodes: Sequence[TrackNode],
    noise: LocationNoise,
    generator: Generator,
    *,
    estimates: bool = False,
) -> list[TrackNode]:
    """The nodes of one patient, their given locations as far off as real ones.

    ``estimates`` moves the encoder's estimates by the same shifts, too. Locations stay in [0, 1];
    a lesion without one stays without.
    """
    shifts = noise.shifts([node.lesion.study_id for node in nodes], generator)
    return [
        replace(
            node,
            lesion=node.lesion.with_changes(location=_moved(node.lesion.location, shift)),
            location_estimate=(
                _moved(node.location_estimate, shift) if estimates else node.location_estimate
            ),
        )
        for node, shift in zip(nodes, shifts, strict=True)
    ]


def _moved(location: Location | None, shift: FloatArray) -> Location | None:
    if location is None:
        return None
    x, y, z = (float(value) for value in np.clip(np.array(location) + shift, 0.0, 1.0))
    return (x, y, z)
