"""Lesion matching within an archive whose tracks are known: pure functions of ids and scores.

A pair is two lesions of one patient in different studies; it is predicted where both stand in one
predicted track. All of a patient's lesions are there, so every other lesion is a distractor. A
lesion is new where none of its track stands in an earlier study, and vanished where none stands in
a later one. Intervals resample whole patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import FloatArray, IntArray

ABSTAINED_SHARE = 0.1
"""Share of the least certain matches that a matcher is allowed to withhold."""

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class TrueAppearance:
    """A lesion's place in the truth; ``study`` is the place of its study in the patient's order."""

    lesion_id: str
    study: int
    track: str


@dataclass(frozen=True, slots=True)
class PredictedTracks:
    """What a method says of one patient.

    ``track_of`` names a track for every lesion. ``scores`` holds the certainty of pairs of lesion
    ids, the earlier study's first; a pair that is not there has 0. They are compared with
    frequencies only where a method calls them probabilities.
    """

    track_of: Mapping[str, str]
    scores: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Pairs whose score lies in [low, high): how many, their mean score, the share that is true."""

    low: float
    high: float
    pairs: int
    mean_score: float
    true_share: float


@dataclass(frozen=True, slots=True)
class MatchingScores:
    """The scores of one method, each with its interval by patient.

    ``surest_precision`` and ``surest_recall`` are those after the least certain ABSTAINED_SHARE of
    the predicted pairs were withheld.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    exact_tracks: Estimate
    new_recall: Estimate
    new_precision: Estimate
    vanished_recall: Estimate
    vanished_precision: Estimate
    surest_precision: Estimate
    surest_recall: Estimate
    calibration: tuple[CalibrationBin, ...]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The scores by the names of the table, in its order."""
        return {
            "pair precision": self.precision,
            "pair recall": self.recall,
            "pair F1": self.f1,
            "tracks exactly right": self.exact_tracks,
            "new recall": self.new_recall,
            "new precision": self.new_precision,
            "vanished recall": self.vanished_recall,
            "vanished precision": self.vanished_precision,
            "precision of the surest 90 %": self.surest_precision,
            "recall of the surest 90 %": self.surest_recall,
        }


def score_tracks(
    truth: Mapping[str, Sequence[TrueAppearance]],
    predicted: Mapping[str, PredictedTracks],
    generator: Generator,
    *,
    resamples: int = 1000,
) -> MatchingScores:
    """The scores of predicted tracks against the truth, both by patient id.

    Raises EvaluationError where a patient or a lesion of the truth has no prediction.
    """
    counted = [_count(patient, truth[patient], predicted) for patient in sorted(truth)]
    if not counted:
        raise EvaluationError("no patient has known tracks: nothing can be evaluated")

    def estimate(statistic: Callable[[Sequence[_PatientCounts]], float]) -> Estimate:
        return statistic_estimate(
            lambda rows: statistic([counted[row] for row in rows]),
            np.arange(len(counted)),
            generator,
            resamples=resamples,
        )

    return MatchingScores(
        precision=estimate(lambda some: _ratio(some, "right_pairs", "predicted_pairs")),
        recall=estimate(lambda some: _ratio(some, "right_pairs", "true_pairs")),
        f1=estimate(_f1),
        exact_tracks=estimate(lambda some: _ratio(some, "exact_tracks", "true_tracks")),
        new_recall=estimate(lambda some: _ratio(some, "right_new", "true_new")),
        new_precision=estimate(lambda some: _ratio(some, "right_new", "predicted_new")),
        vanished_recall=estimate(lambda some: _ratio(some, "right_vanished", "true_vanished")),
        vanished_precision=estimate(
            lambda some: _ratio(some, "right_vanished", "predicted_vanished")
        ),
        surest_precision=estimate(lambda some: _surest(some)[0]),
        surest_recall=estimate(lambda some: _surest(some)[1]),
        calibration=_calibration(counted),
    )


@dataclass(frozen=True, slots=True)
class _PatientCounts:
    """One patient's counts; ``pair_scores`` and ``pair_is_true`` cover every pair, predicted first
    in ``predicted_scores`` and ``predicted_is_true``."""

    numbers: Mapping[str, int]
    pair_scores: FloatArray
    pair_is_true: NDArray[np.bool_]
    predicted_scores: FloatArray
    predicted_is_true: NDArray[np.bool_]


def _count(
    patient: str, lesions: Sequence[TrueAppearance], predicted: Mapping[str, PredictedTracks]
) -> _PatientCounts:
    answer = predicted.get(patient)
    missing = [x.lesion_id for x in lesions if answer is None or x.lesion_id not in answer.track_of]
    if answer is None or missing:
        raise EvaluationError(
            f"patient {patient}: {len(missing)} of {len(lesions)} lesions have no predicted track"
        )
    ranked = sorted(lesions, key=lambda lesion: (lesion.study, lesion.lesion_id))
    study = np.array([lesion.study for lesion in ranked])
    true_track = _numbered([lesion.track for lesion in ranked])
    own_track = _numbered([answer.track_of[lesion.lesion_id] for lesion in ranked])
    earlier, later = np.nonzero(study[:, None] < study[None, :])
    is_true = true_track[earlier] == true_track[later]
    is_predicted = own_track[earlier] == own_track[later]
    ids = [lesion.lesion_id for lesion in ranked]
    scores = np.array(
        [answer.scores.get((ids[a], ids[b]), 0.0) for a, b in zip(earlier, later, strict=True)]
    )
    numbers = {
        "true_pairs": int(is_true.sum()),
        "predicted_pairs": int(is_predicted.sum()),
        "right_pairs": int((is_true & is_predicted).sum()),
        **_track_counts(true_track, own_track),
        **_arrivals(study, true_track, own_track),
    }
    return _PatientCounts(numbers, scores, is_true, scores[is_predicted], is_true[is_predicted])


def _numbered(names: Sequence[str]) -> IntArray:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _track_counts(true_track: IntArray, own_track: IntArray) -> dict[str, int]:
    """How many true tracks there are and how many are predicted lesion by lesion."""
    exact = 0
    for track in np.unique(true_track):
        members = true_track == track
        own = own_track[members][0]
        exact += bool(np.array_equal(own_track == own, members))
    return {"true_tracks": len(np.unique(true_track)), "exact_tracks": exact}


def _arrivals(study: IntArray, true_track: IntArray, own_track: IntArray) -> dict[str, int]:
    """New lesions (none of the track earlier) and vanished ones (none later), told and true."""

    def alone(track: IntArray, other_study: NDArray[np.bool_]) -> NDArray[np.bool_]:
        same = track[:, None] == track[None, :]
        return np.asarray(~(same & other_study).any(axis=1))

    earlier = study[None, :] < study[:, None]
    later = study[None, :] > study[:, None]
    after_first, before_last = study > study.min(), study < study.max()
    true_new = alone(true_track, earlier) & after_first
    own_new = alone(own_track, earlier) & after_first
    true_gone = alone(true_track, later) & before_last
    own_gone = alone(own_track, later) & before_last
    return {
        "true_new": int(true_new.sum()),
        "predicted_new": int(own_new.sum()),
        "right_new": int((true_new & own_new).sum()),
        "true_vanished": int(true_gone.sum()),
        "predicted_vanished": int(own_gone.sum()),
        "right_vanished": int((true_gone & own_gone).sum()),
    }


def _total(counts: Sequence[_PatientCounts], name: str) -> int:
    return sum(patient.numbers[name] for patient in counts)


def _ratio(counts: Sequence[_PatientCounts], part: str, whole: str) -> float:
    total = _total(counts, whole)
    return _total(counts, part) / total if total else math.nan


def _f1(counts: Sequence[_PatientCounts]) -> float:
    both = _total(counts, "true_pairs") + _total(counts, "predicted_pairs")
    return 2 * _total(counts, "right_pairs") / both if both else math.nan


def _surest(counts: Sequence[_PatientCounts]) -> tuple[float, float]:
    """(precision, recall) of the predicted pairs without their least certain share.

    Among equally certain pairs the true ones are withheld first, so that a constant score earns
    nothing.
    """
    scores = np.concatenate([patient.predicted_scores for patient in counts])
    is_true = np.concatenate([patient.predicted_is_true for patient in counts])
    kept = len(scores) - math.floor(ABSTAINED_SHARE * len(scores))
    true_pairs = _total(counts, "true_pairs")
    if not kept or not true_pairs:
        return math.nan, math.nan
    surest = np.lexsort((is_true, -scores))[:kept]
    right = int(is_true[surest].sum())
    return right / kept, right / true_pairs


def _calibration(counts: Sequence[_PatientCounts]) -> tuple[CalibrationBin, ...]:
    scores = np.concatenate([patient.pair_scores for patient in counts])
    is_true = np.concatenate([patient.pair_is_true for patient in counts])
    place = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    bins = []
    for number in range(CALIBRATION_BINS):
        inside = place == number
        if inside.any():
            bins.append(
                CalibrationBin(
                    low=number / CALIBRATION_BINS,
                    high=(number + 1) / CALIBRATION_BINS,
                    pairs=int(inside.sum()),
                    mean_score=float(scores[inside].mean()),
                    true_share=float(is_true[inside].mean()),
                )
            )
    return tuple(bins)
