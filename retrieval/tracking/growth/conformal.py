"""Ranges that hold what they say: conformal calibration of a distribution's central ranges.

How far out a change lay is the level of the narrowest central range that holds it, |2 F(y) - 1|.
The share of changes of patients left out that lie within a level is what that level is really
worth (split conformal prediction, Vovk et al. 2005, with patients as the exchangeable units). The
lesions of one patient are alike, so its n changes count as n / (1 + (n - 1) r) independent ones,
with the correlation r = 0.19 of two lesions of one patient over one interval. One patient more,
whose changes lie beyond all, makes the ranges a little wider than the sample's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from retrieval.tracking.growth.courses import FloatArray
from retrieval.tracking.growth.kernels import ChangeDistribution
from retrieval.tracking.growth.steps import IntArray

SIBLINGS_CORRELATION = 0.19
"""Of the log changes of two lesions of one patient: 258 lesions of the Deep Longitudinal Study."""

LEAST_PATIENTS = 30
"""Fewer cannot tell a range of 95 %."""

# Dense towards 1: forecasts of half the true spread have their 95 % at a level of 0.9999.
_KNOTS = np.concatenate([np.linspace(0, 0.9, 37), 1 - np.logspace(-1, -6, 26)[1:], [1.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The true share ``shares`` (k,) of changes within each nominal central level ``levels`` (k,).

    Both rise from 0 to 1; linear between.
    """

    levels: FloatArray
    shares: FloatArray
    patients: int = 0

    @classmethod
    def none(cls) -> Self:
        """Ranges as they are."""
        return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]))

    @classmethod
    def fit(cls, below: FloatArray, patients: IntArray) -> Self:
        """The calibration of n forecasts of patients left out.

        Args:
            below: (n,) the forecast probability of a change at most as large as came.
            patients: (n,) whose it was.
        """
        _, number, counts = np.unique(patients, return_inverse=True, return_counts=True)
        effective = counts / (1 + (counts - 1) * SIBLINGS_CORRELATION)
        weight = (effective / counts)[number]
        level = np.abs(2 * below - 1)
        order = np.argsort(level)
        reached = np.cumsum(weight[order]) / (effective.sum() + effective.mean())
        at = np.concatenate([[0.0], level[order]])
        share = np.interp(_KNOTS, at, np.concatenate([[0.0], reached]))
        share[-1] = 1.0
        # Strictly rising, so that every level has one inverse.
        share = np.maximum.accumulate(share) * (1 - 1e-9) + _KNOTS * 1e-9
        return cls(_KNOTS, share, len(counts))

    def calibrated(self, distribution: ChangeDistribution) -> ChangeDistribution:
        """The distribution with its central ranges stretched; the median stays."""
        away = 2 * distribution.cdf - 1
        true = np.interp(np.abs(away), self.levels, self.shares)
        return ChangeDistribution(
            distribution.grid, np.maximum.accumulate((1 + np.sign(away) * true) / 2)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "patients": self.patients,
            "levels": self.levels.round(8).tolist(),
            "shares": self.shares.round(8).tolist(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError."""
        levels = np.array(fields["levels"], dtype=np.float64)
        shares = np.array(fields["shares"], dtype=np.float64)
        rising = (np.diff(levels) >= 0).all() and (np.diff(shares) >= 0).all()
        if levels.shape != shares.shape or len(levels) < 2 or not rising:
            raise ValueError("a calibration's levels and shares rise together from 0 to 1")
        return cls(levels, shares, int(fields["patients"]))
