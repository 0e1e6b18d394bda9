"""The field's recipes on one code base: what each adds, that it is used, and that it learns."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from retrieval.detection.detector import load_detection_network, save_detector
from retrieval.detection.missing_marks import unknown_places
from retrieval.detection.network import DetectionNetwork, NetworkError, build_network
from retrieval.detection.parts.slice_attention import SliceAttention
from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe

RECIPES = ("3dce-9", "slice-attention", "mvp-net", "uldor", "dense-anchors")


@pytest.fixture(autouse=True)
def one_thread():
    """Pictures this small are not worth sharing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(name: str) -> DetectorRecipe:
    """The recipe on a backbone that a test can train."""
    recipe = load_detector_recipe(name)
    network = replace(recipe.network, backbone="mobilenet_v3_small", channels=32)
    return replace(recipe, network=network)


@cache
def _first(name: str) -> DetectionNetwork:
    torch.manual_seed(0)
    recipe = small(name)
    return build_network(recipe.network, recipe.grid, pretrained=False)


def built(name: str) -> DetectionNetwork:
    """The recipe's network with fresh weights, the same each time: a copy is quick to make."""
    return copy.deepcopy(_first(name))


def lesson(slices: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two slices, a bright block on each."""
    pictures, targets = [], []
    for x, y in ((8, 24), (36, 12)):
        picture = torch.full((slices, 64, 64), 0.25)
        picture[:, y : y + 16, x : x + 20] = 0.5
        pictures.append(picture)
        box = torch.tensor([[float(x), y, x + 20, y + 16]])
        targets.append(
            {
                "boxes": box,
                "labels": torch.zeros(1, dtype=torch.long),
                "ignored": torch.zeros(0, 4),
                "reach_px": torch.tensor(float("inf")),
                "ellipses": torch.tensor([[x + 10.0, y + 8.0, 10, 8, 0]]),
                "negatives": torch.zeros(0, 4),
                "height": torch.tensor(0.6),
            }
        )
    return pictures, targets


def total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


@pytest.mark.parametrize("name", RECIPES)
def test_every_weight_is_learnt(name: str) -> None:
    network = built(name).train()
    pyramid = network.backbone
    if isinstance(pyramid.fuse, SliceAttention):
        torch.nn.init.constant_(pyramid.fuse.share, 0.5)
    if pyramid.views is not None:
        torch.nn.init.normal_(pyramid.views.attention[-1].weight, std=0.1)
    total(network(*lesson(small(name).grid.slices))).backward()
    added = [pyramid.lessons, *(x for x in (pyramid.views,) if x is not None)]
    if pyramid.groups > 1:
        added.append(pyramid.fuse)
    for module in added:
        for key, weight in module.named_parameters():
            assert weight.grad is not None, key
            assert weight.grad.abs().sum() > 0, key


@pytest.mark.parametrize(
    ("name", "terms"), [("uldor", {"masks"}), ("dense-anchors", {"masks"}), ("mvp-net", {"height"})]
)
def test_what_a_recipe_learns_beside_its_boxes(name: str, terms: set[str]) -> None:
    plain = {"classification", "bbox_regression", "bbox_ctrness"}
    network = built(name).train()
    assert set(network(*lesson(small(name).grid.slices))) - plain == terms
    with torch.inference_mode():
        answer = network.eval()(lesson(small(name).grid.slices)[0])
    assert {"boxes", "scores", "labels"} <= set(answer[0])


@pytest.mark.parametrize("name", RECIPES)
def test_two_slices_are_learnt_by_heart(name: str) -> None:
    network = built(name).train()
    batch = lesson(small(name).grid.slices)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(8):
        loss = total(network(*batch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.9 * losses[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_detector_is_kept_whole(name: str, tmp_path) -> None:
    recipe, network = small(name), built(name)
    path = tmp_path / "detector.safetensors"
    save_detector(network, recipe.network, recipe.grid, path, name=name)
    again, config, grid, _ = load_detection_network(path)
    assert (config, grid) == (recipe.network, recipe.grid)
    for (key, one), other in zip(
        network.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), key


def test_what_older_detectors_did_not_have_is_not_in_their_settings() -> None:
    assert "fusion" not in load_detector_recipe("small").network.to_dict()
    assert load_detector_recipe("slice-attention").network.to_dict()["fusion"] == "attention"


def test_views_take_one_group_of_slices() -> None:
    recipe = small("mvp-net")
    with pytest.raises(NetworkError, match="views of 9 slices"):
        build_network(recipe.network, replace(recipe.grid, slices=9), pretrained=False)
    with pytest.raises(NetworkError, match="fusion 'sum'"):
        replace(recipe.network, fusion="sum")


def test_hard_negatives_are_known_background_beyond_every_reach() -> None:
    anchors = torch.tensor([[10.0, 10, 20, 20], [100, 100, 110, 110], [200, 200, 210, 210]])
    target = {
        "boxes": torch.tensor([[10.0, 10, 20, 20]]),
        "ignored": torch.zeros(0, 4),
        "reach_px": torch.tensor(30.0),
        "negatives": torch.tensor([[98.0, 98, 112, 112]]),
    }
    assert unknown_places(anchors, target).tolist() == [False, False, True]
    alone = {**target, "boxes": torch.zeros(0, 4)}
    assert unknown_places(anchors, alone).tolist() == [True, False, True]
