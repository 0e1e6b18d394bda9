"""Free-response ROC: sensitivity at a rate of false positives an image, with intervals by patient.

A lesion is found at a rate of r false positives an image if no more than r times the number of
images of false positives score as high as the best box that hits it. That is what reading the
released curve by linear interpolation gives: every box moves it either right or up, so no point
lies on a slope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.detection.matching import Found
from retrieval.evaluation.stats.intervals import Estimate, with_interval
from retrieval.evaluation.stats.metrics import BoolArray, FloatArray, IntArray

ALL = "all"
"""The group of every lesion."""

CURVE_POINTS = 400
"""The most points of a stored curve; the steps between them are smaller than a printed line."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Where a FROC curve is read.

    Attributes:
        false_positives: an image, in rising order.
        averaged: those whose sensitivities are averaged into the one score of the protocol.
        proposals: numbers of best boxes an image, for the share of lesions that they hit.
    """

    false_positives: tuple[float, ...]
    averaged: tuple[float, ...]
    proposals: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a table, in its order; the mean stands after the rates."""
        average = ", ".join(f"{rate:g}" for rate in self.averaged)
        return (
            *(f"at {rate:g} FP" for rate in self.false_positives),
            f"mean of {average}",
            *(f"best {count}" for count in self.proposals),
        )

    @property
    def mean_name(self) -> str:
        """The column of the protocol's one score."""
        return self.names[len(self.false_positives)]


@dataclass(frozen=True, slots=True)
class FrocScores:
    """One method's sensitivities.

    Attributes:
        groups: group of lesions -> column of ``Rates.names`` -> estimate; ``all`` comes first.
        false_positives, sensitivity: the curve over all lesions, at most CURVE_POINTS points.
    """

    groups: Mapping[str, Mapping[str, Estimate]]
    false_positives: tuple[float, ...]
    sensitivity: tuple[float, ...]

    @property
    def overall(self) -> Mapping[str, Estimate]:
        """The estimates over all lesions."""
        return self.groups[ALL]

    def to_json(self) -> dict[str, Any]:
        """Groups with their estimates, and the curve."""
        return {
            "groups": {
                group: {name: one.to_json() for name, one in estimates.items()}
                for group, estimates in self.groups.items()
            },
            "curve": {
                "false_positives": [round(rate, 5) for rate in self.false_positives],
                "sensitivity": [round(value, 5) for value in self.sensitivity],
            },
        }


def score_froc(
    found: Found,
    patients: IntArray,
    rates: Rates,
    generator: Generator,
    *,
    groups: Mapping[str, BoolArray] | None = None,
    resamples: int = 1000,
) -> FrocScores:
    """Sensitivities of all lesions and of groups of them.

    The false positives of a group are those of all images: a box on a lesion of another group is
    not false, and the operating point is the same for every group.

    Args:
        found: what the detector found.
        patients: (images,) the patient of each image.
        rates: where to read the curve.
        generator: draws the resamples.
        groups: name to (lesions,) membership; a group without lesions is left out.
        resamples: how many times the patients are drawn with replacement.
    """
    members = {ALL: np.ones(len(found.image), bool), **(groups or {})}
    members = {name: inside for name, inside in members.items() if inside.any()}
    table = np.array([inside for inside in members.values()], np.float64)
    reader = _CurveReader(found, rates)
    values = reader.read(np.ones(found.images), table)
    drawn = _resampled(reader, table, patients, generator, resamples)
    curve = froc_curve(found)
    return FrocScores(
        groups={
            group: {
                column: with_interval(
                    float(values[row, place]), drawn[:, row, place], int(table[row].sum())
                )
                for place, column in enumerate(rates.names)
            }
            for row, group in enumerate(members)
        },
        false_positives=tuple(float(rate) for rate in curve[0]),
        sensitivity=tuple(float(value) for value in curve[1]),
    )


def resampled_means(
    found: Found, patients: IntArray, rates: Rates, *, seed: int = 0, resamples: int = 1000
) -> FloatArray:
    """(1 + resamples,): the protocol's one score of all patients, then of each draw of them.

    The same seed draws the same patients, so that the scores of two detectors on the same images
    can be subtracted draw by draw.
    """
    reader = _CurveReader(found, rates)
    table = np.ones((1, len(found.image)))
    column = rates.names.index(rates.mean_name)
    whole = reader.read(np.ones(found.images), table)[0, column]
    generator = np.random.default_rng(seed)
    drawn = _resampled(reader, table, patients, generator, resamples)[:, 0, column]
    return np.concatenate([[whole], drawn])


def froc_curve(found: Found, points: int = CURVE_POINTS) -> tuple[FloatArray, FloatArray]:
    """The corners of the curve: false positives an image, and the sensitivity there.

    From no box to all of them, thinned to ``points`` where there are more.
    """
    before = np.sort(_false_before(found)[np.isfinite(found.score)])
    total = len(found.false_score)
    corners = np.unique(np.concatenate([[0], before, [total]]))
    if len(corners) > points:
        corners = corners[np.unique(np.linspace(0, len(corners) - 1, points).round().astype(int))]
    hit = np.searchsorted(before, corners, side="right")
    lesions = max(len(found.score), 1)
    return corners / max(found.images, 1), hit / lesions


class _CurveReader:
    """Reads every column for weighted images; what does not depend on the weights is kept."""

    def __init__(self, found: Found, rates: Rates) -> None:
        self._found = found
        self._false_image = found.false_image[np.argsort(-found.false_score, kind="stable")]
        self._before = _false_before(found)
        self._hit = np.isfinite(found.score)[:, None]
        self._rates = np.array(rates.false_positives)
        self._averaged = [rates.false_positives.index(rate) for rate in rates.averaged]
        self._proposed = found.rank[:, None] <= np.array(rates.proposals, np.float64)[None, :]

    def read(self, weights: FloatArray, table: FloatArray) -> FloatArray:
        """(groups, columns); NaN for a group that the weights leave without lesions."""
        counted = np.concatenate([[0.0], np.cumsum(weights[self._false_image])])
        allowed = self._rates * weights.sum()
        at_rates = self._hit & (counted[self._before][:, None] <= allowed[None, :])
        columns = np.concatenate([at_rates, self._proposed], axis=1)
        share = weights[self._found.image]
        sums = table @ (share[:, None] * columns)
        totals = (table @ share)[:, None]
        values = np.divide(sums, totals, out=np.full(sums.shape, np.nan), where=totals > 0)
        split = len(self._rates)
        mean = values[:, self._averaged].mean(axis=1, keepdims=True)
        return np.concatenate([values[:, :split], mean, values[:, split:]], axis=1)


def _false_before(found: Found) -> IntArray:
    """(lesions,) how many false positives score at least as high as the lesion's best hit."""
    falling = np.sort(-found.false_score)
    return np.searchsorted(falling, -found.score, side="right").astype(np.int64)


def _resampled(
    reader: _CurveReader,
    table: FloatArray,
    patients: IntArray,
    generator: Generator,
    resamples: int,
) -> FloatArray:
    """(resamples, groups, columns) of drawn patients; NaN for fewer than two of them."""
    _, patient = np.unique(patients, return_inverse=True)
    count = int(patient.max()) + 1 if len(patient) else 0
    draws: Sequence[FloatArray] = [
        reader.read(_drawn(generator, count)[patient], table)
        for _ in range(resamples if count > 1 else 0)
    ]
    if not draws:
        shape = reader.read(np.ones(len(patients)), table).shape
        return np.full((1, *shape), np.nan)
    return np.stack(draws)


def _drawn(generator: Generator, count: int) -> FloatArray:
    picks = generator.integers(0, count, count)
    return np.bincount(picks, minlength=count).astype(np.float64)
