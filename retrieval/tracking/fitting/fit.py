"""Fits the matcher's weights to patients whose lesion tracks are known. An offline step.

The log-likelihood ratios of location, size and type were measured on real patients and count as
they are; what is fitted is how much the cosine counts, and how likely a match is beforehand. First
a logistic regression over all pairs of lesions of different studies, the ratios given. Then, since
a lesion has at most one partner, the intercept is set again so that the probabilities are
calibrated while all lesions of two studies compete. Last, the abstention band is laid around the
least certain decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from retrieval.tracking.association import match_marginals
from retrieval.tracking.edges import PairTerms, TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.matcher import TERM_NAMES, MatcherModel

FloatArray = NDArray[np.float64]

MOST_SHIFT = 10.0
"""The intercept is looked for this far from the regression's, in log-odds."""

LEAST_CERTAIN_SHARE = 0.1
"""Share of the decisions on either side that the abstention band shall hold."""

BAND_LIMITS = (0.2, 0.8)
"""The band never reaches beyond these, so that a sure matcher stays sure."""

_SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class LabelledPatient:
    """All lesions of a patient, and the true track of each lesion id."""

    nodes: Sequence[TrackNode]
    track_of: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _StudyPair:
    """Terms (m, n, 4) of the lesions of two studies, and which pairs are the same lesion."""

    features: FloatArray
    same: NDArray[np.bool_]


def fit_matcher(
    patients: Sequence[LabelledPatient],
    *,
    terms: Sequence[str] = TERM_NAMES,
    encoder: str | None = None,
    fitted_on: str = "",
) -> MatcherModel:
    """The matcher calibrated on these patients, with what is known of their lesions.

    Args:
        patients: patients with known tracks, of which at least one pair is the same lesion and one
            is not; ``retrieval.tracking.fitting.views`` shows each in several ways.
        terms: the terms to use; others get the weight 0, which makes the baselines.
        encoder: fingerprint of the encoder that made the vectors, kept in the model.
        fitted_on: one line about the patients, kept in the model.

    Raises:
        TrackingError: where the patients hold no pair of one of the two kinds, or a term is
            unknown.
    """
    unknown = sorted(set(terms) - set(TERM_NAMES))
    if unknown:
        raise TrackingError(f"matcher terms {unknown} are unknown: known are {TERM_NAMES}")
    used = np.array([name in terms for name in TERM_NAMES])
    plain = MatcherModel(intercept=0.0, weights=(1.0,) * len(TERM_NAMES))
    pairs = [pair for patient in patients for pair in _study_pairs(patient, plain)]
    model = _calibrated(pairs, _logistic(pairs, used))
    scores = [match_marginals(_log_odds(pair, model)) for pair in pairs]
    return replace(model, abstain=_band(scores), encoder=encoder, fitted_on=fitted_on)


def _study_pairs(patient: LabelledPatient, plain: MatcherModel) -> Iterator[_StudyPair]:
    """All pairs of the patient's studies."""
    if not patient.nodes:
        return
    features = PairTerms.of(patient.nodes).features(plain)
    track = np.array([patient.track_of[node.lesion.lesion_id] for node in patient.nodes])
    study = np.array([node.lesion.study_id for node in patient.nodes])
    for first, second in combinations(sorted(set(study.tolist())), 2):
        rows, columns = np.flatnonzero(study == first), np.flatnonzero(study == second)
        yield _StudyPair(
            features[np.ix_(rows, columns)], track[rows][:, None] == track[columns][None, :]
        )


def _logistic(pairs: Sequence[_StudyPair], used: NDArray[np.bool_]) -> MatcherModel:
    if not pairs:
        raise TrackingError("0 pairs of lesions: both kinds of pairs are needed to fit a matcher")
    features = np.concatenate([pair.features.reshape(-1, len(TERM_NAMES)) for pair in pairs])
    same = np.concatenate([pair.same.ravel() for pair in pairs])
    if same.all() or not same.any():
        raise TrackingError(
            f"{len(same)} pairs of lesions hold {int(same.sum())} of the same lesion: both kinds "
            "of pairs are needed to fit a matcher"
        )
    centre = float((features[same, 0].mean() + features[~same, 0].mean()) / 2)
    cosine = features[:, 0] - centre
    ratios = np.where(used[1:], features[:, 1:], 0.0).sum(axis=1)
    sign = np.where(same, 1.0, -1.0)

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        odds = values[0] + values[1] * cosine + ratios
        pull = -sign * expit(-sign * odds)
        missed = float(np.logaddexp(0.0, -sign * odds).sum())
        return missed, np.array([pull.sum(), float(pull @ cosine)])

    bounds = [(None, None), (0.0, None if used[0] else 0.0)]
    start = np.array([0.0, 1.0 if used[0] else 0.0])
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = np.concatenate([[found[1]], used[1:].astype(np.float64)])
    return MatcherModel(float(found[0]), _tuple(weights), centre)


def _log_odds(pair: _StudyPair, model: MatcherModel) -> FloatArray:
    centre = np.array([model.similarity_centre] + [0.0] * (len(TERM_NAMES) - 1))
    return np.asarray(model.intercept + (pair.features - centre) @ np.array(model.weights))


def _calibrated(pairs: Sequence[_StudyPair], model: MatcherModel) -> MatcherModel:
    """The same weights with the intercept that suits the competition best.

    Studies in which one lesion was marked twice are left out: no pairing could be right there.
    """
    pairs = [
        pair for pair in pairs if max(pair.same.sum(axis=0).max(), pair.same.sum(axis=1).max()) < 2
    ]
    if not pairs:
        return model
    batches = [
        (
            _stacked([_log_odds(pair, model) for pair in batch], fill=-np.inf),
            _stacked([pair.same.astype(np.float64) for pair in batch], fill=0.0) > 0,
        )
        for batch in _of_like_size(pairs)
    ]

    def loss(shift: float) -> float:
        missed = 0.0
        for log_odds, same in batches:
            marginal = match_marginals(log_odds + shift)
            right = np.where(same, marginal, 1.0 - marginal)
            missed -= float(np.log(np.maximum(right, _SMALLEST)).sum())
        return missed

    shift = minimize_scalar(loss, bounds=(-MOST_SHIFT, MOST_SHIFT), method="bounded").x
    return replace(model, intercept=model.intercept + float(shift))


def _of_like_size(pairs: Sequence[_StudyPair]) -> list[list[_StudyPair]]:
    """The pairs in batches of one size, by the larger of their sides rounded up to a power of 2."""
    batches: dict[int, list[_StudyPair]] = {}
    for pair in pairs:
        side = max(pair.same.shape)
        batches.setdefault(1 << (side - 1).bit_length(), []).append(pair)
    return list(batches.values())


def _stacked(matrices: Sequence[FloatArray], *, fill: float) -> FloatArray:
    """(k, m, n) of k matrices, each filled up to the largest: one call instead of k."""
    rows = max(matrix.shape[0] for matrix in matrices)
    columns = max(matrix.shape[1] for matrix in matrices)
    stack = np.full((len(matrices), rows, columns), fill)
    for place, matrix in enumerate(matrices):
        stack[place, : matrix.shape[0], : matrix.shape[1]] = matrix
    return stack


def _band(scores: Sequence[FloatArray]) -> tuple[float, float]:
    """(low, high) about 0.5 that holds the least certain share of matches and of refusals."""
    best = np.concatenate([score.max(axis=1) for score in scores if score.size])
    matched, refused = best[best >= 0.5], best[best < 0.5]
    high = float(np.quantile(matched, LEAST_CERTAIN_SHARE)) if matched.size else 0.5
    low = float(np.quantile(refused, 1.0 - LEAST_CERTAIN_SHARE)) if refused.size else 0.5
    return max(low, BAND_LIMITS[0]), min(high, BAND_LIMITS[1])


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
