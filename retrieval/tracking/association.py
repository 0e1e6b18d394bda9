"""Who belongs to whom between two studies, where each lesion has at most one partner.

Given the log-odds of every pair, ``match_marginals`` gives the probability of each pair when all
lesions compete, and ``best_assignment`` the one-to-one pairing with the highest total log-odds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LOG_ODDS_LIMIT = 15.0
"""Log-odds are cut here: beyond it nothing changes but the rounding."""

_MOST_ROUNDS = 50
_SETTLED = 1e-6


def match_marginals(log_odds: FloatArray) -> FloatArray:
    """(..., m, n) probability of each pair over all pairings in which nobody has two partners.

    A pairing has the weight product of exp(log-odds) over its pairs; being without a partner
    weighs 1; -inf forbids a pair. Computed by loopy belief propagation, which converges for this
    problem and is exact where the pairs with weight form a tree (Williams and Lau 2014,
    "Approximate evaluation of marginal association probabilities with belief propagation").
    Elsewhere it is too sure: of random 4 x 4 matrices nine in ten come within 0.02 of listing all
    pairings, the worst of 3,000 within 0.26.
    """
    if log_odds.size == 0:
        return np.zeros(log_odds.shape)
    odds = np.exp(np.clip(log_odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT))
    odds[np.isneginf(log_odds)] = 0.0
    from_columns = odds
    from_rows = odds
    for _ in range(_MOST_ROUNDS):
        from_rows = odds / (1.0 + from_columns.sum(axis=-1, keepdims=True) - from_columns)
        following = odds / (1.0 + from_rows.sum(axis=-2, keepdims=True) - from_rows)
        change = float((np.abs(following - from_columns) / (1.0 + from_columns)).max())
        from_columns = following
        if change < _SETTLED:
            break
    matched = from_rows * from_columns
    return np.asarray(matched / (matched + np.maximum(odds, np.finfo(float).tiny)))


def best_assignment(gain: FloatArray) -> list[tuple[int, int]]:
    """The pairs (row, column) with the highest total gain, nobody twice.

    Staying without a partner gains 0, so only pairs of positive gain are taken; -inf forbids.
    """
    if gain.size == 0:
        return []
    if 1 in gain.shape:
        best = int(gain.argmax())
        pair = (best, 0) if gain.shape[1] == 1 else (0, best)
        return [pair] if gain[pair] > 0 else []
    # Loading scipy.optimize takes longer than all other imports of the index together.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-np.maximum(gain, 0.0))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0]
