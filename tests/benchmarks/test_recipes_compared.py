"""Differences between recipes: an interval that knows seeds is wider where seeds differ."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recipes_compared import compared, group_means, interval, over_seeds


def runs(of_seed: list[float], spread: float, draws: int = 4000) -> dict[int, np.ndarray]:
    """By seed: its score and draws of patients that move all seeds alike."""
    moved = np.concatenate([[0.0], np.random.default_rng(3).normal(0, spread, draws)])
    return {seed: value + moved for seed, value in enumerate(of_seed)}


def test_seeds_add_the_error_of_their_mean():
    seeds = [0.50, 0.56, 0.62]
    drawn = over_seeds(list(runs(seeds, spread=0.02).values()))
    assert drawn[0] == pytest.approx(np.mean(seeds))
    expected = np.hypot(0.02, np.std(seeds, ddof=1) / np.sqrt(3))
    assert drawn[1:].std() == pytest.approx(expected, rel=0.05)


def test_one_seed_has_the_patients_interval_alone():
    alone = runs([0.5], spread=0.02)
    assert np.array_equal(over_seeds(list(alone.values())), alone[0])
    value, low, high = interval(alone[0])
    assert value == 0.5
    assert low < 0.47 < 0.53 < high


def test_recipes_are_compared_seed_by_seed():
    # The second leads by 0.05 at every seed, however far the seeds lie apart.
    first, second = runs([0.4, 0.6, 0.5], 0.03), runs([0.45, 0.65, 0.55], 0.03)
    del second[2]
    rows = compared({"a": first, "b": second}, "a", first[0] - 0.1)
    assert rows["b"]["less the first"] == pytest.approx([0.05] * 3)
    assert rows["b"]["seeds"] == {0: 0.45, 1: 0.65}
    assert "less the first" not in rows["a"]
    value, low, high = rows["a"]["less the start"]
    assert value == pytest.approx(0.2)
    assert low < 0.15 < 0.25 < high


def test_groups_are_means_over_runs():
    def one(value: float | None) -> dict[str, dict[str, dict[str, float | None]]]:
        return {"under 10 mm": {"score": {"value": value, "queries": 7}}}

    assert group_means([one(0.2), one(0.4)], "score") == {
        "under 10 mm": {"mean": 0.3, "lesions": 7}
    }
    assert group_means([one(None)], "score") == {}
    assert group_means([], "score") == {}
