"""A tiny run learns, goes on after a kill to the same weights, and its file reads back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from retrieval.segmentation.learning.batches import BatchMaker
from retrieval.segmentation.learning.calibrate import calibrate, true_measures
from retrieval.segmentation.learning.example import MaskedLesion, cropped
from retrieval.segmentation.learning.losses import MaskLossConfig, mask_losses
from retrieval.segmentation.learning.recipe import load_mask_recipe
from retrieval.segmentation.learning.train import (
    MaskSources,
    SegmentationDataError,
    train_on,
    train_segmentation,
)
from retrieval.segmentation.network_file import SegmentationModelError, load_mask_network
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports
from tests.retrieval.segmentation.scenes import ball, segmenter, truth

TINY = {
    "data.views": "4",
    "data.phantoms": "0",
    "optimiser.steps": "6",
    "network.widths": "[4, 8]",
    "view.size_px": "16",
}


def lesions() -> list[MaskedLesion]:
    share = truth().astype(np.float32)
    return [
        MaskedLesion("a", "p1", "nodule", ball(), share),
        MaskedLesion("b", "p2", "sarcoma", ball(around=100.0, inside=30.0), share),
    ]


@pytest.fixture
def recipe():
    return load_mask_recipe("small", TINY)


def test_a_killed_run_goes_on_to_the_same_weights(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.segmentation.learning.train.CHECKPOINT_EVERY", 3)
    whole = train_on(lesions(), recipe, tmp_path / "whole", reports=Reports())

    def stop(done: int, total: int, loss: float) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_on(lesions(), recipe, tmp_path / "killed", reports=Reports(step=stop))
    again = train_on(lesions(), recipe, tmp_path / "killed", reports=Reports())
    assert again.fingerprint == whole.fingerprint
    network, spec, header = load_mask_network(whole.path)
    assert header["fingerprint"] == whole.fingerprint
    assert spec == recipe.view
    assert network.config == recipe.network


def test_a_changed_file_is_refused(recipe, tmp_path):
    trained = train_on(
        lesions(),
        replace(recipe, optimiser=replace(recipe.optimiser, steps=1)),
        tmp_path,
        reports=Reports(),
    )
    data = bytearray(trained.path.read_bytes())
    data[-3] ^= 1
    trained.path.write_bytes(data)
    with pytest.raises(SegmentationModelError, match="fingerprint"):
        LesionSegmenter.load(trained.path)


def test_a_batch_depends_on_the_step_alone_and_holds_every_kind(recipe):
    maker = BatchMaker(lesions(), recipe)
    first, again, other = maker(5), maker(5), maker(6)
    assert np.array_equal(first.views, again.views)
    assert not np.array_equal(first.views, other.views)
    kinds = np.concatenate([maker(step).views[:, 9:13, 0, 0] for step in range(12)])
    assert (kinds.sum(axis=1) == 1).all()
    assert kinds.any(axis=0).all()


def test_targets_lie_where_the_prompt_is(recipe):
    batches = [BatchMaker(lesions(), recipe)(step) for step in range(4)]
    guides = np.concatenate([batch.views[:, 8] for batch in batches])
    shares = np.concatenate([batch.shares for batch in batches])
    # Marks are jittered, and slices near a lesion's ends hold less of it than the prompt.
    inside = shares.any(axis=(1, 2))
    assert 0 < inside.sum() < len(inside)
    assert shares[inside][guides[inside] > 0.8].mean() > 0.7
    assert shares[guides < 0.01].mean() < 0.15


def test_losses_against_a_naive_loop():
    logits = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1))
    target = (torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    target[2] = 0
    found = mask_losses(logits, target, MaskLossConfig())
    p = torch.sigmoid(logits).numpy()
    t = target.numpy()
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    dice = [1 - (2 * (p[k] * t[k]).sum() + 1) / (p[k].sum() + t[k].sum() + 1) for k in (0, 1)]
    assert float(found["cross_entropy"]) == pytest.approx(float(entropy), rel=1e-5)
    assert float(found["dice"]) == pytest.approx(float(np.mean(dice)), rel=1e-5)


def test_nothing_to_learn_from_is_said(recipe, tmp_path):
    with pytest.raises(SegmentationDataError, match="no lesion"):
        train_segmentation(MaskSources(), recipe, tmp_path)


def test_a_misspelt_key_is_an_error():
    with pytest.raises(RecipeError, match="phantom"):
        load_mask_recipe("small", {"data.phantom": "3"})


def test_calibrated_intervals_hold_what_they_were_fitted_on():
    document = calibrate(segmenter(), lesions()[:1])
    for kind in ("recist", "box"):
        low, lower, upper, high = document["quantiles"][kind]["long_mm"]
        assert low <= lower <= upper <= high
    measures = true_measures(lesions()[0])
    assert measures["volume_mm3"] == truth().sum() * 0.8 * 0.8 * 2


def test_cropping_keeps_the_whole_lesion():
    slab, share = cropped(ball(), truth().astype(np.float32))
    assert share.sum() == truth().sum()
    assert slab.hu.shape == share.shape
