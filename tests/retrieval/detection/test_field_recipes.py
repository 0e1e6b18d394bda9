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
from retrieval.detection.parts.domain_attention import DomainAttention, DomainAttentionError
from retrieval.detection.parts.slice_attention import SliceAttention
from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe
from retrieval.detection.train import starting_network
from retrieval.training.config import RecipeError

RECIPES = (
    "3dce-9",
    "slice-attention",
    "mvp-net",
    "uldor",
    "dense-anchors",
    "domain-attention",
)


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
    backbone = recipe.network.backbone if recipe.network.domains else "mobilenet_v3_small"
    return replace(recipe, network=replace(recipe.network, backbone=backbone, channels=32))


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
    banks = [x for x in pyramid.backbone.modules() if isinstance(x, DomainAttention)]
    for adapter in (adapter for bank in banks for adapter in bank.bank):
        torch.nn.init.normal_(adapter[0].bias, 1.0)
        torch.nn.init.normal_(adapter[-1].weight, std=0.1)
    total(network(*lesson(small(name).grid.slices))).backward()
    added = [pyramid.lessons, *banks, *(x for x in (pyramid.views,) if x is not None)]
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


def test_domain_attention_starts_as_the_network_without_it_and_tells_pictures_apart() -> None:
    with_banks = built("domain-attention").eval()
    recipe = small("domain-attention")
    plain = build_network(replace(recipe.network, domains=0), recipe.grid, pretrained=False).eval()
    names = plain.state_dict()
    plain.load_state_dict({k: v for k, v in with_banks.state_dict().items() if k in names})
    pictures = lesson(3)[0]
    with torch.inference_mode():
        one, other = with_banks(pictures)[0], plain(pictures)[0]
    assert torch.equal(one["boxes"], other["boxes"])
    assert torch.equal(one["scores"], other["scores"])
    slow = {id(x) for x in with_banks.backbone.slow_parameters()}
    for bank in (x for x in with_banks.modules() if isinstance(x, DomainAttention)):
        assert not slow & {id(weight) for weight in bank.parameters()}
        maps = torch.randn(2, bank.domains.in_features, 4, 4)
        shares = bank.shares(maps)
        assert shares.shape == (2, 3)
        assert torch.allclose(shares.sum(dim=1), torch.ones(2))
        assert not torch.allclose(shares[0], shares[1])


def test_domain_attention_needs_stages_of_this_project() -> None:
    recipe = small("uldor")
    with pytest.raises(DomainAttentionError, match="only efficientnet_lite0"):
        build_network(replace(recipe.network, domains=3), recipe.grid, pretrained=False)


def test_a_recipe_starts_from_what_fits_of_another_detector(tmp_path) -> None:
    plain = load_detector_recipe("uldor")
    plain = replace(
        plain,
        network=replace(plain.network, backbone="mobilenet_v3_small", channels=32, mask_weight=0.0),
    )
    torch.manual_seed(1)
    start = build_network(plain.network, plain.grid, pretrained=False)
    path = tmp_path / "start.safetensors"
    save_detector(start, plain.network, plain.grid, path, name="start")
    known = start.state_dict()
    recipe = replace(small("uldor"), start=str(path), pretrained=False)
    with pytest.raises(RecipeError, match="start_partly"):
        starting_network(recipe)
    with_masks = starting_network(replace(recipe, start_partly=True)).state_dict()
    assert all(torch.equal(with_masks[key], value) for key, value in known.items())
    assert set(with_masks) > set(known)
    types = replace(recipe, network=replace(recipe.network, classes=8), start_partly=True)
    several = starting_network(types).state_dict()
    logits = "head.classification_head.cls_logits.weight"
    assert len(several[logits]) == 8
    assert all(torch.equal(one, known[logits][0]) for one in several[logits])


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
