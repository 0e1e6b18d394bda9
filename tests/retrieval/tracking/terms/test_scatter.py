"""Log-likelihood ratios of location, size and type, recomputed with scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrieval.tracking.terms.scatter import PairScatter
from retrieval.tracking.terms.type_by_position import unequal_pairs

SCATTER = PairScatter()
MM = st.floats(-400, 400)


def one(offset: tuple[float, float, float], error: tuple[float, float, float]) -> float:
    return float(SCATTER.location_ratio(np.array(offset), np.array(error)))


@given(MM, MM, MM, st.floats(0, 80))
def test_the_ratio_of_locations_is_that_of_the_densities(
    x: float, y: float, z: float, error: float
) -> None:
    same = different = 0.0
    for axis, offset in enumerate((x, y, z)):
        near = math.hypot(SCATTER.same_mm[axis], error)
        wide = math.hypot(SCATTER.different_mm[axis], error)
        same += stats.t.logpdf(offset, SCATTER.same_freedom, scale=near)
        different += stats.t.logpdf(offset, SCATTER.different_freedom, scale=wide)
    share = SCATTER.gross_error
    expected = np.logaddexp(math.log(1 - share) + same, math.log(share) + different) - different
    assert one((x, y, z), (error,) * 3) == pytest.approx(expected, abs=1e-6)


@given(MM, MM, MM, st.floats(0, 80))
def test_no_distance_however_far_counts_for_more_than_a_gross_error(
    x: float, y: float, z: float, error: float
) -> None:
    assert one((x, y, z), (error,) * 3) >= math.log(SCATTER.gross_error) - 1e-9


def test_a_distance_counts_for_a_match_near_and_against_it_far() -> None:
    assert one((0, 0, 0), (0, 0, 0)) > 6
    assert one((5, 5, 5), (0, 0, 0)) > 4
    assert one((0, 62, 102), (0, 0, 0)) < -3
    assert one((30, 30, 40), (0, 0, 0)) < one((30, 30, 40), (19, 25, 22))


def test_sizes_and_types() -> None:
    def size(ratio: float, error: float = 0.0) -> float:
        return float(SCATTER.size_ratio(np.array(ratio), np.array(error)))

    assert size(0.0) == pytest.approx(
        stats.t.logpdf(0, SCATTER.same_size_freedom, scale=SCATTER.same_log_size)
        - stats.t.logpdf(0, SCATTER.different_size_freedom, scale=SCATTER.different_log_size)
    )
    assert size(math.log(2.0)) < 0 < size(math.log(1.1))
    assert size(math.log(1.5)) == pytest.approx(size(-math.log(1.5)))
    assert 0 < size(0.0, 0.3) < size(0.0)
    share = np.array([0.2, 0.35, 0.45])
    apart = unequal_pairs(share)
    assert apart.sum(axis=0) == pytest.approx(share)
    assert apart.sum(axis=1) == pytest.approx(share)
    assert np.diag(apart).tolist() == [0.0] * 3
    likely = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [1, 1, 1], [1.0, 0.2, 0.1]])
    ratio = SCATTER.type_ratio(likely, share, apart)
    assert ratio[0, 1] == pytest.approx(math.log(0.992 / 0.5))
    assert ratio[0, 2] == pytest.approx(math.log(0.008 / 0.5))
    assert ratio[3, :] == pytest.approx(0.0, abs=1e-8), "nothing known says nothing"
    assert ratio[:, 3] == pytest.approx(0.0, abs=1e-8)
    assert 0 < ratio[0, 4] < ratio[0, 1], "a likely type says less than a known one"
    assert ratio[0, 2] < ratio[2, 4] < 0
    assert ratio == pytest.approx(ratio.T)


def test_what_is_not_known_says_nothing() -> None:
    unknown = np.full(3, np.nan)
    assert float(SCATTER.location_ratio(unknown, unknown)) == 0.0
    assert float(SCATTER.size_ratio(np.array(np.nan), np.array(0.0))) == 0.0


def test_numbers_are_read_as_written_and_wrong_ones_named() -> None:
    assert PairScatter.from_json(SCATTER.to_json()) == SCATTER
    numbers = SCATTER.to_json()
    with pytest.raises(ValueError, match="gross_error"):
        PairScatter.from_json({k: v for k, v in numbers.items() if k != "gross_error"})
    with pytest.raises(ValueError, match="above 0"):
        PairScatter.from_json({**numbers, "same_freedom": 0.0})
