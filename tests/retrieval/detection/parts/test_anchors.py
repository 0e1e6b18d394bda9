from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import box_iou

from retrieval.detection.parts.anchors import (
    TORCHVISION,
    AnchorError,
    AnchorSearch,
    AnchorShapes,
    anchor_fit,
    best_overlaps,
    fitted_anchors,
)


def centred(sides: np.ndarray) -> torch.Tensor:
    half = torch.from_numpy(sides / 2)
    return torch.cat([-half, half], dim=1)


def test_overlaps_are_those_of_boxes_about_one_centre() -> None:
    rng = np.random.default_rng(0)
    boxes, anchors = rng.uniform(4, 90, (40, 2)), rng.uniform(4, 90, (7, 2))
    expected = box_iou(centred(boxes), centred(anchors)).max(dim=1).values.numpy()
    np.testing.assert_allclose(best_overlaps(boxes, anchors), expected)


def test_shapes_are_torchvisions() -> None:
    generator = AnchorGenerator(((32.0, 40.0),), ((0.5, 1.0, 2.0),))
    theirs = generator.generate_anchors((32.0, 40.0), (0.5, 1.0, 2.0))
    ours = centred(AnchorShapes((32.0,), (1.0, 1.25), (0.5, 1.0, 2.0)).sides())
    # torchvision rounds, and orders by ratio first.
    assert {tuple(x) for x in theirs.tolist()} == {tuple(x) for x in ours.round().tolist()}


def test_fitted_anchors_are_better_than_a_guess_and_the_same_for_one_seed() -> None:
    rng = np.random.default_rng(1)
    boxes = np.exp(rng.normal(3.3, 0.4, (300, 2)))
    search = AnchorSearch(base_px=(16.0, 32.0, 64.0), scales=2, ratio_pairs=1, rounds=15)
    fitted = fitted_anchors(boxes, search, np.random.default_rng(2))
    assert fitted == fitted_anchors(boxes, search, np.random.default_rng(2))
    assert 1.0 in fitted.ratios
    assert len(fitted.scales) == 2
    guess = anchor_fit(boxes, AnchorShapes(search.base_px, (0.5, 1.9), (0.3, 1.0, 3.4)))
    assert anchor_fit(boxes, fitted).mean_iou > guess.mean_iou + 0.03


def test_boxes_that_fit_nothing() -> None:
    assert anchor_fit(np.array([[20.0, 20]]), TORCHVISION).unfit_share == 1.0
    with pytest.raises(AnchorError, match="are needed"):
        anchor_fit(np.empty((0, 2)), TORCHVISION)
    with pytest.raises(AnchorError, match="sides"):
        anchor_fit(np.array([[3.0, 0.0]]), TORCHVISION)
    with pytest.raises(AnchorError, match="1 scale"):
        AnchorSearch(scales=0)


def test_torchvisions_default_leaves_a_quarter_of_the_official_boxes(real_data: Path) -> None:
    sides = []
    with (real_data / "DL_info_val_test_9816.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["Train_Val_Test"] == "3":
                x1, y1, x2, y2 = (float(edge) for edge in row["Bounding_boxes"].split(","))
                sides.append((x2 - x1, y2 - y1))
    assert anchor_fit(np.array(sides), TORCHVISION).unfit_share == pytest.approx(0.278, abs=0.002)
