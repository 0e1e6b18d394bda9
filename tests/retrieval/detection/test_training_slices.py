from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.detection.batches import SliceBatches
from retrieval.detection.recipe import DetectorRecipe, SlicesConfig, load_detector_recipe
from retrieval.detection.slice_cache import SliceCache
from retrieval.detection.training_data import (
    DetectorDataError,
    TrainingSlices,
    label_of,
    marked_slices,
    read_pseudo_types,
)
from retrieval.detection.whole_slice import whole_slice
from retrieval.lesion import LesionType, Split
from retrieval.patch import PatchSpec
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.training.cut_images import CacheError

RECIPE = load_detector_recipe("tiny")


@pytest.fixture(scope="module")
def training(
    marked_archive: DeepLesionArchive, tmp_path_factory: pytest.TempPathFactory
) -> TrainingSlices:
    return TrainingSlices.open([marked_archive], RECIPE, tmp_path_factory.mktemp("cache"))


def test_every_mark_is_on_exactly_one_slice(marked_archive: DeepLesionArchive) -> None:
    found = marked_slices(marked_archive, Split.TRAIN, rng=np.random.default_rng(0))
    marked = [lesion.lesion_id for one in found for lesion in one.lesions]
    wanted = [x.lesion_id for x in marked_archive.lesions if x.split is Split.TRAIN]
    assert sorted(marked) == sorted(wanted)
    assert [one.number for one in found] == list(range(len(found)))


def test_lesions_of_a_near_slice_are_known_to_be_nearby(marked_archive: DeepLesionArchive) -> None:
    changed = DeepLesionArchive.open(marked_archive.root)
    first = next(x for x in changed.lesions if x.split is Split.TRAIN)
    near = first.with_changes(
        lesion_id="near", key_slice_index=first.key_slice_index + 1, long_mm=30.0
    )
    far = first.with_changes(
        lesion_id="far", key_slice_index=first.key_slice_index + 400, long_mm=30.0
    )
    changed.lesions = [first.with_changes(long_mm=4.0), near, far]
    changed.source = lambda lesion: marked_archive.source(first)  # type: ignore[method-assign]
    found = {
        one.key.lesion_id: one
        for one in marked_slices(changed, Split.TRAIN, rng=np.random.default_rng(0))
    }
    assert found[first.lesion_id].nearby == (near.box,)
    assert found["far"].nearby == ()


def test_hidden_marks_leave_their_slices(marked_archive: DeepLesionArchive) -> None:
    rng = np.random.default_rng(1)
    every = marked_slices(marked_archive, Split.TRAIN, rng=rng)
    half = marked_slices(marked_archive, Split.TRAIN, hidden=0.5, rng=rng)
    assert [one.key for one in half] == [one.key for one in every]
    left = sum(len(one.lesions) for one in half)
    assert 0 < left < sum(len(one.lesions) for one in every)
    assert any(not one.lesions for one in half)


def test_pseudo_types_stand_in_for_types_that_are_not_known(
    marked_archive: DeepLesionArchive, tmp_path: Path
) -> None:
    changed = DeepLesionArchive.open(marked_archive.root)
    known, unknown, bare = [x for x in changed.lesions if x.split is Split.TRAIN][:3]
    without = {"lesion_type": LesionType.UNKNOWN}
    changed.lesions = [known, unknown.with_changes(**without), bare.with_changes(**without)]
    mined = tmp_path / "types.json"
    mined.write_text(json.dumps({known.lesion_id: "bone", unknown.lesion_id: "soft tissue"}))
    rng = np.random.default_rng(0)
    types = read_pseudo_types(str(mined))
    slices = marked_slices(changed, Split.TRAIN, pseudo_types=types, rng=rng)
    found = {x.lesion_id: label_of(x, 8) for one in slices for x in one.lesions}
    assert found[known.lesion_id] == known.lesion_type.code - 1
    assert found[unknown.lesion_id] == LesionType.SOFT_TISSUE.code - 1
    assert found[bare.lesion_id] == -1
    mined.write_text('{"x": "heart"}')
    with pytest.raises(DetectorDataError, match="'heart' is unknown"):
        read_pseudo_types(str(mined))


def test_a_cached_slice_is_the_slice(
    marked_archive: DeepLesionArchive, training: TrainingSlices
) -> None:
    marked = training.slices[0][0]
    slab = marked_archive.slab(marked.key, half_depth_mm=RECIPE.grid.half_depth_mm)
    fresh = whole_slice(slab, RECIPE.grid)
    cached = training.caches[0].read(marked.number)
    np.testing.assert_allclose(cached.hu, fresh.hu, atol=0.5)
    assert cached.origin_px == pytest.approx(fresh.origin_px)


def test_a_cache_of_another_grid_is_refused(
    marked_archive: DeepLesionArchive, tmp_path: Path
) -> None:
    lesions = marked_archive.lesions[:1]
    SliceCache(marked_archive, lesions, PatchSpec(mm_px=2.0), tmp_path)
    with pytest.raises(CacheError, match="another grid"):
        SliceCache(marked_archive, lesions, PatchSpec(mm_px=1.0), tmp_path)


def test_a_batch_is_the_same_each_time_and_differs_by_step(training: TrainingSlices) -> None:
    batches = SliceBatches(training, RECIPE, slices=3)
    one, again, other = batches.batch(5), batches.batch(5), batches.batch(6)
    for left, right in zip(one.pictures, again.pictures, strict=True):
        torch.testing.assert_close(left, right)
    assert any(
        left.shape != right.shape or not torch.equal(left, right)
        for left, right in zip(one.pictures, other.pictures, strict=True)
    )


def test_boxes_lie_on_their_pictures(training: TrainingSlices) -> None:
    batches = SliceBatches(training, RECIPE, slices=4)
    seen = 0
    for step in range(6):
        batch = batches.batch(step)
        for picture, target in zip(batch.pictures, batch.targets, strict=True):
            assert max(picture.shape[1:]) <= RECIPE.augment.crop_px
            boxes = target["boxes"]
            seen += len(boxes)
            assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert (boxes >= 0).all()
            assert (boxes[:, 2] <= picture.shape[2]).all()
            assert len(target["labels"]) == len(boxes)
    assert seen > 10


def test_marks_of_a_background_are_no_lesions(
    marked_archive: DeepLesionArchive, training: TrainingSlices
) -> None:
    data = SlicesConfig(backgrounds=("phantom",), reach_mm={"phantom": 30.0})
    recipe: DetectorRecipe = replace(RECIPE, data=data)
    painted = replace(training, backgrounds=(True,), reaches_mm=(30.0,))
    batch = SliceBatches(painted, recipe, slices=6).batch(0)
    assert sum(len(target["boxes"]) for target in batch.targets) >= 3
    assert all(float(target["reach_px"]) == 15.0 for target in batch.targets)


def test_archives_without_train_slices_are_refused(
    marked_archive: DeepLesionArchive, tmp_path: Path
) -> None:
    tested = DeepLesionArchive.open(marked_archive.root)
    tested.lesions = [lesion.with_changes(split=Split.TEST) for lesion in tested.lesions]
    with pytest.raises(DetectorDataError, match="no slice of the train split"):
        TrainingSlices.open([tested], RECIPE, tmp_path)
    with pytest.raises(DetectorDataError, match="name at least one"):
        TrainingSlices.open([marked_archive, marked_archive], RECIPE, tmp_path)
