from __future__ import annotations

import copy

import torch
from torch import nn

from retrieval.nn.backbones import EfficientNetLite0
from retrieval.nn.folding import folded
from retrieval.nn.pointwise import PixelwiseProduct, with_pixelwise_products


def test_products_answer_as_the_convolutions_do() -> None:
    torch.manual_seed(0)
    network = folded(EfficientNetLite0()).to(memory_format=torch.channels_last)
    pictures = torch.rand(2, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    quick = with_pixelwise_products(copy.deepcopy(network))
    assert sum(isinstance(layer, PixelwiseProduct) for layer in quick.modules()) > 20
    before = pictures.clone()
    with torch.inference_mode():
        for expected, found in zip(network(pictures), quick(pictures), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pictures, before)


def test_what_is_no_plain_pointwise_convolution_stays() -> None:
    layers = nn.Sequential(
        nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, padding=1)
    )
    assert not any(isinstance(x, PixelwiseProduct) for x in with_pixelwise_products(layers))
