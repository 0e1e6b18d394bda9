"""Reading series, augmentation, and a run that is interrupted and goes on to the same bytes."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.position.learning.anchors import Anchor
from retrieval.position.learning.augment import HeightAugmentConfig, augment_series
from retrieval.position.learning.recipe import load_height_recipe
from retrieval.position.learning.series import PositionDataError, read_series
from retrieval.position.learning.train import train_position
from retrieval.position.network_file import PositionModelError, load_height_network
from retrieval.position.picture import PictureSpec
from retrieval.training.config import RecipeError
from tests.retrieval.position.conftest import INTERVAL, SERIES, SLICES

ANCHORS = {f"made/patient_{number}": Anchor(0.9, -100.0) for number in range(SERIES + 1)}
SMALL = {
    "pretrained": "false",
    "data.left_out": '["made/patient_0"]',
    "data.series": "2",
    "data.slices": "3",
    "picture.size_px": "48",
    "picture.mm_px": "8.0",
    "optimiser.steps": "3",
}


def test_series_are_read_whole_with_their_heights(series_folder):
    lines = {**ANCHORS, "made/patient_2": Anchor(-1.0, 40.0)}
    del lines["made/patient_5"]
    found = read_series(series_folder, PictureSpec(), anchors=lines)
    assert [one.name for one in found] == [f"made/patient_{n}" for n in (0, 1, 2, 3, 4, 6)]
    rising = np.arange(SLICES) * INTERVAL
    np.testing.assert_allclose(found[1].heights_mm, 0.9 * rising - 100)
    np.testing.assert_allclose(found[2].heights_mm, 40 - rising)
    assert found[2].span_mm == (SLICES - 1) * INTERVAL
    assert found[0].pictures.shape == (SLICES, 112, 112)
    assert np.all(np.diff(found[0].half_sizes_mm[:, 0]) <= 0)


def test_a_slice_without_body_is_refused(series_folder, tmp_path):
    import shutil

    import cv2

    folder = shutil.copytree(series_folder, tmp_path / "series")
    air = np.full((200, 240), 32768 - 1000, np.uint16)
    cv2.imwrite(str(folder / "made/patient_1/004.png"), air)
    with pytest.raises(PositionDataError, match="no body"):
        read_series(folder, PictureSpec(), anchors=ANCHORS)


def test_augmentation_is_seeded_stays_in_range_and_off_changes_nothing(series_folder):
    one = read_series(
        series_folder, PictureSpec(), anchors=ANCHORS, wanted=lambda name: name.endswith("1")
    )[0]
    off = HeightAugmentConfig(0, 0, 0, 0, 0, 0, (1, 2), 0, 0, 0, 0)
    same = augment_series(one.pictures, one.half_sizes_mm, 3.9, off, np.random.default_rng(0))
    np.testing.assert_allclose(same, one.pictures, atol=1e-5)
    config = HeightAugmentConfig(narrow_field=1.0)
    first, second, other = (
        augment_series(one.pictures, one.half_sizes_mm, 3.9, config, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0.1
    assert first.min() >= 0
    assert first.max() <= 1


def test_an_interrupted_run_ends_in_the_same_bytes(series_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.position.learning.train.CHECKPOINT_EVERY", 2)
    recipe = load_height_recipe("small", SMALL)
    whole = train_position([series_folder], recipe, tmp_path / "whole", anchors=ANCHORS)
    assert (whole.series, whole.slices) == (SERIES - 1, (SERIES - 1) * SLICES)

    def stop(done: int, total: int, loss: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_position([series_folder], recipe, tmp_path / "broken", anchors=ANCHORS, report=stop)
    done: list[int] = []
    again = train_position(
        [series_folder],
        recipe,
        tmp_path / "broken",
        anchors=ANCHORS,
        report=lambda step, *_: done.append(step),
    )
    assert done == [3]
    assert again.fingerprint == whole.fingerprint
    assert again.path.read_bytes() == whole.path.read_bytes()
    network, spec, header = load_height_network(whole.path)
    assert spec == PictureSpec(48, 8.0)
    assert header["name"] == "small"
    assert not network.training


def test_a_changed_file_and_a_misspelt_key_are_refused(series_folder, tmp_path):
    recipe = load_height_recipe("small", SMALL)
    path = train_position([series_folder], recipe, tmp_path / "run", anchors=ANCHORS).path
    harmed = bytearray(path.read_bytes())
    harmed[-1] ^= 1
    path.write_bytes(bytes(harmed))
    with pytest.raises(PositionModelError, match="fingerprint"):
        load_height_network(path)
    with pytest.raises(RecipeError, match="left_ou"):
        load_height_recipe("small", {"data.left_ou": "1"})


def test_too_few_series_are_told(series_folder, tmp_path):
    recipe = load_height_recipe("small", {**SMALL, "data.series": "7"})
    with pytest.raises(PositionDataError, match="6 anchored series"):
        train_position([series_folder], recipe, tmp_path / "run", anchors=ANCHORS)


def test_a_run_goes_on_from_a_file_that_fits(series_folder, tmp_path):
    first = load_height_recipe("small", SMALL)
    path = train_position([series_folder], first, tmp_path / "one", anchors=ANCHORS).path
    still = load_height_recipe(
        "small", {**SMALL, "start": str(path), "optimiser.head_rate": "0.0",
                  "optimiser.backbone_rate": "0.0"}
    )  # fmt: skip
    again = train_position([series_folder], still, tmp_path / "two", anchors=ANCHORS)
    assert again.fingerprint == load_height_network(path)[2]["fingerprint"]
    other = load_height_recipe("small", {**SMALL, "start": str(path), "picture.mm_px": "7.0"})
    with pytest.raises(RecipeError, match="needs"):
        train_position([series_folder], other, tmp_path / "three", anchors=ANCHORS)
