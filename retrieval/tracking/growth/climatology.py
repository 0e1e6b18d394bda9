"""What lesions of that size and type did: Student's t, its centre and width by size and group.

The centre and the logarithm of the width are linear in the logarithm of the size, with an offset
for each lesion type and each category that shrinks to 0 where few lesions tell of it, and the
width may rise with the days between two studies. All of it is the mode of the posterior under
normal priors, so a few steps move a population's parameters little and many move them freely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from scipy import optimize, special

from retrieval.tracking.growth.courses import Course, FloatArray, SizeMeasure
from retrieval.tracking.growth.kernels import Kernels
from retrieval.tracking.growth.steps import GrowthSteps

REFERENCE_LOG_SIZE = {SizeMeasure.LONG: math.log(20.0), SizeMeasure.VOLUME: math.log(4000.0)}
"""The size at which ``centre`` and ``log_width`` hold."""

FREEDOMS = (3.0, 4.0, 5.0, 7.0, 10.0, 30.0)
"""Degrees of freedom that are tried."""

COMMON = ("centre", "centre_by_size", "log_width", "log_width_by_size", "log_width_by_log_days")


@dataclass(frozen=True, slots=True)
class ClimatologyPrior:
    """Where each parameter is believed to lie before any step is seen, as mean and deviation.

    The defaults say little: changes from one study to the next of some per cent to half the
    size, and widths that rise with the square root of time or less. ``group_centre`` and
    ``group_width`` are the deviations of the offsets of types and categories; their means are 0
    unless ``groups`` says otherwise. Larger ones (0.03, 0.2) had a worse log score on patients of
    the Deep Longitudinal Study left out: eight types tell little of growth.
    """

    common: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "centre": (0.0, 0.1),
            "centre_by_size": (0.0, 0.1),
            "log_width": (math.log(0.12), 0.6),
            "log_width_by_size": (0.0, 0.4),
            "log_width_by_log_days": (0.25, 0.15),
        }
    )
    group_centre: float = 0.01
    group_width: float = 0.1
    groups: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Climatology:
    """The fitted population.

    Attributes:
        common: the five parameters of ``COMMON``.
        groups: of each type (``type: liver``) and category (``category: 4``) the offsets of
            centre and log width.
        freedom: degrees of freedom of Student's t.
        reference_days: the interval at which ``log_width`` holds; None where none was dated.
        measure: what is measured.
    """

    common: Mapping[str, float]
    groups: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    freedom: float = 5.0
    reference_days: float | None = None
    measure: SizeMeasure = SizeMeasure.LONG

    def distribution(
        self, log_size: float, groups: Sequence[str], days: float | None = None
    ) -> Kernels:
        """The log change of a lesion of that size, of those groups, over ``days``.

        Without days, or where no interval is known, the change to the next study.
        """
        larger = log_size - REFERENCE_LOG_SIZE[self.measure]
        offsets = [self.groups[one] for one in groups if one in self.groups]
        centre = self.common["centre"] + self.common["centre_by_size"] * larger
        log_width = self.common["log_width"] + self.common["log_width_by_size"] * larger
        if days is not None and self.reference_days is not None:
            ratio = math.log(max(days, 1.0) / self.reference_days)
            log_width += self.common["log_width_by_log_days"] * ratio
        centre += sum(offset for offset, _ in offsets)
        log_width += sum(offset for _, offset in offsets)
        return Kernels.single(centre, math.exp(log_width), self.freedom)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "measure": self.measure.value,
            "common": dict(self.common),
            "groups": {name: list(offsets) for name, offsets in self.groups.items()},
            "freedom": self.freedom,
            "reference_days": self.reference_days,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError."""
        days = fields["reference_days"]
        return cls(
            common={name: float(fields["common"][name]) for name in COMMON},
            groups={n: (float(c), float(w)) for n, (c, w) in fields["groups"].items()},
            freedom=float(fields["freedom"]),
            reference_days=None if days is None else float(days),
            measure=SizeMeasure(fields["measure"]),
        )


def groups_of(course: Course) -> tuple[str, ...]:
    """The names of a course's groups."""
    return _names(course.lesion_type.value, course.category or "")


def _names(lesion_type: str, category: str) -> tuple[str, ...]:
    return (f"type: {lesion_type}", *([f"category: {category}"] if category else []))


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """The steps as the fit sees them: all parameters are one vector."""

    larger: FloatArray
    log_days: FloatArray
    member: FloatArray
    change: FloatArray
    mean: FloatArray
    deviation: FloatArray

    def centre_and_width(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        groups = self.member.shape[1]
        own, width = theta[5 : 5 + groups], theta[5 + groups :]
        centre = theta[0] + theta[1] * self.larger + self.member @ own
        log_width = theta[2] + theta[3] * self.larger + theta[4] * self.log_days
        return centre, np.exp(log_width + self.member @ width)

    def loss(self, theta: FloatArray, freedom: float) -> tuple[float, FloatArray]:
        """Minus the log posterior without its constant, and the gradient."""
        centre, width = self.centre_and_width(theta)
        z = (self.change - centre) / width
        off = (theta - self.mean) / self.deviation
        value = (freedom + 1) / 2 * np.log1p(z**2 / freedom).sum() + np.log(width).sum()
        pull = (freedom + 1) * z / (freedom + z**2)
        by_centre, by_width = -pull / width, 1 - pull * z
        gradient = np.concatenate(
            [
                [by_centre.sum(), (by_centre * self.larger).sum()],
                [by_width.sum(), (by_width * self.larger).sum(), (by_width * self.log_days).sum()],
                by_centre @ self.member,
                by_width @ self.member,
            ]
        )
        return float(value + (off**2).sum() / 2), gradient + off / self.deviation


def fit_climatology(
    steps: GrowthSteps,
    prior: ClimatologyPrior | None = None,
    *,
    start: Climatology | None = None,
) -> Climatology:
    """The population of the steps, by the mode of its posterior.

    ``start`` is a fit of nearly the same steps: its degrees of freedom are kept and the search
    begins there. With no steps the prior's means come back.
    """
    believed = prior or ClimatologyPrior()
    names = _group_names(steps)
    reference = steps.median_days
    design = _design(steps, believed, names, reference)
    first = design.mean if start is None else _vector(start, names)
    freedoms = FREEDOMS if start is None else (start.freedom,)
    best: tuple[float, FloatArray, float] | None = None
    for freedom in freedoms:
        found = optimize.minimize(design.loss, first, args=(freedom,), jac=True, method="L-BFGS-B")
        loss = float(found.fun) + len(steps) * _student_constant(freedom)
        if best is None or loss < best[0]:
            best = (loss, np.asarray(found.x), freedom)
    assert best is not None
    _, theta, freedom = best
    count = len(names)
    return Climatology(
        common=dict(zip(COMMON, map(float, theta[:5]), strict=True)),
        groups={
            name: (float(theta[5 + at]), float(theta[5 + count + at]))
            for at, name in enumerate(names)
        },
        freedom=freedom,
        reference_days=reference,
        measure=steps.measure,
    )


def _student_constant(freedom: float) -> float:
    """Minus the logarithm of the constant of Student's density."""
    gamma = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)
    return float(math.log(freedom * math.pi) / 2 - gamma)


def _group_names(steps: GrowthSteps) -> list[str]:
    found = {
        name
        for kind, category in zip(steps.types, steps.categories, strict=True)
        for name in _names(str(kind), str(category))
    }
    return sorted(found)


def _design(
    steps: GrowthSteps, prior: ClimatologyPrior, names: list[str], reference: float | None
) -> _Design:
    column = {name: at for at, name in enumerate(names)}
    member = np.zeros((len(steps), len(names)))
    for row, (kind, category) in enumerate(zip(steps.types, steps.categories, strict=True)):
        for name in _names(str(kind), str(category)):
            member[row, column[name]] = 1.0
    log_days = np.zeros(len(steps))
    if reference is not None:
        log_days = np.nan_to_num(np.log(steps.days / reference), nan=0.0)
    common = np.array([prior.common[name] for name in COMMON])
    known = np.array([prior.groups.get(name, (0.0, 0.0)) for name in names]).reshape(-1, 2)
    spread = [prior.group_centre] * len(names) + [prior.group_width] * len(names)
    return _Design(
        larger=steps.log_size - REFERENCE_LOG_SIZE[steps.measure],
        log_days=log_days,
        member=member,
        change=steps.change,
        mean=np.concatenate([common[:, 0], known[:, 0], known[:, 1]]),
        deviation=np.concatenate([common[:, 1], spread]),
    )


def _vector(fitted: Climatology, names: list[str]) -> FloatArray:
    offsets = np.array([fitted.groups.get(name, (0.0, 0.0)) for name in names]).reshape(-1, 2)
    common = [fitted.common[name] for name in COMMON]
    return np.concatenate([common, offsets[:, 0], offsets[:, 1]])


def as_prior(fitted: Climatology) -> ClimatologyPrior:
    """A fitted population as what is believed of another one, which may differ somewhat."""
    deviations = (0.05, 0.03, 0.35, 0.1, 0.15)
    return ClimatologyPrior(
        common={
            name: (fitted.common[name], deviation)
            for name, deviation in zip(COMMON, deviations, strict=True)
        },
        groups=fitted.groups,
    )
