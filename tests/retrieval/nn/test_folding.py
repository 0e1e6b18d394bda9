from __future__ import annotations

import pytest
import torch
from torch import nn

from retrieval.nn.backbones import build_backbone
from retrieval.nn.folding import folded


def test_a_folded_backbone_gives_the_same_maps() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("efficientnet_lite0", pretrained=True).eval()
    picture = torch.rand(1, 3, 96, 96)
    quick = folded(backbone)
    assert any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    with torch.inference_mode():
        for one, other in zip(backbone(picture), quick(picture), strict=True):
            assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()))


def test_a_normalisation_before_its_convolution_stays() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    nn.init.uniform_(layers[0].running_mean)
    nn.init.uniform_(layers[2].running_var, 0.5, 2.0)
    kept = folded(layers)
    assert isinstance(kept[0], nn.BatchNorm2d)
    picture = torch.rand(2, 3, 5, 5)
    assert kept(picture).detach().numpy() == pytest.approx(
        layers(picture).detach().numpy(), abs=1e-5
    )
