"""Lesion matching where only some links are known: which pairs can be judged at all.

The Deep Longitudinal Study links lesions of two studies; it does not say that two lesions it never
linked differ, and many of them lie at one place. Counting those as different punishes who finds
them. A pair is known to differ only if one of its lesions is linked to another mark of the other's
series, since nobody marks one lesion twice in a series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate


@dataclass(frozen=True, slots=True)
class LinkedLesion:
    """A mark and the track that its links make; unlinked marks have a track of their own."""

    lesion_id: str
    study_id: str
    series_id: str
    track: str


@dataclass(frozen=True, slots=True)
class LinkScores:
    """Scores over known pairs, with intervals that resample patients.

    ``patient_f1`` is the mean of the patients' own: in the pooled scores one patient with fifty
    marks weighs as much as a hundred with two.
    """

    same: int
    different: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    patient_f1: Estimate


def known_pairs(lesions: Sequence[LinkedLesion]) -> dict[tuple[str, str], bool]:
    """Pairs of lesion ids of different studies that are known to be the same, or to differ."""
    seen = {(lesion.track, lesion.series_id) for lesion in lesions}
    known: dict[tuple[str, str], bool] = {}
    for place, a in enumerate(lesions):
        for b in lesions[place + 1 :]:
            if a.study_id == b.study_id:
                continue
            same = a.track == b.track
            if same or (a.track, b.series_id) in seen or (b.track, a.series_id) in seen:
                known[a.lesion_id, b.lesion_id] = same
    return known


def score_links(
    truth: Mapping[str, Sequence[LinkedLesion]],
    track_of: Mapping[str, str],
    generator: Generator,
    *,
    resamples: int = 1000,
) -> LinkScores:
    """The predicted track of every lesion id against the truth by patient.

    Raises EvaluationError where a lesion has no prediction or no pair is known to be the same.
    """
    missing = [x.lesion_id for some in truth.values() for x in some if x.lesion_id not in track_of]
    if missing:
        raise EvaluationError(f"{len(missing)} lesions have no predicted track: {missing[0]} first")
    rows = []
    for patient in sorted(truth):
        pairs = known_pairs(truth[patient])
        together = [track_of[a] == track_of[b] for a, b in pairs]
        right = sum(said and same for said, same in zip(together, pairs.values(), strict=True))
        rows.append((right, sum(together), sum(pairs.values()), len(pairs)))
    counts = np.array(rows, dtype=np.float64).reshape(-1, 4)
    if not counts[:, 2].any():
        raise EvaluationError("no pair of lesions is known to be the same: nothing can be scored")

    def estimate(part: int, whole: tuple[int, ...], factor: float = 1.0) -> Estimate:
        return statistic_estimate(
            lambda chosen: _ratio(factor * counts[chosen, part], counts[chosen][:, whole]),
            np.arange(len(counts)),
            generator,
            resamples=resamples,
        )

    linked = counts[counts[:, 2] > 0]
    own = 2 * linked[:, 0] / (linked[:, 1] + linked[:, 2])
    return LinkScores(
        same=int(counts[:, 2].sum()),
        different=int((counts[:, 3] - counts[:, 2]).sum()),
        precision=estimate(0, (1,)),
        recall=estimate(0, (2,)),
        f1=estimate(0, (1, 2), 2.0),
        patient_f1=statistic_estimate(
            lambda chosen: float(own[chosen].mean()),
            np.arange(len(own)),
            generator,
            resamples=resamples,
        ),
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else float("nan")
