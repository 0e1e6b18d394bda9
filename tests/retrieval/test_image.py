"""Slab, HU windows and planes between slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retrieval.grid import GridMap
from retrieval.image import CTError, Slab, apply_window, key_slice_picture, slices_at


def a_slab(slices: int = 5, key_slice: int = 2, interval: float = 2.0) -> Slab:
    hu = np.arange(slices, dtype=np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32)
    return Slab(hu, (0.7, 0.8), interval, key_slice, grid=GridMap(origin=(0, 0, 40)))


def test_a_slab_knows_its_geometry() -> None:
    slab = a_slab()
    assert (slab.rows, slab.columns, slab.key_slice_index) == (3, 4, 42)
    moved = slab.with_key_slice(4)
    assert (moved.key_slice_index, moved.spacing_mm_px) == (44, (0.7, 0.8))
    assert moved.hu is slab.hu
    with pytest.raises(CTError, match="key slice 5 is not among the 5 slices"):
        slab.with_key_slice(5)


@pytest.mark.parametrize(
    ("shape", "spacing", "interval"),
    [
        ((3, 4), (1, 1), 1),
        ((0, 3, 4), (1, 1), 1),
        ((1, 3, 4), (0, 1), 1),
        ((1, 3, 4), (1, float("nan")), 1),
        ((1, 3, 4), (1, 1), -2),
        ((1, 3, 4), (1, 1), float("inf")),
    ],
)
def test_impossible_slabs_are_refused(
    shape: tuple[int, ...], spacing: tuple[float, float], interval: float
) -> None:
    with pytest.raises(CTError):
        Slab(np.zeros(shape, np.float32), spacing, interval)


@given(
    slices=st.integers(1, 7),
    key=st.integers(0, 6),
    interval=st.floats(0.5, 7),
    offset=st.floats(-40, 40),
)
def test_planes_between_slices_are_linear(
    slices: int, key: int, interval: float, offset: float
) -> None:
    key %= slices
    blend = slices_at(a_slab(slices, key, interval), offset)
    depth = key + offset / interval
    value = blend.below * (1 - blend.weight_above) + blend.above * blend.weight_above
    assert value == pytest.approx(np.clip(depth, 0, slices - 1), abs=1e-5)
    assert 0 <= blend.weight_above <= 1
    if abs(depth - np.clip(depth, 0, slices - 1)) > 1e-5:
        assert blend.outside
    elif 0 <= depth <= slices - 1:
        assert not blend.outside


@given(st.lists(st.floats(-3000, 4000, width=32), min_size=1), st.floats(-1000, 0))
def test_windows_map_to_zero_and_one(values: list[float], low: float) -> None:
    hu = np.array(values, np.float32)
    high = low + 400
    expected = [min(max((value - low) / 400, 0.0), 1.0) for value in values]
    np.testing.assert_allclose(apply_window(hu, low, high), expected, atol=1e-5)
    tensor = apply_window(torch.from_numpy(hu), low, high)
    np.testing.assert_allclose(tensor.numpy(), apply_window(hu, low, high), atol=1e-6)


def test_the_picture_shows_the_key_slice() -> None:
    picture = key_slice_picture(a_slab(), 0.0, 4.0)
    assert picture.dtype == np.uint8
    assert np.unique(picture).tolist() == [128]
