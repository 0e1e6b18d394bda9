"""One slice is one hash, whatever holds it; another slice is another."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from retrieval.image import CTError
from retrieval.pixel_hash import IDENTIFYING_VALUES, is_identifying, pixel_hash

SLICES = arrays(
    np.int16, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-2000, 4000)
)


@given(SLICES)
def test_the_hash_is_what_its_definition_says(hu):
    rows, columns = hu.shape
    wanted = hashlib.sha256(b"lesion-search slice 1\n" + struct.pack("<II", rows, columns))
    for value in hu.ravel().tolist():
        wanted.update(struct.pack("<h", min(max(value, -1024), 3071)))
    assert pixel_hash(hu) == wanted.hexdigest()


@given(SLICES, st.floats(-0.4, 0.4))
def test_number_type_memory_order_and_fractions_do_not_matter(hu, fraction):
    wanted = pixel_hash(hu)
    for same in (
        hu.astype(np.float32) + np.float32(fraction),
        hu.astype(np.float64),
        np.asfortranarray(hu),
        hu.astype(np.int32)[::-1][::-1],
        np.clip(hu, -1024, 3071),
    ):
        assert pixel_hash(same) == wanted


@given(SLICES, st.data())
def test_any_other_pixel_or_shape_is_another_hash(hu, data):
    row = data.draw(st.integers(0, hu.shape[0] - 1))
    column = data.draw(st.integers(0, hu.shape[1] - 1))
    changed = np.clip(hu, -1024, 3071).astype(np.int32)
    changed[row, column] += 1 if changed[row, column] < 3071 else -1
    assert pixel_hash(changed) != pixel_hash(hu)
    if hu.shape[0] != hu.shape[1]:
        assert pixel_hash(hu.reshape(hu.shape[::-1])) != pixel_hash(hu)


def test_what_is_no_slice_of_numbers_is_refused():
    with pytest.raises(CTError, match="rows, columns"):
        pixel_hash(np.zeros((1, 2, 2)))
    for wrong in (np.nan, np.inf):
        with pytest.raises(CTError, match="not numbers"):
            pixel_hash(np.array([[0.0, wrong]]))


def test_a_slice_of_hardly_any_content_identifies_nobody():
    many = np.arange(IDENTIFYING_VALUES).reshape(8, -1)
    assert is_identifying(many)
    assert not is_identifying(np.minimum(many, IDENTIFYING_VALUES - 2))
    assert not is_identifying(many - 5000)
