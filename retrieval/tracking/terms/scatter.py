"""What a distance, a ratio of sizes and two types are worth: log-likelihood ratios of a pair.

Each is ln p(seen | same lesion) - ln p(seen | two lesions of one patient). Both densities are
widened by the errors of what is compared, so that a coarse estimate says little and an unknown
value says nothing. Locations and sizes scatter by Student's t, whose tails are heavy: a large
change is unlikely, never impossible. A location may also be wrong altogether (another body outline,
a narrow field of view); then it says nothing, so however far two locations lie apart, the ratio
never falls below ln(gross error).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PairScatter:
    """How pairs of the same lesion scatter, and pairs of different lesions of one patient.

    Measured on real patients by ``benchmarks/matcher_scatter.py``: the same lesion on 368 pairs
    of 52 patients (calibration half of the Deep Longitudinal Study), different lesions on the
    pairs within a series of DeepLesion's validation and test rows.

    Attributes:
        same_mm: scale of the offset of given locations of one lesion, nominal mm.
        same_freedom: its degrees of freedom.
        different_mm: scale of the offset of different lesions.
        different_freedom: its degrees of freedom.
        gross_error: share of pairs in which a location is wrong altogether. None was among the 52
            patients, so at most one in twenty; an assumption within that.
        same_log_size: scale of ln(size over size) of one lesion in two studies.
        same_size_freedom: its degrees of freedom.
        different_log_size: scale for different lesions.
        different_size_freedom: its degrees of freedom.
        same_types_agree: share of pairs of one lesion whose known types agree.
        different_types_agree: share for different lesions.
    """

    same_mm: Triple = (6.1, 6.0, 6.2)
    same_freedom: float = 2.6
    different_mm: Triple = (84.6, 50.8, 130.8)
    different_freedom: float = 6.0
    gross_error: float = 0.03
    same_log_size: float = 0.135
    same_size_freedom: float = 3.2
    different_log_size: float = 0.613
    different_size_freedom: float = 7.4
    same_types_agree: float = 0.992
    different_types_agree: float = 0.5

    def location_ratio(self, offset_mm: FloatArray, error_mm: FloatArray) -> FloatArray:
        """Log-likelihood ratios (...) of offsets (..., 3); 0 where an offset is not known (NaN).

        ``error_mm`` (..., 3) is the standard error of the offset beyond that of given locations:
        the root of the sum of both ends' squared errors.
        """
        same = np.zeros(offset_mm.shape[:-1])
        different = np.zeros(offset_mm.shape[:-1])
        for axis in range(3):
            offset, error = offset_mm[..., axis], error_mm[..., axis]
            same += _log_t(offset, np.hypot(self.same_mm[axis], error), self.same_freedom)
            different += _log_t(
                offset, np.hypot(self.different_mm[axis], error), self.different_freedom
            )
        known = np.isfinite(same)
        sound = math.log1p(-self.gross_error) + np.where(known, same - different, 0.0)
        return np.where(known, np.logaddexp(sound, math.log(self.gross_error)), 0.0)

    def size_ratio(self, log_ratio: FloatArray, error: FloatArray) -> FloatArray:
        """Log-likelihood ratios of logarithms of size ratios; 0 where one is not known (NaN).

        ``error`` is the standard error of the logarithm beyond that of measured diameters.
        """
        same = _log_t(log_ratio, np.hypot(self.same_log_size, error), self.same_size_freedom)
        different = _log_t(
            log_ratio, np.hypot(self.different_log_size, error), self.different_size_freedom
        )
        return np.nan_to_num(same - different, nan=0.0)

    def type_ratio(
        self, likelihood: FloatArray, share: FloatArray, apart: FloatArray
    ) -> FloatArray:
        """(n, n) log-likelihood ratios of the types of n lesions.

        ``likelihood`` (n, types) is that of each lesion's evidence under each type, zero but for
        one where the type is known; ``share`` (types,) how common each is, and ``apart`` (types,
        types) how common each pair of unequal ones. Lesions of which nothing is known have the
        ratio 0 with any other.
        """

        def joint(agree: float) -> FloatArray:
            both = agree * np.diag(share) + (1.0 - agree) * apart
            return np.asarray(likelihood @ both @ likelihood.T)

        return np.log(joint(self.same_types_agree) / joint(self.different_types_agree))

    def to_json(self) -> dict[str, Any]:
        """Every number by its name."""
        return asdict(self)

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises ValueError for a missing, unknown or unfit number."""
        names = [field.name for field in fields(cls)]
        odd = sorted(set(names) ^ set(numbers))
        if odd:
            raise ValueError(f"scatter lacks or does not know {', '.join(odd)}")
        values = {name: _numbers(numbers[name]) for name in names}
        flat = [n for value in values.values() for n in np.atleast_1d(value)]
        if not all(math.isfinite(n) and n > 0 for n in flat):
            raise ValueError(f"scatter {dict(numbers)} needs finite numbers above 0")
        return cls(**values)


def _numbers(value: Any) -> Any:
    if isinstance(value, list | tuple):
        x, y, z = (float(number) for number in value)
        return (x, y, z)
    return float(value)


def _log_t(value: FloatArray, scale: FloatArray, freedom: float) -> FloatArray:
    """Log-density of Student's t about 0, by its definition."""
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    constant -= math.log(freedom * math.pi) / 2
    spread = np.log1p((value / scale) ** 2 / freedom)
    return np.asarray(constant - np.log(scale) - (freedom + 1) / 2 * spread)
