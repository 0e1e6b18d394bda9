"""Nearest location with the Hungarian method: what tracking must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retrieval.tracking.edges import PairTerms, TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.fit import LabelledPatient
from retrieval.tracking.study_order import order_studies

FloatArray = NDArray[np.float64]

LIMITS_MM = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 80.0, 120.0)
"""Limits that are tried."""


@dataclass(frozen=True, slots=True)
class NearestMatches:
    """A track name for each lesion id, and a certainty in [0, 1] for pairs (earlier, later)."""

    track_of: Mapping[str, str]
    scores: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class NearestLocation:
    """Each study's lesions are paired with the study before, least total distance, up to a limit.

    ``limit_mm`` is in nominal mm (``retrieval.tracking.edges.NOMINAL_BODY_MM``).
    """

    limit_mm: float

    def match(self, nodes: Sequence[TrackNode]) -> NearestMatches:
        """The tracks of one patient; lesions without any location stay alone."""
        order = order_studies(node.lesion for node in nodes).study_ids
        terms = PairTerms.of(nodes)
        distance = np.linalg.norm(terms.offset_mm, axis=-1)
        study = np.array([order.index(node.lesion.study_id) for node in nodes])
        own = list(range(len(nodes)))
        for place in range(1, len(order)):
            before, after = np.flatnonzero(study == place - 1), np.flatnonzero(study == place)
            for a, b in self._pairs(distance, before, after):
                own[b] = own[a]
        ids = [node.lesion.lesion_id for node in nodes]
        scores = {
            (ids[a], ids[b]): float(1.0 / (1.0 + distance[a, b] / self.limit_mm))
            for a in range(len(nodes))
            for b in range(len(nodes))
            if study[a] < study[b] and np.isfinite(distance[a, b])
        }
        return NearestMatches({ids[n]: f"T{own[n]}" for n in range(len(nodes))}, scores)

    def _pairs(
        self, distance: FloatArray, before: NDArray[np.intp], after: NDArray[np.intp]
    ) -> list[tuple[int, int]]:
        block = np.nan_to_num(distance[np.ix_(before, after)], nan=np.inf)
        cost = np.minimum(block, self.limit_mm)
        rows, columns = linear_sum_assignment(cost)
        return [
            (int(before[row]), int(after[column]))
            for row, column in zip(rows, columns, strict=True)
            if block[row, column] < self.limit_mm
        ]


def fit_nearest_location(patients: Sequence[LabelledPatient]) -> NearestLocation:
    """The baseline with the limit that gives the best F1 of pairs on these patients.

    Raises TrackingError for no patients.
    """
    if not patients:
        raise TrackingError("the nearest-location baseline needs at least one patient: 0 given")
    return max((NearestLocation(limit) for limit in LIMITS_MM), key=lambda m: _f1(m, patients))


def _f1(method: NearestLocation, patients: Sequence[LabelledPatient]) -> float:
    right = both = 0
    for patient in patients:
        own = method.match(patient.nodes).track_of
        lesions = [node.lesion for node in patient.nodes]
        for a in lesions:
            for b in lesions:
                if a.study_id >= b.study_id:
                    continue
                predicted = own[a.lesion_id] == own[b.lesion_id]
                true = patient.track_of[a.lesion_id] == patient.track_of[b.lesion_id]
                right += 2 * (predicted and true)
                both += predicted + true
    return right / both if both else 0.0
