"""What the values of an image say: do air, fat and soft tissue lie where Hounsfield units put them?

Water is 0 HU and air -1000 HU by definition; lung lies between -950 and -500, fat between -140
and -60, soft tissue between 0 and 90 (up to 200 with contrast). An image of which some of these
are seen in their places holds HU. One in which none can be, because everything stands elsewhere
(normalised values, a lost intercept, another scale, MR), does not. A crop that shows only lung, or
only soft tissue, may be too little to tell: then the answer is "unsure", with what was seen.

The bounds were measured on real CT of chest, abdomen, limbs, head and neck, and on crops of 30 to
50 mm: see ``benchmarks/intensity.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SAMPLED_VOXELS = 16_000
"""Judged at most, spread evenly: enough for shares of a hundredth, and a millisecond's work."""

WIDE_MM = 100.0
"""A picture this wide and high shows fat and more than one organ, or it is no CT of a body."""

CROP_MM = 30.0
"""Smaller crops may show one tissue alone."""

_PADDING_BELOW = -1300.0
_FARTHEST = 1e6
_NARROW = 20.0
_NARROW_FRACTIONS = 50.0
_LOWEST_TISSUE = -600.0
_ONE_TISSUE_SPAN = 160.0
_ONE_TISSUE_MAX = 400.0


class IntensityKind(StrEnum):
    """What an image's values are taken for."""

    HOUNSFIELD = "HU"
    UNSURE = "unsure"
    OTHER = "not HU"


@dataclass(frozen=True, slots=True)
class IntensityVerdict:
    """The kind, and what was seen: a phrase that goes on from "its values"; empty for HU."""

    kind: IntensityKind
    seen: str = ""


_HU = IntensityVerdict(IntensityKind.HOUNSFIELD)


def judge_values(
    values: NDArray[np.floating | np.integer], *, extent_mm: tuple[float, float]
) -> IntensityVerdict:
    """Whether the values of an image are HU, by their histogram.

    Args:
        values: (slices, rows, columns), any order; what is no number is left out.
        extent_mm: width and height of a slice.
    """
    sample = _without_padding(sampled(values))
    if not sample.size:
        return IntensityVerdict(IntensityKind.UNSURE, "are no numbers throughout")
    return _judge_spread(sample) or _judge_tissue(sample, min(extent_mm))


def sampled(
    values: NDArray[np.floating | np.integer], count: int = SAMPLED_VOXELS
) -> NDArray[np.float32]:
    """About ``count`` of the values, spread evenly over all slices, rows and columns."""
    step = max(1, values.size // count)
    # A step that shares no divisor with a row's length visits every column.
    while math.gcd(step, values.shape[-1]) > 1 and step > 1:
        step += 1
    if values.flags.c_contiguous:
        return np.asarray(values.reshape(-1)[::step], dtype=np.float32)
    places = np.unravel_index(np.arange(0, values.size, step), values.shape)
    return np.asarray(values[places], dtype=np.float32)


def _without_padding(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The numbers without the one number, far below air, that fills what was not scanned."""
    sample = sample[~np.isnan(sample)]
    if not sample.size or float(sample.min()) >= _PADDING_BELOW:
        return sample
    is_lowest = sample == sample.min()
    return np.asarray(sample[~is_lowest] if is_lowest.mean() > 0.002 else sample)


def _judge_spread(sample: NDArray[np.float32]) -> IntensityVerdict | None:
    """What the range alone decides; None where tissue must be looked for."""
    low, high = float(sample.min()), float(sample.max())
    if max(-low, high) > _FARTHEST:
        return IntensityVerdict(
            IntensityKind.OTHER, f"reach from {low:.4g} to {high:.4g}, infinite or far from any HU"
        )
    if high - low < _NARROW_FRACTIONS:
        return _judge_narrow(sample, low, high)
    below = float(np.mean(sample < _PADDING_BELOW))
    if below > 0.05:
        return IntensityVerdict(
            IntensityKind.OTHER,
            f"lie below {_PADDING_BELOW:g} for {below:.0%}, where CT has nothing: another scale, "
            "or an intercept subtracted twice",
        )
    if np.count_nonzero(sample <= -20) <= 0.001 * (sample.size - 1):
        return _judge_without_negatives(sample)
    return None


def _judge_narrow(sample: NDArray[np.float32], low: float, high: float) -> IntensityVerdict:
    if low == high:
        return IntensityVerdict(IntensityKind.UNSURE, f"are {low:.4g} throughout")
    reach = f"reach only from {low:.4g} to {high:.4g}"
    fractions = float(np.mean(np.abs(sample - np.rint(sample)) > 1e-3))
    if high - low <= _NARROW or fractions > 0.5:
        return IntensityVerdict(IntensityKind.OTHER, f"{reach}, as normalised values do")
    return IntensityVerdict(IntensityKind.UNSURE, reach)


def _judge_without_negatives(sample: NDArray[np.float32]) -> IntensityVerdict:
    """Neither air nor fat: a lost intercept, a picture, MR; or a crop of soft tissue."""
    low, high = float(sample.min()), float(sample.max())
    reach = f"reach from {low:.4g} to {high:.4g} with neither air (-1000) nor fat (-100) among them"
    top = float(np.quantile(sample, 0.999))
    span = top - float(np.quantile(sample, 0.001))
    if float(np.mean(sample == 0)) >= 0.02:
        return IntensityVerdict(
            IntensityKind.OTHER, f"{reach} and a background of 0: a lost intercept, MR or a map"
        )
    if low >= 0 and high <= 255 and high - low > 200:
        return IntensityVerdict(IntensityKind.OTHER, f"{reach}: an 8-bit picture")
    if span <= _ONE_TISSUE_SPAN and top <= _ONE_TISSUE_MAX:
        return IntensityVerdict(
            IntensityKind.UNSURE, f"{reach}: soft tissue alone, or another modality"
        )
    return IntensityVerdict(IntensityKind.OTHER, f"{reach}: a lost intercept, or another modality")


@dataclass(frozen=True, slots=True)
class _Shares:
    """Parts of the sample; those of tissue are parts of what is not air or lung."""

    air: float
    tissue: float
    body: float
    fat_and_soft: float

    @classmethod
    def of(cls, sample: NDArray[np.float32]) -> _Shares:
        tissue = float(np.mean(sample >= _LOWEST_TISSUE))
        part = 1 / max(tissue, 1e-9)
        return cls(
            air=_share(sample, _PADDING_BELOW, _LOWEST_TISSUE),
            tissue=tissue,
            body=_share(sample, -170, 220) * part,
            fat_and_soft=(_share(sample, -140, -60) + _share(sample, -10, 90)) * part,
        )


def _judge_tissue(sample: NDArray[np.float32], extent_mm: float) -> IntensityVerdict:
    shares = _Shares.of(sample)
    if shares.air < 0.005:
        return _judge_without_air(sample, shares, extent_mm)
    if extent_mm >= WIDE_MM:
        return _judge_wide(shares)
    if shares.tissue >= 0.05 and shares.body < 0.03:
        return _displaced(IntensityKind.OTHER if shares.tissue >= 0.2 else _UNSURE, shares)
    if shares.tissue >= 0.35 and shares.body < 0.3:
        return _displaced(_UNSURE, shares)
    if shares.tissue < 0.05:
        # Lung or air alone: its own peak is all there is.
        return _HU if _has_lung_peak(sample) else _displaced(_UNSURE, shares)
    return _HU


def _judge_wide(shares: _Shares) -> IntensityVerdict:
    """A picture of a whole cross-section; real ones have 0.33 to 0.87 in fat and soft tissue."""
    if shares.tissue >= 0.05 and shares.fat_and_soft < 0.25:
        return _displaced(IntensityKind.OTHER, shares)
    is_seen = shares.tissue >= 0.05 and shares.fat_and_soft >= 0.33
    return _HU if is_seen else _displaced(_UNSURE, shares)


def _judge_without_air(
    sample: NDArray[np.float32], shares: _Shares, extent_mm: float
) -> IntensityVerdict:
    if _is_scaled(sample):
        low, high = np.quantile(sample, [0.001, 0.999])
        return IntensityVerdict(
            IntensityKind.OTHER,
            f"crowd between {low:.4g} and {high:.4g} with almost none from 20 to 130, where soft "
            "tissue lies: another scale",
        )
    low, high = float(sample.min()), float(sample.max())
    inside = sample[(sample > low) & (sample < high)]
    if inside.size < 0.98 * sample.size and (not inside.size or _Shares.of(inside).body > 0.65):
        return IntensityVerdict(
            _UNSURE, f"are cut off at {low:.4g} and {high:.4g}: HU outside that window are lost"
        )
    if shares.body < 0.4 or (extent_mm >= WIDE_MM and shares.fat_and_soft < 0.25):
        return _displaced(IntensityKind.OTHER, shares)
    return _HU if shares.body >= 0.65 else _displaced(_UNSURE, shares)


def _is_scaled(sample: NDArray[np.float32]) -> bool:
    """Whether what looks like fat is air on a tenth of its scale.

    Fat spreads by noise to below -112, air at -102 does not; real soft tissue reaches over 20.
    Values cut off at a window's end cannot spread: there soft tissue alone decides.
    """
    fat = _share(sample, -200, -60)
    spread = _share(sample, -200, -112)
    is_cut_off = float(np.mean(sample == sample.min())) > 0.02
    if fat > 0.2 and spread < 0.005 * fat and not is_cut_off:
        return True
    soft = _share(sample, -20, 130)
    return fat > 0.05 and spread < 0.05 * fat and _share(sample, 20, 130) < 0.3 * max(soft, 1e-3)


def _has_lung_peak(sample: NDArray[np.float32]) -> bool:
    middle = float(np.median(sample))
    return -1050 <= middle <= -650


_UNSURE = IntensityKind.UNSURE


def _displaced(kind: IntensityKind, shares: _Shares) -> IntensityVerdict:
    return IntensityVerdict(
        kind,
        f"lie to {shares.body:.0%} between -170 and 220 outside air and lung: fat and soft tissue "
        "are not where HU have them",
    )


def _share(sample: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.mean((sample >= low) & (sample < high)))
