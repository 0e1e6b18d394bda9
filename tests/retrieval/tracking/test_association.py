"""The competition of lesions between two studies against listing every pairing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.tracking.association import best_assignment, match_marginals

LOG_ODDS = st.floats(-6, 6)


def pairings(rows: int, columns: int) -> Iterator[tuple[tuple[int, int], ...]]:
    for size in range(min(rows, columns) + 1):
        for chosen in combinations(range(rows), size):
            for partners in permutations(range(columns), size):
                yield tuple(zip(chosen, partners, strict=True))


def listed_marginals(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    total, marginal = 0.0, np.zeros(log_odds.shape)
    for pairing in pairings(*log_odds.shape):
        weight = float(np.exp(sum(log_odds[pair] for pair in pairing)))
        total += weight
        for pair in pairing:
            marginal[pair] += weight
    return marginal / total


@st.composite
def matrices(draw: st.DrawFn, most: int = 4) -> NDArray[np.float64]:
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    numbers = draw(st.lists(LOG_ODDS, min_size=rows * columns, max_size=rows * columns))
    return np.array(numbers).reshape(rows, columns)


@given(st.lists(LOG_ODDS, min_size=1, max_size=5))
def test_one_lesion_against_many_is_exact(numbers: list[float]) -> None:
    row = np.array([numbers])
    np.testing.assert_allclose(match_marginals(row), listed_marginals(row), atol=1e-6)
    np.testing.assert_allclose(match_marginals(row.T), listed_marginals(row.T), atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(matrices())
def test_nobody_is_matched_more_than_once(log_odds: NDArray[np.float64]) -> None:
    found = match_marginals(log_odds)
    assert found.min() >= 0.0
    assert found.sum(axis=0).max() <= 1 + 1e-3
    assert found.sum(axis=1).max() <= 1 + 1e-3


def test_marginals_are_near_those_of_all_pairings() -> None:
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        log_odds = generator.uniform(-6, 6, size=generator.integers(1, 5, size=2))
        errors.append(np.abs(match_marginals(log_odds) - listed_marginals(log_odds)).max())
    assert np.quantile(errors, 0.5) < 1e-3
    assert np.quantile(errors, 0.9) < 0.05
    assert max(errors) < 0.35, "loops of equally good pairs are only approximated"


@settings(deadline=None, max_examples=60)
@given(matrices())
def test_the_assignment_gains_as_much_as_the_best_pairing(log_odds: NDArray[np.float64]) -> None:
    pairs = best_assignment(log_odds)
    best = max(sum(float(log_odds[p]) for p in one) for one in pairings(*log_odds.shape))
    assert sum(log_odds[pair] for pair in pairs) == pytest.approx(best, abs=1e-9)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)


def test_a_stack_is_solved_as_its_parts() -> None:
    stack = np.random.default_rng(0).normal(size=(5, 3, 4))
    together = match_marginals(stack)
    for part, whole in zip(stack, together, strict=True):
        np.testing.assert_allclose(match_marginals(part), whole, atol=1e-5)


def test_forbidden_pairs_get_nothing_and_empty_studies_are_allowed() -> None:
    log_odds = np.array([[-np.inf, 2.0], [3.0, -np.inf]])
    found = match_marginals(log_odds)
    assert found[0, 0] == found[1, 1] == 0.0
    np.testing.assert_allclose([found[0, 1], found[1, 0]], 1 / (1 + np.exp([-2.0, -3.0])))
    assert best_assignment(log_odds) == [(0, 1), (1, 0)]
    assert best_assignment(np.zeros((0, 3))) == []
    assert match_marginals(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_lesion_alone_takes_its_best_partner_or_none(shape: tuple[int, int]) -> None:
    """The assignment of one row or column is written out; a second, hopeless one calls SciPy."""
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        gain = rng.normal(0, 2, shape)
        rows, columns = shape
        wider = np.full((rows + 1, columns + 1), -np.inf)
        wider[:rows, :columns] = gain
        assert best_assignment(gain) == best_assignment(wider)
