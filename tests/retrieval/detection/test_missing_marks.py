from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from retrieval.detection.missing_marks import IGNORED_LOGIT, unknown_places, without_ignored
from retrieval.detection.network import DetectorConfig, build_network, scaled
from retrieval.patch import PatchSpec

ANCHORS = torch.tensor(
    [[10.0, 10, 20, 20], [50, 50, 60, 60], [100, 100, 110, 110], [200, 200, 210, 210]]
)


def target(
    boxes: list[list[float]], ignored: list[list[float]], reach: float = math.inf
) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.zeros(len(boxes), dtype=torch.long),
        "ignored": torch.tensor(ignored).reshape(-1, 4),
        "reach_px": torch.tensor(reach),
    }


def test_a_searched_slice_is_known_everywhere() -> None:
    assert not unknown_places(ANCHORS, target([[10, 10, 20, 20]], [])).any()


def test_ignored_regions_are_unknown_but_for_the_marks_in_them() -> None:
    known = target([[10, 10, 20, 20]], [[0, 0, 70, 70]])
    assert unknown_places(ANCHORS, known).tolist() == [False, True, False, False]


def test_beyond_the_reach_of_every_mark_nothing_is_known() -> None:
    known = target([[10, 10, 20, 20]], [], reach=60.0)
    assert unknown_places(ANCHORS, known).tolist() == [False, False, True, True]


def test_without_a_mark_a_slice_nobody_searched_teaches_nothing() -> None:
    assert unknown_places(ANCHORS, target([], [], reach=60.0)).all()


def test_confident_detections_without_a_mark_are_left_out() -> None:
    logits = torch.tensor([[[3.0], [3.0], [-3.0], [-3.0]]], requires_grad=True)
    kept = without_ignored(
        {"cls_logits": logits}, [target([[10, 10, 20, 20]], [])], [ANCHORS], confident=0.5
    )["cls_logits"]
    assert kept[0, :, 0].tolist() == [3.0, IGNORED_LOGIT, -3.0, -3.0]
    kept.sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, :, 0].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("head", ["retinanet", "fcos"])
def test_a_slice_that_is_ignored_costs_nothing(head: str) -> None:
    torch.manual_seed(0)
    config = DetectorConfig(
        backbone="mobilenet_v3_small", head=head, first_level=2, channels=32, anchor_px=(8, 16, 32)
    )
    network = build_network(config, PatchSpec(slices=1), pretrained=False).train()
    picture = scaled(torch.randn(1, 64, 64) * 200)
    everything = target([], [[-99, -99, 199, 199]])
    terms = network([picture], [everything])
    searched = network([picture], [target([], [])])
    silent, kept = (float(t["classification"].detach()) for t in (terms, searched))
    assert silent < 1e-9
    assert kept > 1e-5
