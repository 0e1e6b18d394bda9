"""Reconstruction kernels: a slice under another modulation transfer function (MTF)."""

from __future__ import annotations

import numpy as np

from retrieval.lesion import LesionSearchError
from retrieval.synthesis.degradation.frequency import Frequencies, Planes, filtered

SHARPEST_AT = 0.35
"""Cycles per mm at which a sharp kernel lifts most: bone and lung kernels peak near there."""


class DegradationError(LesionSearchError):
    """A degradation that is asked for outside of what it can be."""


def smoothed(planes: Planes, spacing_mm_px: tuple[float, float], sigma_mm: float) -> Planes:
    """The slices under a smooth kernel: a Gaussian point spread of ``sigma_mm`` more.

    Its MTF is exp(-2 (pi sigma f)^2). The mean HU stays; the variance of every frequency falls.

    Raises DegradationError for a negative sigma.
    """
    if sigma_mm < 0:
        raise DegradationError(f"blur of {sigma_mm} mm: 0 or more is needed")
    if sigma_mm == 0:
        return planes

    def transfer(frequency: Frequencies) -> Frequencies:
        return np.asarray(np.exp(-2 * (np.pi * sigma_mm * frequency) ** 2))

    return filtered(planes, spacing_mm_px, transfer, margin_mm=3 * sigma_mm)


def sharpened(planes: Planes, spacing_mm_px: tuple[float, float], gain: float) -> Planes:
    """The slices under a sharp kernel, whose MTF rises to 1 + ``gain`` at 0.35 cycles per mm.

    MTF(f) = 1 + gain (f / f0)^2 exp(1 - (f / f0)^2): 1 at zero, so that the mean HU stays, and 1
    again far above f0, where there is only noise.

    Raises DegradationError for a negative gain.
    """
    if gain < 0:
        raise DegradationError(f"sharpening by {gain}: 0 or more is needed")

    def transfer(frequency: Frequencies) -> Frequencies:
        square = (frequency / SHARPEST_AT) ** 2
        return np.asarray(1 + gain * square * np.exp(1 - square))

    return filtered(planes, spacing_mm_px, transfer, margin_mm=8.0)
