from __future__ import annotations

import numpy as np

from retrieval.patch import CANONICAL_PADDING_MM
from retrieval.synthesis.painting import inside_body, paint_lesion


def body() -> np.ndarray:
    """Three slices of water in air, with grain."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:200, :240]
    hu = np.full((3, 200, 240), -1000, np.float32)
    hu[:, np.hypot((rows - 100) / 0.8, columns - 120) < 100] = 40
    return hu + rng.normal(0, 8, hu.shape).astype(np.float32)


def test_a_painted_lesion_is_where_its_box_says() -> None:
    hu = body()
    held = inside_body(hu[1])
    rng = np.random.default_rng(0)
    for _ in range(10):
        painted = paint_lesion(hu, held, rng, mm_px=1.0, slice_interval_mm=2.0)
        assert painted is not None
        after, box = painted
        changed = np.abs(after - hu)[1] > 9
        rows, columns = np.nonzero(changed)
        extent = box.padded(-CANONICAL_PADDING_MM)
        assert abs(np.median(rows) - extent.center[1]) < 3
        assert abs(np.median(columns) - extent.center[0]) < 3
        outside = changed.copy()
        outside[max(0, int(box.y1)) : int(box.y2) + 2, max(0, int(box.x1)) : int(box.x2) + 2] = (
            False
        )
        assert outside.mean() < 0.001
        assert held[round(extent.center[1]), round(extent.center[0])]


def test_the_slices_given_are_not_changed() -> None:
    hu = body()
    before = hu.copy()
    paint_lesion(hu, inside_body(hu[1]), np.random.default_rng(0), mm_px=1, slice_interval_mm=2)
    np.testing.assert_array_equal(hu, before)


def test_the_grain_of_the_tissue_stays() -> None:
    hu = body()
    painted = paint_lesion(
        hu, inside_body(hu[1]), np.random.default_rng(5), mm_px=1, slice_interval_mm=2
    )
    assert painted is not None
    box = painted[1].padded(-CANONICAL_PADDING_MM - 2)
    inside = painted[0][1, round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)]
    grain = np.diff(inside, axis=1).std() / np.sqrt(2)
    assert 4 < grain < 14


def test_there_is_no_place_in_air() -> None:
    air = np.full((3, 50, 50), -1000, np.float32)
    assert not inside_body(air[1]).any()
    nowhere = paint_lesion(
        air, inside_body(air[1]), np.random.default_rng(0), mm_px=1, slice_interval_mm=2
    )
    assert nowhere is None
