"""The fitted weights: calibrated where the odds are known, refused where none can be fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.following.fitting import KnownSearch, fit_follow_model
from retrieval.tracking.following.model import (
    EVIDENCE_NAMES,
    FollowModel,
    bundled_follow_model,
)

PLACES = 6
POINTS = np.arange(PLACES)[:, None] * np.array([[40.0, 0.0, 0.0]])
TRUE_WEIGHT, TRUE_INTERCEPT = 5.0, -4.0


def search(number: int, *, useful: bool = True) -> KnownSearch:
    """The lesion is at a place, or at none, with the odds of its similarity."""
    generator = np.random.default_rng(number)
    evidence = np.zeros((1, PLACES, len(EVIDENCE_NAMES)))
    evidence[0, :, 0] = generator.uniform(0, 1, PLACES)
    evidence[0, :, 6] = generator.normal(0, 1, PLACES)
    odds = np.append(np.exp(TRUE_INTERCEPT + TRUE_WEIGHT * evidence[0, :, 0]), 1.0)
    if not useful:
        odds = np.ones(PLACES + 1)
    chosen = int(generator.choice(PLACES + 1, p=odds / odds.sum()))
    truth = None if chosen == PLACES else POINTS[chosen]
    return KnownSearch(f"P{number % 40}", evidence, POINTS, truth, 12.0)


def test_weights_come_back_and_scores_are_calibrated():
    model = fit_follow_model([search(number) for number in range(400)])
    weights = dict(zip(EVIDENCE_NAMES, model.weights, strict=True))
    assert weights["similarity"] == pytest.approx(TRUE_WEIGHT, rel=0.25)
    assert weights["pixels"] < 0.3
    scores, right = [], []
    for number in range(1000, 1600):
        one = search(number)
        chosen, of_places = one.places(model)
        scores += of_places.tolist()
        right += one.right(chosen).tolist()
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6)):
        some = (np.array(scores) >= low) & (np.array(scores) < high)
        assert np.mean(np.array(right)[some]) == pytest.approx(
            np.mean(np.array(scores)[some]), abs=0.06
        )


def test_what_says_nothing_gets_no_weight():
    model = fit_follow_model([search(number, useful=False) for number in range(300)])
    assert max(abs(weight) for weight in model.weights) < 0.6


def test_one_kind_of_search_is_not_enough():
    some = [replace(search(number), truth=None) for number in range(5)]
    with pytest.raises(TrackingError, match="one kind"):
        fit_follow_model(some)


def test_the_file_comes_back_and_a_damaged_one_is_named(tmp_path):
    model = bundled_follow_model()
    assert FollowModel.from_json(model.to_json()) == model
    fields = model.to_json()
    del fields["weights"]["pixels"]
    with pytest.raises(TrackingError, match="pixels"):
        FollowModel.from_json(fields)
    with pytest.raises(TrackingError, match="format 0"):
        FollowModel.from_json({**model.to_json(), "format": 0})
    file = tmp_path / "follow.json"
    file.write_text("no")
    with pytest.raises(TrackingError, match=r"follow\.json"):
        FollowModel.load(file)
    with pytest.raises(TrackingError, match="cannot count against"):
        replace(model, weights=tuple(-1.0 for _ in model.weights))
    with pytest.raises(TrackingError, match="thresholds"):
        replace(model, found=0.1, gone=0.2)


def test_another_encoder_is_said():
    model = replace(bundled_follow_model(), encoder="a")
    assert model.warning_for("a") is None
    assert "encoder b" in str(model.warning_for("b"))
