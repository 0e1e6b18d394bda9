"""The recipes' table: means over seeds, and differences that know seeds as well as patients.

Two recipes are compared on the same draws of the patients, and seed by seed: a seed decides which
slices a run sees, in which order. Three seeds are few, and patients alone would make every
difference between two runs look like one between two recipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Runs = Mapping[int, Floats]
"""By seed, (1 + draws,): the score, then that of every draw of the patients."""

SEED = 0


def over_seeds(runs: Sequence[Floats]) -> Floats:
    """(1 + draws,): the mean over (seeds, 1 + draws), then what it may be.

    Each draw takes the patients of its column and as many seeds as there are, with replacement.
    The mean of n seeds drawn from n spreads less than the mean of n new ones, by (n - 1) / n of
    the variance, so that what the seeds add is stretched by sqrt(n / (n - 1)). One seed says
    nothing of others: its draws are the patients'.
    """
    values = np.asarray(runs, np.float64)
    count, columns = values.shape
    middle = values.mean(axis=0)
    if count < 2:
        return middle
    drawn = np.random.default_rng(SEED).integers(0, count, (count, columns))
    drawn[:, 0] = np.arange(count)
    apart = values[drawn, np.arange(columns)].mean(axis=0) - middle
    return np.asarray(middle + np.sqrt(count / (count - 1)) * apart)


def interval(values: Floats) -> list[float]:
    """Value, low and high of 95 % of the draws."""
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return [round(float(x), 3) for x in (values[0], low, high)]


def compared(means: Mapping[str, Runs], first: str, start: Floats | None) -> dict[str, Any]:
    """By recipe: its mean, and how far it leads the ``first`` one and the ``start`` of all.

    Against another recipe seeds count that both have done; the start has no seed.
    """
    rows: dict[str, Any] = {}
    for name, runs in means.items():
        score = np.clip(over_seeds(list(runs.values())), 0, 1)
        row: dict[str, Any] = {"A": interval(score)}
        row["seeds"] = {seed: round(float(one[0]), 3) for seed, one in sorted(runs.items())}
        shared = sorted(set(runs) & set(means.get(first, {})))
        if name != first and shared:
            leads = [runs[seed] - means[first][seed] for seed in shared]
            row["less the first"] = interval(over_seeds(leads))
        if start is not None:
            leads = [one - start for one in runs.values()]
            row["less the start"] = interval(over_seeds(leads))
        rows[name] = row
    return rows


def group_means(scored: Sequence[Mapping[str, Any]], score: str) -> dict[str, dict[str, float]]:
    """By group of lesions (all, a size, a type): a score's mean over runs, and the lesions."""
    found: dict[str, dict[str, float]] = {}
    for group in scored[0] if scored else ():
        values = [one[group][score]["value"] for one in scored if group in one]
        known = [value for value in values if value is not None]
        if known:
            queries = scored[0][group][score].get("queries", 0)
            found[group] = {"mean": round(float(np.mean(known)), 3), "lesions": queries}
    return found
