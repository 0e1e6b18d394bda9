"""Fits the weights of following a lesion to searches whose outcome is known. An offline step.

A search is a choice among its places and none of them (conditional logit; McFadden 1974,
"Conditional logit analysis of qualitative choice behavior"). The weights maximise the probability
of what was right, held back by a penalty on their size, since searches are few. Which sightings
stand for a place depends on the weights, so fit and choice take turns. Last, the intercept is set
again while the other lesions of the study compete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.following.evidence import FloatArray
from retrieval.tracking.following.matching import apart_mm, place_scores
from retrieval.tracking.following.model import EVIDENCE_NAMES, FREE_SIGN, FollowModel

NEAR_MM = 10.0
"""A place is right where it lies so near to the lesion's middle, or within half its extent."""

ROUNDS = 4
PENALTY = 0.3
"""Of half the squared weights, each in units of its evidence's spread over all places. Of 0.1,
0.3, 1 and 3 the one with the best log score in folds of the patients that were fitted on."""

MOST_SHIFT = 3.0
_SMALLEST = 1e-6

START = FollowModel(
    -5.0,
    tuple(
        {"similarity": 4.0, "contrast": 4.0, "location": 0.7, "pixels": 3.0}.get(name, 0.0)
        for name in EVIDENCE_NAMES
    ),
)
"""Where the fit starts."""


@dataclass(frozen=True)
class KnownSearch:
    """A search whose outcome is known.

    Attributes:
        patient: folds are drawn over patients.
        evidence: (lesions, sightings, evidence), the sought lesion first.
        points: (sightings, 3) in mm.
        truth: (3,) mm, the lesion's middle; None where it is not in the series.
        extent_mm: the lesion's longer side.
    """

    patient: str
    evidence: FloatArray
    points: FloatArray
    truth: FloatArray | None
    extent_mm: float

    def right(self, numbers: Sequence[int]) -> NDArray[np.bool_]:
        """Which of these sightings are the lesion."""
        if self.truth is None:
            return np.zeros(len(numbers), np.bool_)
        away = np.linalg.norm(self.points[list(numbers)] - self.truth, axis=1)
        return np.asarray(away <= max(NEAR_MM, self.extent_mm / 2))

    def places(self, model: FollowModel) -> tuple[list[int], FloatArray]:
        """The sightings that stand for a place, likeliest first, and their scores."""
        if not len(self.points):
            return [], np.zeros(0)
        return place_scores(self.evidence, self.points, apart_mm(self.extent_mm), model)


def fit_follow_model(
    searches: Sequence[KnownSearch], *, encoder: str | None = None, fitted_on: str = ""
) -> FollowModel:
    """The weights under which what was right is likeliest.

    Args:
        searches: of which some have the lesion and some have not.
        encoder: fingerprint of the encoder whose cosines were weighed.
        fitted_on: one line about the searches.

    Raises:
        TrackingError: where the searches hold one kind only.
    """
    kinds = {search.truth is None for search in searches}
    if kinds != {True, False}:
        raise TrackingError(
            f"{len(searches)} searches of one kind: some with the lesion and some without it are "
            "needed"
        )
    model = START
    for _ in range(ROUNDS):
        model = _weighed(searches, model)
    model = _with_intercept(searches, model)
    return replace(model, encoder=encoder, fitted_on=fitted_on)


def _weighed(searches: Sequence[KnownSearch], model: FollowModel) -> FollowModel:
    tables: list[tuple[FloatArray, NDArray[np.bool_]]] = []
    for search in searches:
        chosen, _ = search.places(model)
        if chosen:
            ones = np.ones((len(chosen), 1))
            tables.append((np.hstack([ones, search.evidence[0, chosen]]), search.right(chosen)))
    spread = np.concatenate([table for table, _ in tables])[:, 1:].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        pull = np.concatenate([[0.0], values[1:] * spread**2 * PENALTY])
        total = 0.5 * PENALTY * float(((values[1:] * spread) ** 2).sum())
        for table, right in tables:
            odds = np.append(table @ values, 0.0)
            is_right = np.append(right, not right.any())
            everything, correct = logsumexp(odds), logsumexp(odds[is_right])
            total += float(everything - correct)
            wrong_share = np.exp(odds - everything)
            right_share = np.where(is_right, np.exp(odds - correct), 0.0)
            pull = pull + (wrong_share - right_share)[:-1] @ table
        return total, pull

    bounds = [(None, None)] + [
        (None if name in FREE_SIGN else 0.0, None) for name in EVIDENCE_NAMES
    ]
    start = np.array([model.intercept, *model.weights])
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return replace(model, intercept=float(found[0]), weights=tuple(float(v) for v in found[1:]))


def _with_intercept(searches: Sequence[KnownSearch], model: FollowModel) -> FollowModel:
    """The intercept under which the final scores are likeliest."""

    def loss(shift: float) -> float:
        shifted = replace(model, intercept=model.intercept + shift)
        missed = 0.0
        for search in searches:
            chosen, scores = search.places(shifted)
            right = search.right(chosen)
            chance = scores[right].sum() if right.any() else 1.0 - scores.sum()
            missed -= float(np.log(max(chance, _SMALLEST)))
        return missed

    shift = minimize_scalar(loss, bounds=(-MOST_SHIFT, MOST_SHIFT), method="bounded").x
    return replace(model, intercept=model.intercept + float(shift))
