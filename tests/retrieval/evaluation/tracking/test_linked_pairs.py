"""Which pairs can be judged where only some links are known, and the scores over them."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.tracking.linked_pairs import LinkedLesion, known_pairs, score_links

# Study 1 and 2 link a with b; c, of study 2's same series, is linked to nothing; d, of a second
# series of study 2, and e, of study 3, are linked to nobody either.
LESIONS = [
    LinkedLesion("a", "1", "1", "t"),
    LinkedLesion("b", "2", "2", "t"),
    LinkedLesion("c", "2", "2", "c"),
    LinkedLesion("d", "2", "2 again", "d"),
    LinkedLesion("e", "3", "3", "e"),
]


def test_only_a_linked_lesion_tells_whom_it_is_not() -> None:
    # a is b, so a is not c. a may well be d (another series), and e may be any of them.
    assert known_pairs(LESIONS) == {("a", "b"): True, ("a", "c"): False}


def test_scores_count_known_pairs_alone() -> None:
    generator = np.random.default_rng(0)
    all_one = score_links({"P": LESIONS}, dict.fromkeys("abcde", "T"), generator, resamples=5)
    assert (all_one.same, all_one.different) == (1, 1)
    assert all_one.precision.value == 0.5
    assert all_one.recall.value == 1.0
    assert all_one.f1.value == pytest.approx(2 / 3)
    # Joining what cannot be judged costs nothing.
    free = {"a": "T", "b": "T", "c": "C", "d": "T", "e": "T"}
    assert score_links({"P": LESIONS}, free, generator, resamples=5).f1.value == 1.0


def test_pooled_and_patients_own_scores_differ() -> None:
    pair = [LinkedLesion("x", "1", "1", "u"), LinkedLesion("y", "2", "2", "u")]
    tracks = {**dict.fromkeys("abcde", "T"), "x": "X", "y": "Y"}
    scores = score_links({"P": LESIONS, "Q": pair}, tracks, np.random.default_rng(0), resamples=20)
    assert scores.f1.value == pytest.approx(2 * 1 / (2 + 2))
    assert scores.patient_f1.value == pytest.approx((2 / 3 + 0) / 2)
    assert scores.recall.low == 0.0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no predicted track: a"):
        score_links({"P": LESIONS}, {}, np.random.default_rng(0))
    alone = [LinkedLesion("a", "1", "1", "a")]
    with pytest.raises(EvaluationError, match="known to be the same"):
        score_links({"P": alone}, {"a": "T"}, np.random.default_rng(0))
