from __future__ import annotations

import numpy as np
import pytest

from retrieval.detection.parts.hard_negatives import NoLesion, hard_negatives, no_lesion
from retrieval.detection.proposals import Proposal
from retrieval.lesion import Box

SIDE = 120
CENTER = (60.0, 60.0)


def disc(radius: float, hu: float, background: float = 50.0) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.full((SIDE, SIDE), background, np.float32)
    picture[np.hypot(x - CENTER[0], y - CENTER[1]) <= radius] = hu
    noise = np.random.default_rng(0).normal(0, 10, picture.shape)
    return (picture + noise).astype(np.float32)


def shell(radius: float, hu: float, inside: float) -> np.ndarray:
    picture, within = disc(radius, hu), disc(radius - 2, inside)
    y, x = np.mgrid[:SIDE, :SIDE]
    held = np.hypot(x - CENTER[0], y - CENTER[1]) <= radius - 2
    return np.where(held, within, picture)


BOX = Box.around(CENTER, 34)


@pytest.mark.parametrize(
    ("picture", "what"),
    [
        (disc(6, -800), NoLesion.GAS),
        (shell(12, 700, 200), NoLesion.BONE),
        (disc(15, 250), NoLesion.CONTRAST),
        (disc(12, 20), None),
        (disc(12, 110), None),
        (disc(12, 40, background=-850), None),
        (disc(12, -650, background=-850), None),
        (disc(4, 220, background=-850), None),
        (disc(14, 250, background=-850), None),
    ],
    ids=[
        "bowel",
        "rib",
        "aorta",
        "cyst",
        "enhancing lesion",
        "lung nodule",
        "ground glass",
        "spot in lung",
        "bright in lung",
    ],
)
def test_what_the_hu_show(picture: np.ndarray, what: NoLesion | None) -> None:
    assert no_lesion(picture, BOX) is what


def test_unsure_detections_and_those_near_a_mark_are_none() -> None:
    picture = disc(6, -800)
    sure, unsure = Proposal(BOX, 0.6), Proposal(BOX, 0.1)
    near, far = Box.around((95, 60), 20), Box.around((60, 10), 8)
    options = {"least_score": 0.3, "apart_px": 10.0}
    found = hard_negatives([sure, unsure], picture, [far], **options)
    assert [(one.box, one.score, one.what) for one in found] == [(BOX, 0.6, NoLesion.GAS)]
    assert hard_negatives([sure], picture, [near], **options) == []


def test_a_box_beyond_the_image_shows_nothing() -> None:
    assert no_lesion(disc(6, -800), Box.around((400, 400), 20)) is None
