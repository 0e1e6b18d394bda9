"""Glyphs drawn into slices are seen; slices of patients, couches and noise are not text."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from service.deid.burned_in import shows_text

SIDE = 512


def body(seed: int) -> np.ndarray:
    """A slice like CT: an ellipse of soft tissue, bones, a couch, a cable, noise; in HU."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE), -1000.0)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, (256, 250), (190, 130), 0, 0, 360, 1, -1)
    picture[mask == 1] = 40
    for x, y in rng.integers((150, 180), (360, 320), (6, 2)):
        bone = np.zeros_like(mask)
        cv2.circle(bone, (int(x), int(y)), int(rng.integers(6, 20)), 1, -1)
        picture[bone == 1] = 700
    couch = np.zeros_like(mask)
    cv2.ellipse(couch, (256, 300), (230, 110), 0, 20, 160, 1, 3)
    cv2.line(couch, (40, 470), (470, 474), 1, 2)
    cv2.circle(couch, (60, 200), 4, 1, -1)
    picture[couch == 1] = 100
    return picture + rng.normal(0, 25, picture.shape)


def drawn(
    picture: np.ndarray, text: str, place: tuple[int, int], scale: float, value: float
) -> np.ndarray:
    glyphs = np.zeros(picture.shape, np.uint8)
    cv2.putText(glyphs, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, lineType=cv2.LINE_AA)
    share = glyphs / 255
    return picture * (1 - share) + value * share


@pytest.mark.parametrize("seed", range(8))
def test_a_slice_without_text_is_not_flagged(seed):
    picture = body(seed)
    assert not shows_text(picture)
    assert not shows_text(np.rint(picture + 1024).clip(0).astype(np.uint16))


@pytest.mark.parametrize("text", ["DOE^JANE 19500102", "MRN 4711234", "Hospital X"])
@pytest.mark.parametrize("place", [(6, 24), (300, 24), (6, 504), (300, 504)])
@pytest.mark.parametrize(("scale", "value"), [(0.5, 3071), (0.8, 1000), (0.8, 3071)])
def test_text_near_the_border_is_seen(text, place, scale, value):
    assert shows_text(drawn(body(0), text, place, scale, value))


def test_most_of_many_texts_are_seen():
    rng = np.random.default_rng(0)
    seen = 0
    for number in range(60):
        text = str(rng.choice(["JANE DOE F 65Y", "ID 00471100", "2024-05-17 10:11"]))
        place = (int(rng.choice([4, 240])), int(rng.choice([20, 505])))
        value = float(rng.choice([300, 1000, 3071]))
        seen += shows_text(drawn(body(number), text, place, float(rng.uniform(0.45, 1.0)), value))
    assert seen >= 54


@pytest.mark.parametrize("picture", [np.zeros((64, 64)), np.full((8, 8), 5), np.eye(40)])
def test_slices_of_hardly_any_content_are_no_text(picture):
    assert not shows_text(picture)


def test_noise_alone_is_no_text():
    assert not shows_text(np.random.default_rng(0).normal(0, 500, (SIDE, SIDE)))


def test_real_slices_are_not_flagged(real_data):
    files = sorted((real_data / "deeplesion_sample" / "Images_png").rglob("*.png"))
    pictures = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    flagged = [shows_text(np.clip(picture.astype(int), 31744, 35839)) for picture in pictures]
    assert len(files) > 100
    assert sum(flagged) <= 1
