"""Diameters of masks against shapes whose diameters are known, and against a naive search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from retrieval.segmentation.diameters import (
    EmptyMaskError,
    contours_of,
    diameters_of,
    long_mm_of,
)
from retrieval.sources.importers.mask_marks import recist_of_mask


def ellipse(long: float, short: float, turn: float, side: int = 160) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    away = np.hypot(u / (long / 2), v / (short / 2))
    return 1 / (1 + np.exp((away - 1) * short))


@settings(max_examples=25, deadline=None)
@given(st.floats(20, 100), st.floats(0.4, 1.0), st.floats(0, 3.1))
def test_ellipses_at_any_angle(long, ratio, turn):
    found = diameters_of(ellipse(long, ratio * long, turn), (0.7, 0.7))
    # Small ones within half a pixel: the outline is a polygon of few points.
    assert found.long_mm == pytest.approx(0.7 * long, rel=0.01, abs=0.35)
    assert found.short_mm == pytest.approx(0.7 * ratio * long, rel=0.02, abs=0.35)


@pytest.mark.parametrize("level", [0.5, 0.2])
def test_the_long_diameter_alone_is_that_of_both(level):
    values = ellipse(60, 25, 0.4)
    both = diameters_of(values, (0.7, 0.9), long_level=level)
    assert long_mm_of(values, (0.7, 0.9), level=level) == both.long_mm
    with pytest.raises(EmptyMaskError, match="empty"):
        long_mm_of(np.zeros((5, 5)), (1.0, 1.0))


def test_pixels_in_a_row_measure_their_number():
    mask = np.zeros((9, 20))
    mask[4, 3:13] = 1
    found = diameters_of(mask, (1.0, 2.0))
    assert found.long_mm == pytest.approx(10, abs=0.05)
    assert found.long_mm == pytest.approx(
        recist_of_mask(mask, (1.0, 2.0)).diameters_mm((1.0, 2.0))[0], abs=0.1
    )


def test_lengths_follow_the_spacing_of_each_axis():
    mask = ellipse(40, 40, 0)
    found = diameters_of(mask, (1.0, 2.0))
    (x1, y1), (x2, y2) = found.recist.points[:2]
    assert abs(x1 - x2) < 3
    assert abs(y1 - y2) == pytest.approx(40, abs=0.5)
    assert found.long_mm == pytest.approx(80, abs=1)


def test_the_short_line_is_a_naive_searchs():
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter(rng.standard_normal((120, 120)), 6)
    y, x = np.mgrid[:120, :120] - 60
    mask = (np.hypot(x / 1.4, y) + 220 * noise < 30).astype(float)
    labels, _ = ndimage.label(mask)
    mask = (labels == labels[60, 60]).astype(float)
    found = diameters_of(mask, (1.0, 1.0))
    a, b = np.array(found.recist.points[0]), np.array(found.recist.points[1])
    along = (b - a) / np.linalg.norm(b - a)
    best = 0.0
    for turn in np.radians([-2, -1, 0, 1, 2]):
        c, s = np.cos(turn), np.sin(turn)
        forward = np.array([c * along[0] - s * along[1], s * along[0] + c * along[1]])
        across = np.array([-forward[1], forward[0]])
        for depth in np.arange(-5, found.long_mm + 5, 0.5):
            steps = np.arange(-80, 80, 0.25)
            points = a + depth * forward + steps[:, None] * across
            held = ndimage.map_coordinates(mask, points.T[::-1], order=1) >= 0.5
            runs, _ = ndimage.label(held)
            best = max(best, np.bincount(runs)[1:].max(initial=0) * 0.25)
    assert found.short_mm == pytest.approx(best, abs=0.8)


def test_the_lines_stand_within_two_degrees_of_the_perpendicular():
    found = diameters_of(ellipse(80, 40, 0.7), (1.0, 1.0))
    a, b, c, d = (np.array(point) for point in found.recist.points)
    cosine = (b - a) @ (d - c) / (found.long_mm * found.short_mm)
    assert abs(cosine) <= np.sin(np.radians(2)) + 1e-6
    assert found.who_mm2 == pytest.approx(found.long_mm * found.short_mm)


def test_an_empty_mask_is_refused_in_words():
    with pytest.raises(EmptyMaskError, match="empty"):
        diameters_of(np.zeros((10, 10)), (1.0, 1.0))


def test_contours_close_at_the_images_edge():
    mask = np.ones((5, 6))
    (contour,) = contours_of(mask)
    assert np.array_equal(contour[0], contour[-1])
    assert contour[:, 0].min() == pytest.approx(-0.5)
    assert contour[:, 1].max() == pytest.approx(4.5)
