from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retrieval.detection.network import (
    DetectorConfig,
    NetworkError,
    SlicePyramid,
    build_network,
    scaled,
)
from retrieval.patch import PatchSpec

CONFIG = DetectorConfig(
    backbone="mobilenet_v3_small", first_level=2, channels=32, anchor_px=(8, 16, 32)
)


@pytest.mark.parametrize("slices", [1, 3, 9, 27])
@pytest.mark.parametrize("head", ["retinanet", "fcos"])
def test_losses_in_training_and_boxes_otherwise(slices: int, head: str) -> None:
    torch.manual_seed(0)
    spec = PatchSpec(slices=slices)
    network = build_network(replace(CONFIG, head=head), spec, pretrained=False)
    picture = scaled(torch.randn(slices, 60, 90) * 300)
    wanted = {
        "boxes": torch.tensor([[20.0, 20, 40, 40]]),
        "labels": torch.zeros(1, dtype=torch.long),
        "ignored": torch.zeros(0, 4),
        "reach_px": torch.tensor(float("inf")),
    }
    terms = network.train()([picture], [wanted])
    assert {"classification", "bbox_regression"} <= set(terms)
    assert all(torch.isfinite(term) for term in terms.values())
    with torch.inference_mode():
        answer = network.eval()([picture])[0]
    assert answer["boxes"].shape[1] == 4
    assert (answer["boxes"] <= torch.tensor([90, 60, 90, 60])).all()


def test_nine_slices_start_as_the_middle_three() -> None:
    torch.manual_seed(0)
    nine = SlicePyramid(CONFIG, PatchSpec(slices=9), pretrained=False).eval()
    three = SlicePyramid(CONFIG, PatchSpec(slices=3), pretrained=False).eval()
    three.load_state_dict(
        {k: v for k, v in nine.state_dict().items() if k != "fuse.weight"}, strict=False
    )
    slices = torch.rand(2, 9, 64, 64)
    with torch.inference_mode():
        for fused, alone in zip(nine(slices).values(), three(slices[:, 3:6]).values(), strict=True):
            torch.testing.assert_close(fused, alone, rtol=1e-4, atol=1e-5)


def test_padding_of_a_batch_is_air() -> None:
    assert scaled(torch.tensor([-1024.0, -3000.0])).tolist() == [0.0, 0.0]


def test_a_pretrained_backbone_keeps_its_statistics_in_training() -> None:
    pyramid = SlicePyramid(CONFIG, PatchSpec(slices=3), pretrained=False)
    pyramid.keeps_statistics = True
    pyramid.train()
    before = {k: v.clone() for k, v in pyramid.state_dict().items() if "running" in k}
    pyramid(torch.rand(2, 3, 64, 64))
    for name, value in before.items():
        torch.testing.assert_close(pyramid.state_dict()[name], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "yolo"}, "head 'yolo' is unknown"),
        ({"head": "fcos", "channels": 40}, "fcos of 40 channels"),
        ({"classes": 3}, "3 classes"),
        ({"anchor_px": (8, 16)}, "anchor_px has 2 sizes: 3 are needed"),
        ({"first_level": 4}, "first_level is 4"),
    ],
)
def test_impossible_configurations(change: dict[str, object], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        replace(CONFIG, **change)


def test_slices_must_fill_groups() -> None:
    with pytest.raises(NetworkError, match="5 slices"):
        SlicePyramid(CONFIG, PatchSpec(slices=5), pretrained=False)
