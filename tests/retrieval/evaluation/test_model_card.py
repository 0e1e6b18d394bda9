"""The card says what the reports say, and an encoder below a floor is called so."""

from __future__ import annotations

import pytest

from retrieval.evaluation.intervals import Estimate
from retrieval.evaluation.model_card import (
    NOT_A_DEVICE,
    CardFacts,
    compare_with_floors,
    model_card,
    write_model_card,
)
from retrieval.evaluation.report import RetrievalReport, Score

FACTS = CardFacts(
    name="small",
    fingerprint="0123456789abcdef",
    purpose="Finds lesions that look alike.",
    training=["1,000 phantom patients", "61 patients of real CT, CC BY 3.0"],
    held_apart="A fifth of the patients, by a hash of their name.",
    limits=["One slice thickness was seen in training."],
)


def report(encoder: float, floor: float, *, higher: bool | None = True, wide: bool = False):
    reach = 0.3 if wide else 0.01

    def estimate(value):
        return Estimate(value, value - reach, value + reach, 21)

    score = Score(
        "same patient",
        "MRR",
        higher,
        {
            "random": estimate(0.1 if higher else 9.0),
            "raw": estimate(floor),
            "E": estimate(encoder),
        },
    )
    return RetrievalReport("sample", "E", "all", 23, 20, 9, (score,), {"seed": 3, "resamples": 10})


@pytest.mark.parametrize(
    ("encoder", "floor", "higher", "above"),
    [
        (0.9, 0.8, True, True),
        (0.7, 0.8, True, False),
        (1.0, 2.0, False, True),
        (3, 2, False, False),
    ],
)
def test_the_best_floor_is_compared_in_the_right_direction(encoder, floor, higher, above):
    (found,) = compare_with_floors(report(encoder, floor, higher=higher))
    assert found.floor == "raw"
    assert found.above == bool(above)
    assert found.intervals_apart


def test_scores_without_direction_encoder_or_floor_are_not_compared():
    assert compare_with_floors(report(0.9, 0.8, higher=None)) == []
    nameless = report(0.9, 0.8)
    alone = RetrievalReport("sample", None, "all", 23, 20, 9, nameless.scores)
    assert compare_with_floors(alone) == []


def test_the_card_states_scores_limits_and_defeats():
    card = model_card(FACTS, [report(0.9, 0.8), report(0.7, 0.8, wide=True)])
    assert NOT_A_DEVICE in card
    assert FACTS.fingerprint in card
    for line in (*FACTS.training, *FACTS.limits, FACTS.held_apart):
        assert line in card
    assert "| 0.900 (0.890 to 0.910) | 0.800 (0.790 to 0.810) (raw) | yes |" in card
    assert "(raw) | no, intervals overlap |" in card
    assert "| random | 0.100 (0.090 to 0.110) |" in card


def test_writing_replaces_the_old_card_whole(tmp_path):
    path = tmp_path / "MODEL_CARD.md"
    path.write_text("old")
    write_model_card(path, FACTS, [report(0.9, 0.8)])
    assert path.read_text() == model_card(FACTS, [report(0.9, 0.8)])
    assert [entry.name for entry in tmp_path.iterdir()] == ["MODEL_CARD.md"]
