"""Another study of the same patient: what is marked moves along with what it marks."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.synthesis.restudy import StudyChange, restudied

STILL = StudyChange(
    displacement_mm=(0.0, 0.0, 0.0), rotation_deg=0.0, log_scale=0.0, blur_mm=0.0, noise_hu=0.0
)


@pytest.fixture(scope="module")
def body():
    z, y, x = np.mgrid[:30, :96, :96].astype(np.float32)
    hu = np.where((x - 48) ** 2 + (y - 48) ** 2 < 40**2, 40.0, -1000.0).astype(np.float32)
    marked = (x - 60) ** 2 + (y - 40) ** 2 + (1.5 * (z - 15)) ** 2 < 8**2
    hu[marked] = 300.0
    return Slab(hu, (2.0, 2.0), 3.0), marked


def test_the_mark_lies_on_what_it_marks(body):
    slab, marked = body
    for seed in range(4):
        other = restudied(slab, [marked], np.random.default_rng(seed))
        inside, outside = other.slab.hu[other.marks[0]], other.slab.hu[~other.marks[0]]
        assert np.median(inside) > 200
        assert np.percentile(outside, 99) < 150
        at, box = other.marked_box()
        assert other.marks[0][at].any()
        x, y = box.center
        assert other.marks[0][at, round(y), round(x)]


def test_another_seed_is_another_study_and_the_same_seed_the_same(body):
    slab, marked = body
    one, same, other = (
        restudied(slab, [marked], np.random.default_rng(seed)).slab for seed in (1, 1, 2)
    )
    assert np.array_equal(one.hu, same.hu)
    assert one.spacing_mm_px != other.spacing_mm_px


def test_without_change_it_is_the_same_body(body):
    slab, marked = body
    other = restudied(slab, [marked], np.random.default_rng(0), STILL)
    assert other.slab.spacing_mm_px == slab.spacing_mm_px
    at, box = other.marked_box()
    assert box.center == pytest.approx((60, 40), abs=1.0)
    assert at * other.slab.slice_interval_mm == pytest.approx(45, abs=6.0)


def test_what_is_not_there_has_no_box(body):
    slab, marked = body
    other = restudied(slab, [np.zeros_like(marked)], np.random.default_rng(0))
    assert other.marked_box() is None
