from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.detection.batches import SliceBatches
from retrieval.detection.detector import EVERYTHING, LesionDetector
from retrieval.detection.merging import MergeMethod, merge_proposals
from retrieval.detection.network import DetectorConfig, NetworkError, build_network
from retrieval.detection.proposals import Proposal, of_kind
from retrieval.detection.recipe import SlicesConfig, load_detector_recipe
from retrieval.detection.training_data import (
    DetectorDataError,
    TrainingSlices,
    label_of,
    read_categories,
    with_categories,
)
from retrieval.image import Slab
from retrieval.lesion import Box, LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive


@pytest.fixture
def mined(marked_archive: DeepLesionArchive, tmp_path: Path) -> Path:
    """Categories of every second train lesion, in turn."""
    lesions = [x.lesion_id for x in marked_archive.lesions if x.split is Split.TRAIN][::2]
    members = {x: {"category": f"c{n % 3}", "confidence": 0.9} for n, x in enumerate(lesions)}
    path = tmp_path / "categories.json"
    path.write_text(json.dumps({"lesions": members}), encoding="utf-8")
    return path


def test_categories_become_the_classes(
    marked_archive: DeepLesionArchive, mined: Path, tmp_path: Path
) -> None:
    plain = load_detector_recipe("tiny")
    assert with_categories(plain) is plain
    recipe = with_categories(replace(plain, data=SlicesConfig(categories=str(mined))))
    assert recipe.network.categories == ("c0", "c1", "c2")
    assert recipe.network.classes == 3
    training = TrainingSlices.open([marked_archive], recipe, tmp_path / "cache")
    table = read_categories(str(mined))
    lesions = [x for part in training.slices[0] for x in part.lesions]
    assert {x.lesion_id: x.category for x in lesions if x.category} == table
    labels = {label_of(x, 3, recipe.network.categories) for x in lesions}
    assert labels == {-1, 0, 1, 2}
    batches = SliceBatches(training, recipe, 4)
    drawn = [target for step in range(4) for target in batches.batch(step).targets]
    assert set(torch.cat([x["labels"] for x in drawn]).tolist()) <= {0, 1, 2}
    assert sum(len(x["ignored"]) for x in drawn) > 0


def test_a_category_in_every_proposal(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = load_detector_recipe("tiny")
    config = replace(recipe.network, classes=2, categories=("cyst", "node"))
    network = build_network(config, recipe.grid, pretrained=False)
    detector = LesionDetector(network, config, recipe.grid, name="two", cut=EVERYTHING)
    slab = Slab(np.random.default_rng(0).normal(40, 60, (1, 96, 96)).astype(np.float32), (1, 1), 2)
    found = detector.detect(slab)
    assert found
    assert {one.category for one in found} <= {"cyst", "node"}
    assert all(one.lesion_type is LesionType.UNKNOWN for one in found)


def test_proposals_are_filtered_by_category_or_type() -> None:
    box = Box(0, 0, 20, 20)
    cyst, liver = (
        Proposal(box, 0.5, category="cyst"),
        Proposal(box, 0.4, lesion_type=LesionType.LIVER),
    )
    assert of_kind([cyst, liver], "cyst") == (cyst,)
    assert of_kind([cyst, liver], "liver") == (liver,)
    assert of_kind([cyst, liver], "bone") == ()
    assert cyst.to_json()["category"] == "cyst"
    merged = merge_proposals([cyst, liver], method=MergeMethod.WBF, iou=0.4, limit=5)
    assert [one.category for one in merged] == ["cyst"]


def test_categories_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="8 classes and 2 categories"):
        DetectorConfig(classes=8, categories=("a", "b"), anchor_px=(8, 16, 32, 64))
    garbled = tmp_path / "categories.json"
    garbled.write_text("[]", encoding="utf-8")
    with pytest.raises(DetectorDataError, match="cannot be used"):
        read_categories(str(garbled))
