"""Matching scores against counting by hand and by naive loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.tracking.matching import (
    MatchingScores,
    PredictedTracks,
    TrueAppearance,
    score_tracks,
)

TRUTH = {
    "P1": [
        TrueAppearance("a1", 0, "A"),
        TrueAppearance("a2", 1, "A"),
        TrueAppearance("a3", 2, "A"),
        TrueAppearance("b1", 0, "B"),
        TrueAppearance("c2", 1, "C"),
        TrueAppearance("c3", 2, "C"),
    ],
    "P2": [TrueAppearance("d1", 0, "D"), TrueAppearance("d2", 1, "D")],
}


def right_tracks(truth: dict[str, list[TrueAppearance]]) -> dict[str, PredictedTracks]:
    return {
        patient: PredictedTracks(
            {x.lesion_id: f"own {x.track}" for x in lesions},
            {
                (a.lesion_id, b.lesion_id): 1.0
                for a, b in permutations(lesions, 2)
                if a.study < b.study and a.track == b.track
            },
        )
        for patient, lesions in truth.items()
    }


def scored(
    truth: dict[str, list[TrueAppearance]], predicted: dict[str, PredictedTracks]
) -> MatchingScores:
    return score_tracks(truth, predicted, np.random.default_rng(0), resamples=20)


def values(scores: MatchingScores) -> dict[str, float]:
    return {name: estimate.value for name, estimate in scores.estimates.items()}


def test_the_truth_is_perfect() -> None:
    scores = scored(TRUTH, right_tracks(TRUTH))
    recall_of_the_surest = scores.surest_recall.value
    assert {v for n, v in values(scores).items() if n != "recall of the surest 90 %"} == {1.0}
    assert recall_of_the_surest == 1.0, "a tenth of five pairs is none"
    assert [(one.true_share, one.pairs) for one in scores.calibration] == [(0.0, 8), (1.0, 5)]


def test_scores_are_those_counted_by_hand() -> None:
    own = {"a1": "1", "a2": "1", "b1": "2", "c2": "2", "a3": "3", "c3": "4", "d1": "5", "d2": "5"}
    scores = {("a1", "a2"): 0.9, ("b1", "c2"): 0.6, ("d1", "d2"): 0.95}
    predicted = {
        "P1": PredictedTracks({k: v for k, v in own.items() if k[0] != "d"}, scores),
        "P2": PredictedTracks({k: v for k, v in own.items() if k[0] == "d"}, scores),
    }
    found = values(scored(TRUTH, predicted))
    assert found["pair precision"] == pytest.approx(2 / 3)
    assert found["pair recall"] == pytest.approx(2 / 5)
    assert found["pair F1"] == pytest.approx(4 / 8)
    assert found["tracks exactly right"] == pytest.approx(1 / 4), "D alone"
    assert found["new recall"] == 0.0, "c2 is new and was linked to b1"
    assert found["new precision"] == 0.0, "a3 and c3 were called new"
    assert found["vanished recall"] == 0.0, "b1 vanished and was linked"
    assert found["vanished precision"] == 0.0, "a2 and c2 were called vanished"


def test_the_least_certain_tenth_is_withheld() -> None:
    lesions = [TrueAppearance(f"{n}@{s}", s, f"T{n}") for n in range(10) for s in (0, 1)]
    own = {x.lesion_id: x.track for x in lesions}
    own["9@1"], own["8@1"] = "T8", "T9"
    right = {(f"{n}@0", f"{n}@1"): 0.9 for n in range(8)}
    wrong = {("9@0", "8@1"): 0.2, ("8@0", "9@1"): 0.8}
    found = values(scored({"P": lesions}, {"P": PredictedTracks(own, {**right, **wrong})}))
    assert found["pair precision"] == pytest.approx(8 / 10)
    assert found["precision of the surest 90 %"] == pytest.approx(8 / 9)
    flat = {pair: 0.5 for pair in {**right, **wrong}}
    found = values(scored({"P": lesions}, {"P": PredictedTracks(own, flat)}))
    assert found["precision of the surest 90 %"] == pytest.approx(7 / 9), "ties earn nothing"


@st.composite
def patients(draw: st.DrawFn) -> tuple[list[TrueAppearance], dict[str, str]]:
    count = draw(st.integers(2, 9))
    lesions = [
        TrueAppearance(f"L{n}", draw(st.integers(0, 2)), f"T{draw(st.integers(0, 3))}")
        for n in range(count)
    ]
    return lesions, {f"L{n}": f"O{draw(st.integers(0, 3))}" for n in range(count)}


@settings(deadline=None, max_examples=60)
@given(patients())
def test_pairs_and_arrivals_agree_with_naive_loops(
    patient: tuple[list[TrueAppearance], dict[str, str]],
) -> None:
    lesions, own = patient
    found = values(scored({"P": lesions}, {"P": PredictedTracks(own, {})}))
    true_track = {x.lesion_id: x.track for x in lesions}
    study = {x.lesion_id: x.study for x in lesions}

    def pairs(track: dict[str, str]) -> set[tuple[str, str]]:
        return {
            (a, b)
            for a, b in permutations(study, 2)
            if study[a] < study[b] and track[a] == track[b]
        }

    def new(track: dict[str, str]) -> set[str]:
        linked = {b for _, b in pairs(track)}
        return {x for x in study if x not in linked and study[x] > min(study.values())}

    def ratio(part: int, whole: int) -> float:
        return part / whole if whole else float("nan")

    both = pairs(true_track) & pairs(own)
    expected = {
        "pair precision": ratio(len(both), len(pairs(own))),
        "pair recall": ratio(len(both), len(pairs(true_track))),
        "new recall": ratio(len(new(true_track) & new(own)), len(new(true_track))),
        "new precision": ratio(len(new(true_track) & new(own)), len(new(own))),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)


def test_a_missing_prediction_is_named() -> None:
    predicted = right_tracks(TRUTH)
    with pytest.raises(EvaluationError, match="P2"):
        scored(TRUTH, {"P1": predicted["P1"]})
    part = PredictedTracks({"d1": "x"}, {})
    with pytest.raises(EvaluationError, match="1 of 2"):
        scored(TRUTH, {**predicted, "P2": part})
    with pytest.raises(EvaluationError, match="no patient"):
        scored({}, {})
