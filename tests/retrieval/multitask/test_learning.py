"""Heads learn on a detector that does not change; the refinement learns only what helps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from retrieval.detection.proposals import Proposal
from retrieval.detection.training_data import MarkedSlice
from retrieval.lesion import Box
from retrieval.multitask.learning.detections import (
    Detections,
    fit_refinement,
    gain,
    verdict_on,
)
from retrieval.multitask.learning.recipe import (
    RECIPES,
    RefinementConfig,
    load_multitask_recipe,
)
from retrieval.multitask.learning.train import (
    MultitaskDataError,
    best_level,
    move_level,
    train_masks,
)
from retrieval.multitask.refinement import ScoreRefinement
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports
from retrieval.training.model_file import weights_of
from service.cli import main
from tests.retrieval.embedding.lesions import lesion

TINY = {
    "data.views": "4",
    "data.phantoms": "0",
    "optimiser.steps": "10",
    "masks.widths": "[8, 8, 8]",
    "masks.size_px": "16",
    "masks.of_pyramid": "8",
}


def test_masks_are_learnt_and_the_detector_is_not(detector, ball_lesion, tmp_path):
    before = {k: v.clone() for k, v in weights_of(detector.network).items()}
    losses: list[float] = []
    reports = Reports(step=lambda _, __, loss: losses.append(loss))
    recipe = load_multitask_recipe("small", TINY)
    heads = train_masks(detector, [ball_lesion], recipe, tmp_path, reports=reports)
    assert len(losses) == 10
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:2])
    after = weights_of(detector.network)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not heads.training
    again = train_masks(detector, [ball_lesion], recipe, tmp_path / "again", reports=Reports())
    for one, other in zip(heads.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_to_learn_from(detector, tmp_path):
    with pytest.raises(MultitaskDataError, match="no lesion with a mask"):
        train_masks(detector, [], load_multitask_recipe("small"), tmp_path, reports=Reports())
    with pytest.raises(RecipeError, match="has no key 'stepz'"):
        load_multitask_recipe("small", {"optimiser.stepz": "3"})
    assert {path.stem for path in RECIPES.glob("*.toml")} == {"small"}


def test_the_level_of_the_best_masks_becomes_one_half(network, ball_lesion):
    with torch.no_grad():
        network.heads.masks.last.weight.zero_()
        network.heads.masks.last.bias.fill_(0.4)  # 0.599 everywhere
    level = best_level(network, [ball_lesion], seed=0)
    move_level(network.heads, level)
    bias = network.heads.masks.last.bias.item()
    assert bias == pytest.approx(0.4 - np.log(level / (1 - level)))


def _boxes(rng: np.random.Generator, told: float) -> Detections:
    """Boxes whose score says something, and whose first tag says ``told`` more."""
    truth = (rng.random(600) < 0.3).astype(np.float32)
    score = rng.normal(truth, 1.0)
    tag = rng.normal(told * truth, 1.0)
    inputs = np.stack([score, tag, *rng.normal(0, 1, (3, 600))], axis=1).astype(np.float32)
    return Detections(
        torch.from_numpy(inputs), torch.from_numpy(truth), np.repeat(np.arange(60), 10)
    )


@pytest.mark.parametrize(("told", "helps"), [(2.0, True), (0.0, False)])
def test_refinement_gains_where_there_is_something_to_gain(told, helps):
    rng = np.random.default_rng(7)
    layer = ScoreRefinement(1)
    assert layer.is_identity
    known, held_out = _boxes(rng, told), _boxes(rng, told)
    assert torch.equal(layer(known.inputs), known.inputs[:, 0])
    fitted = fit_refinement(layer, known, RefinementConfig())
    assert layer.is_identity
    assert not fitted.is_identity
    value, low, high = gain(fitted, held_out)
    assert low <= value <= high
    assert (low > 0.03) == helps


def test_a_box_is_judged_only_where_somebody_looked():
    box = Box(10, 10, 30, 30)
    known = lesion(1, box=box)
    marked = MarkedSlice(known, (known,), (), 0)

    def verdict(x: float, archive: str = "phantom") -> float | None:
        return verdict_on(Proposal(box.shifted(x, 0), 0.5), marked, (archive, 1.0))

    assert verdict(0) == 1
    assert verdict(box.width * 0.5) is None
    assert verdict(box.width + 30) == 0
    assert verdict(box.width + 60, "pasted") is None


def test_the_command_trains_heads(tmp_path, capsys):
    words = ["train", "multitask", "--out", str(tmp_path), "--json"]
    changes = {**TINY, "data.phantoms": "1", "data.views": "2", "optimiser.steps": "2"}
    for key, value in changes.items():
        words += ["--set", f"{key}={value}"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["steps"] == 2
    assert facts["lesions"]["phantom"] >= 1
    assert facts["refinement"]["kept"] is False
    assert (tmp_path / "multitask.safetensors").is_file()
