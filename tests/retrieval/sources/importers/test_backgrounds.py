"""Slices that were cropped one by one are put back on one grid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from retrieval.lesion import Split
from retrieval.sources.importers.backgrounds import BackgroundSource, best_shift
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.importers.splits import split_patients


def body(seed: int) -> np.ndarray:
    """A smooth ellipse of tissue in air, 120 x 140."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:120, :140]
    inside = ((rows - 60) / 45) ** 2 + ((columns - 70) / 55) ** 2 < 1
    texture = ndimage.gaussian_filter(rng.normal(0, 1, inside.shape), 4) * 1500
    return np.where(inside, np.clip(texture, -900, 500), -1024).round().astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (7, -11), (-9, 3)])
def test_the_shift_between_two_crops_is_found(shift):
    whole = body(1)
    one = whole[12:110, 13:130]
    other = whole[12 + shift[0] : 108 + shift[0], 13 + shift[1] : 127 + shift[1]]
    found, correlation = best_shift(one, other)
    assert found == shift
    assert correlation == pytest.approx(1.0, abs=1e-6)


def collection(folder, slices):
    """A collection of one patient from (number, HU)."""
    lines = ["path,patient,study,slice,spacing_mm_px,slice_interval_mm"]
    for order, (number, hu) in enumerate(slices):
        cv2.imwrite(str(folder / f"{order}.png"), (hu + 32768).astype(np.uint16))
        lines.append(f"{order}.png,P1,,{number},1.0,3.0")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return BackgroundSource.open(folder)


def test_neighbours_are_a_run_only_where_numbers_and_anatomy_follow_on(tmp_path):
    whole = body(1)
    # Two thin legs: no shift makes them look like the trunk.
    another = np.where(np.arange(140) % 70 < 18, np.float32(60), np.float32(-1024)) + np.zeros_like(
        whole
    )
    crops = [whole[10:112, 12:128], whole[14:115, 9:130], whole[10:110, 14:131]]
    source = collection(
        tmp_path, [(4, crops[0]), (5, crops[1]), (6, crops[2]), (7, another), (9, whole)]
    )
    runs = source.runs("P1")
    assert [(run.first_slice, len(run.hu)) for run in runs] == [(4, 3), (7, 1), (9, 1)]
    first = runs[0].hu
    shared = np.s_[6:98, 8:115]
    np.testing.assert_array_equal(first[0][shared], first[1][shared])
    np.testing.assert_array_equal(first[0][shared], first[2][shared])
    assert {run.series for run in runs} == {1}


def test_the_same_number_twice_is_another_series(tmp_path):
    source = collection(tmp_path, [(4, body(1)), (4, body(2))])
    assert [run.series for run in source.runs("P1")] == [1, 2]


def test_what_is_no_collection_is_refused(tmp_path):
    with pytest.raises(ImporterError, match="holds no index"):
        BackgroundSource.open(tmp_path)
    (tmp_path / "index.csv").write_text("path,patient\na.png,P\n")
    with pytest.raises(ImporterError, match="lacks the columns"):
        BackgroundSource.open(tmp_path)


def test_splits_keep_their_shares_and_do_not_depend_on_the_order():
    names = [f"P{n}" for n in range(100)]
    splits = split_patients(names, source="somewhere")
    counts = {split: list(splits.values()).count(split) for split in Split}
    assert (counts[Split.TEST], counts[Split.VALIDATION], counts[Split.TRAIN]) == (20, 16, 64)
    assert split_patients(names[::-1], source="somewhere") == splits
    assert split_patients(names, source="elsewhere") != splits
