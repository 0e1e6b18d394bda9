"""Order, breaks and slice interval of a series from its scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import theilslopes

from retrieval.position.order import SliceOrder, check_series, level_scores


def noisy(heights, slope=0.95, seed=0):
    return 120 + slope * heights + np.random.default_rng(seed).normal(0, 8, len(heights))


HEIGHTS = np.arange(0, 300, 5.0)


def test_order_is_told_either_way():
    up = check_series(noisy(HEIGHTS), HEIGHTS)
    down = check_series(noisy(HEIGHTS)[::-1], HEIGHTS)
    assert (up.order, down.order) == (SliceOrder.FEET_FIRST, SliceOrder.HEAD_FIRST)
    assert up.slope == pytest.approx(0.95, abs=0.03)
    assert up.is_sound
    assert down.is_sound


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_series_too_short_tells_no_order(count):
    heights = np.arange(count) * 5.0
    check = check_series(noisy(heights), heights)
    assert check.order is SliceOrder.UNCLEAR
    assert np.isnan(check.slope)


def test_a_gap_is_found_where_it_is():
    scores = noisy(HEIGHTS)
    scores[25:] += 120
    check = check_series(scores, HEIGHTS)
    assert len(check.jumps) == 1
    assert abs(check.jumps[0] - 25) <= 1
    assert not check.is_sound


def test_slices_of_another_place_in_the_middle_break_it_twice():
    scores = noisy(HEIGHTS)
    scores[20:32] -= 250
    assert len(check_series(scores, HEIGHTS).jumps) == 2


@pytest.mark.parametrize("wrong", [0.4, 2.5])
def test_a_wrong_interval_is_doubted(wrong):
    assert check_series(noisy(HEIGHTS), HEIGHTS * wrong).interval_doubtful
    assert not check_series(noisy(HEIGHTS), HEIGHTS).interval_doubtful


def test_levelling_takes_the_noise_out_of_a_sound_series_alone():
    scores, truth = noisy(HEIGHTS), 120 + 0.95 * HEIGHTS
    level = level_scores(scores, HEIGHTS, check_series(scores, HEIGHTS))
    assert np.abs(level - truth).max() < 4 < np.abs(scores - truth).max()
    broken = scores.copy()
    broken[25:] += 120
    kept = level_scores(broken, HEIGHTS, check_series(broken, HEIGHTS))
    np.testing.assert_array_equal(kept, broken)


def test_a_few_centimetres_against_the_stated_order_are_not_believed():
    """An unusual body: the scores fall by 50 mm where they should rise by 60."""
    heights = np.arange(13) * 5.0
    scores = -130 - 0.8 * heights
    check = check_series(scores, heights)
    assert check.order is SliceOrder.UNCLEAR
    level = level_scores(scores, heights, check)
    np.testing.assert_allclose(np.diff(level), 5.0)
    assert np.median(level - heights) == pytest.approx(np.median(scores - heights))


def test_a_short_series_turned_over_keeps_its_own_order():
    heights = np.arange(19) * 5.0
    scores = noisy(heights)[::-1]
    check = check_series(scores, heights)
    assert check.order is SliceOrder.HEAD_FIRST
    np.testing.assert_allclose(np.diff(level_scores(scores, heights, check)), -5.0)


def test_the_slope_is_that_of_scipy():
    rng = np.random.default_rng(3)
    heights = np.sort(rng.uniform(0, 400, 60))
    scores = 0.9 * heights + rng.normal(0, 20, 60)
    scores[::7] += 300
    assert check_series(scores, heights).slope == pytest.approx(theilslopes(scores, heights)[0])
