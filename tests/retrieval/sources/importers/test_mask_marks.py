"""A RECIST mark measured on a mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.lesion import LesionError
from retrieval.sources.importers.mask_marks import recist_of_mask


@settings(max_examples=30, deadline=None)
@given(
    long=st.floats(10, 24),
    share=st.floats(0.4, 0.9),
    angle=st.floats(0, np.pi),
    x_mm=st.floats(0.5, 1.0),
    y_mm=st.floats(0.5, 1.0),
)
def test_an_ellipse_has_its_own_axes(long, share, angle, x_mm, y_mm):
    rows, columns = np.mgrid[:120, :120]
    x, y = (columns - 60) * x_mm, (rows - 58) * y_mm
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    mask = (along / long) ** 2 + (across / (long * share)) ** 2 <= 1
    recist = recist_of_mask(mask, (x_mm, y_mm))
    measured_long, measured_short = recist.diameters_mm((x_mm, y_mm))
    assert measured_long == pytest.approx(2 * long, abs=1.5)
    assert measured_short == pytest.approx(2 * long * share, abs=2.5)
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = recist.points
    dot = (bx - ax) * (dx - cx) * x_mm**2 + (by - ay) * (dy - cy) * y_mm**2
    assert dot == pytest.approx(0, abs=1e-3)


def test_one_pixel_measures_one_pixel():
    mask = np.zeros((9, 9))
    mask[3, 4] = 1
    recist = recist_of_mask(mask, (0.5, 0.5))
    assert recist.diameters_mm((1.0, 1.0)) == (1.0, 1.0)
    assert recist.box().center == (4.0, 3.0)


def test_the_longest_diameter_is_that_of_a_naive_search():
    rng = np.random.default_rng(2)
    mask = np.zeros((30, 30), np.uint8)
    for _ in range(4):
        row, column = rng.integers(8, 20, 2)
        mask[row : row + 5, column : column + 3] = 1
    best = 0.0
    edges = [
        (column + dx, row + dy)
        for row, column in np.argwhere(mask)
        for dx, dy in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
    ]
    for x1, y1 in edges:
        for x2, y2 in edges:
            best = max(best, np.hypot((x2 - x1) * 0.7, (y2 - y1) * 0.9))
    assert recist_of_mask(mask, (0.7, 0.9)).diameters_mm((0.7, 0.9))[0] == pytest.approx(best)


def test_an_empty_mask_is_refused():
    with pytest.raises(LesionError, match="empty"):
        recist_of_mask(np.zeros((4, 4)), (1.0, 1.0))
