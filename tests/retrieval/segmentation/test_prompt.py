"""Prompts: quarter ellipses of marks, boxes and clicks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lesion import Box, Recist
from retrieval.segmentation.prompt import Prompt, PromptError

SPACING = (0.5, 0.8)


def test_the_ends_of_a_mark_lie_on_its_ellipse():
    mark = Recist(((10.0, 20.0), (50.0, 26.0), (28.0, 10.0), (25.0, 33.0)))
    prompt = Prompt.from_recist(mark, SPACING)
    for x, y in mark.points:
        assert prompt.radius_at(np.array(x), np.array(y), SPACING) == pytest.approx(1, abs=1e-6)


def test_an_ellipse_has_the_area_of_its_quarters():
    mark = Recist(((10.0, 40.0), (70.0, 40.0), (30.0, 20.0), (30.0, 55.0)))
    prompt = Prompt.from_recist(mark, (1.0, 1.0))
    area = prompt.mask((80, 90), (1.0, 1.0)).sum()
    assert area == pytest.approx(np.pi / 4 * 60 * 35, rel=0.01)


def test_the_order_of_lines_and_ends_does_not_matter():
    a, b, c, d = (10.0, 40.0), (70.0, 44.0), (30.0, 20.0), (32.0, 55.0)
    first = Prompt.from_recist(Recist((a, b, c, d)), SPACING)
    for points in ((b, a, d, c), (c, d, a, b)):
        other = Prompt.from_recist(Recist(points), SPACING)
        shape = (90, 90)
        assert np.array_equal(first.mask(shape, SPACING), other.mask(shape, SPACING))


@given(st.lists(st.floats(0, 200), min_size=8, max_size=8))
def test_any_four_points_make_a_finite_shape_or_a_refusal(numbers):
    mark = Recist.from_numbers(numbers)
    try:
        prompt = Prompt.from_recist(mark, SPACING)
    except PromptError:
        assert max(mark.diameters_mm(SPACING)) < 1e-3
        return
    assert all(np.isfinite(half) and half > 0 for half in prompt.halves_mm)
    assert np.isfinite(prompt.radius_at(np.array(5.0), np.array(5.0), SPACING))
    assert prompt.side_mm >= prompt.long_mm


def test_parallel_lines_have_no_crossing_and_still_a_shape():
    mark = Recist(((0.0, 0.0), (20.0, 0.0), (2.0, 4.0), (14.0, 4.0)))
    prompt = Prompt.from_recist(mark, (1.0, 1.0))
    assert prompt.center == (10.0, 0.0)
    assert prompt.long_mm == pytest.approx(20)


def test_a_box_loses_its_padding_but_never_everything():
    usual = Prompt.from_box(Box(100, 100, 130, 120), (1.0, 1.0))
    assert usual.halves_mm == (10, 10, 5, 5)
    tight = Prompt.from_box(Box(0, 0, 6, 6), (1.0, 1.0))
    assert tight.halves_mm[0] == pytest.approx(0.4 * 3)


def test_a_click_must_be_finite():
    with pytest.raises(PromptError, match="finite"):
        Prompt.from_point((float("nan"), 3.0), side_mm=20)
