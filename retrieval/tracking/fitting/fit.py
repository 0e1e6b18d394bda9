"""Fits the matcher's weights to patients whose lesion tracks are known. An offline step.

First a logistic regression over all pairs of lesions of different studies, once for each source of
locations. Then, since a lesion has at most one partner, its slope and intercept are set again so
that the probabilities are calibrated while all lesions of two studies compete. Last, the
abstention band is laid around the least certain decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from retrieval.tracking.association import match_marginals
from retrieval.tracking.edges import PairTerms, TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.matcher import TERM_NAMES, LocationSource, MatcherModel, TermWeights

FloatArray = NDArray[np.float64]

EXPECTED_SIGN = (1.0, -1.0, -1.0, -1.0, 1.0)
"""How each term must speak; one fitted the other way is noise and is left out."""

LEAST_CERTAIN_SHARE = 0.1
"""Share of the decisions on either side that the abstention band shall hold."""

BAND_LIMITS = (0.2, 0.8)
"""The band never reaches beyond these, so that a sure matcher stays sure."""

SLOPE_PULL = 2.0

_SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class LabelledPatient:
    """All lesions of a patient, and the true track of each lesion id."""

    nodes: Sequence[TrackNode]
    track_of: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _StudyPair:
    """Terms (m, n, 5) of the lesions of two studies, and which pairs are the same lesion."""

    features: FloatArray
    same: NDArray[np.bool_]


def fit_matcher(
    patients: Sequence[LabelledPatient],
    *,
    terms: Sequence[str] = TERM_NAMES,
    only: LocationSource | None = None,
    encoder: str | None = None,
    fitted_on: str = "",
) -> MatcherModel:
    """The matcher calibrated on these patients.

    Args:
        patients: patients with known tracks, of which at least one pair is the same lesion and one
            is not.
        terms: the terms to use; others get the weight 0, which makes the baselines.
        only: fit for this source of locations alone and use it for all, which is quicker.
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
    weights: dict[LocationSource, TermWeights] = {}
    scores: list[FloatArray] = []
    for source in LocationSource if only is None else (only,):
        pairs = [pair for patient in patients for pair in _pairs_seen_by(patient, source)]
        fitted = _calibrated(pairs, _logistic(pairs, used))
        weights[source] = fitted
        scores.extend(match_marginals(_log_odds(pair, fitted)) for pair in pairs)
    if only is not None:
        weights = dict.fromkeys(LocationSource, weights[only])
    return MatcherModel(terms=weights, abstain=_band(scores), encoder=encoder, fitted_on=fitted_on)


def _pairs_seen_by(patient: LabelledPatient, source: LocationSource) -> Iterator[_StudyPair]:
    """The patient's pairs of studies with no better locations than the source's.

    Estimated ones come in two kinds, as in use: in both studies, and in one (a query image, say)
    while the other's are given.
    """
    stripped = [_seen_by(node, source) for node in patient.nodes]
    yield from _study_pairs(stripped, patient)
    if source is LocationSource.ESTIMATED and patient.nodes:
        query_study = min(node.lesion.study_id for node in patient.nodes)
        mixed = [
            one if one.lesion.study_id == query_study else node
            for one, node in zip(stripped, patient.nodes, strict=True)
        ]
        yield from _study_pairs(mixed, patient, only_with=query_study)


def _seen_by(node: TrackNode, source: LocationSource) -> TrackNode:
    """The node with no better location than the source's."""
    if source is LocationSource.GIVEN:
        return node
    estimate = node.location_estimate if source is LocationSource.ESTIMATED else None
    return replace(node, lesion=node.lesion.with_changes(location=None), location_estimate=estimate)


def _study_pairs(
    nodes: Sequence[TrackNode], patient: LabelledPatient, *, only_with: str | None = None
) -> Iterator[_StudyPair]:
    """All pairs of studies, or those with one of them."""
    if not nodes:
        return
    features = PairTerms.of(nodes).features()
    track = np.array([patient.track_of[node.lesion.lesion_id] for node in nodes])
    study = np.array([node.lesion.study_id for node in nodes])
    for first, second in combinations(sorted(set(study.tolist())), 2):
        if only_with not in (None, first, second):
            continue
        rows, columns = np.flatnonzero(study == first), np.flatnonzero(study == second)
        yield _StudyPair(
            features[np.ix_(rows, columns)], track[rows][:, None] == track[columns][None, :]
        )


def _logistic(pairs: Sequence[_StudyPair], used: NDArray[np.bool_]) -> TermWeights:
    if not pairs:
        raise TrackingError("0 pairs of lesions: both kinds of pairs are needed to fit a matcher")
    features = np.concatenate([pair.features.reshape(-1, len(TERM_NAMES)) for pair in pairs])
    same = np.concatenate([pair.same.ravel() for pair in pairs])
    if same.all() or not same.any():
        raise TrackingError(
            f"{len(same)} pairs of lesions hold {int(same.sum())} of the same lesion: both kinds "
            "of pairs are needed to fit a matcher"
        )
    used = used & np.isfinite(features[same]).any(axis=0) & np.isfinite(features[~same]).any(axis=0)
    centres = np.zeros(len(TERM_NAMES))
    for term in np.flatnonzero(used):
        centres[term] = (np.nanmean(features[same, term]) + np.nanmean(features[~same, term])) / 2
    centred = np.nan_to_num(features - centres, nan=0.0)
    while True:
        weights = np.zeros(len(TERM_NAMES))
        regression = LogisticRegression(C=1.0, max_iter=1000)
        if not used.any():
            # Nothing is known of these pairs: what is left is how often they are the same.
            share = float(same.mean())
            return TermWeights(float(np.log(share / (1 - share))), _tuple(weights), _tuple(centres))
        regression.fit(centred[:, used], same)
        weights[used] = regression.coef_[0]
        wrong = weights * EXPECTED_SIGN < 0
        if not wrong.any():
            return TermWeights(float(regression.intercept_[0]), _tuple(weights), _tuple(centres))
        used = used & ~wrong


def _log_odds(pair: _StudyPair, fitted: TermWeights) -> FloatArray:
    added = np.array(fitted.weights) * (pair.features - np.array(fitted.centres))
    return np.asarray(fitted.intercept + np.nan_to_num(added, nan=0.0).sum(axis=-1))


def _calibrated(pairs: Sequence[_StudyPair], fitted: TermWeights) -> TermWeights:
    """The same terms with the slope and intercept that suit the competition best.

    Studies in which one lesion was marked twice are left out: no pairing could be right there.
    """
    pairs = [
        pair for pair in pairs if max(pair.same.sum(axis=0).max(), pair.same.sum(axis=1).max()) < 2
    ]
    if not pairs:
        return fitted
    batches = [
        (
            _stacked([_log_odds(pair, fitted) for pair in batch], fill=-np.inf),
            _stacked([pair.same.astype(np.float64) for pair in batch], fill=0.0) > 0,
        )
        for batch in _of_like_size(pairs)
    ]

    def loss(slope_and_shift: FloatArray) -> float:
        slope, shift = max(float(slope_and_shift[0]), _SMALLEST), float(slope_and_shift[1])
        missed = 0.0
        for log_odds, same in batches:
            marginal = match_marginals(slope * log_odds + shift)
            right = np.where(same, marginal, 1.0 - marginal)
            missed -= float(np.log(np.maximum(right, _SMALLEST)).sum())
        # A weak pull to the regression's own scale: separable pairs would send it to infinity.
        return missed + SLOPE_PULL * float(np.log(slope) ** 2 + shift**2)

    slope, shift = minimize(
        loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"xatol": 0.01, "fatol": 0.05}
    ).x
    return TermWeights(
        float(slope * fitted.intercept + shift),
        _tuple(slope * np.array(fitted.weights)),
        fitted.centres,
    )


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
