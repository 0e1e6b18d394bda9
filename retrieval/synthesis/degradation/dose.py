"""Quantum noise: Poisson in the detector, coloured by the ramp filter of the reconstruction.

Filtered back-projection of white noise in the sinogram has the power spectrum of the ramp times
the square of the apodisation, over frequency once for the density of projections (Riederer,
Pelc and Chesler, Phys. Med. Biol. 1978): here N(f) ~ f exp(-(f / f1)^2). It has no mean, little
power at low frequencies, and its grain is as coarse as the kernel is smooth. Its standard
deviation goes with the inverse square root of the dose.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from retrieval.synthesis.degradation.frequency import Frequencies, Planes, filtered
from retrieval.synthesis.degradation.kernel import DegradationError

GRAIN = {"fine": 0.6, "coarse": 0.12}
"""Cycles per mm of f1: a sharp kernel's noise, and that of a smooth kernel or thick pixels."""


def white_noise(planes: Planes, sigma_hu: float, rng: Generator) -> Planes:
    """The slices with independent noise of ``sigma_hu`` in every pixel."""
    return planes + rng.normal(0, sigma_hu, planes.shape).astype(np.float32)


def quantum_noise(
    planes: Planes,
    spacing_mm_px: tuple[float, float],
    sigma_hu: float,
    rng: Generator,
    *,
    cutoff: float = GRAIN["coarse"],
) -> Planes:
    """The slices with noise of ``sigma_hu`` coloured by the ramp; independent between slices.

    ``cutoff`` is f1 in cycles per mm. Raises DegradationError for a negative sigma.
    """
    if sigma_hu < 0 or cutoff <= 0:
        raise DegradationError(
            f"noise of {sigma_hu} HU up to {cutoff} cycles per mm: 0 or more HU and a cutoff "
            "above 0 are needed"
        )

    def amplitude(frequency: Frequencies) -> Frequencies:
        return np.asarray(np.sqrt(frequency) * np.exp(-((frequency / cutoff) ** 2) / 2))

    noise = rng.standard_normal(planes.shape).astype(np.float32)
    coloured = filtered(noise, spacing_mm_px, amplitude)
    spread = coloured.std(axis=(1, 2), keepdims=True)
    scale = np.float32(sigma_hu) / np.maximum(spread, np.float32(1e-12))
    return np.asarray(planes + coloured * scale, np.float32)


def sigma_at_dose(sigma_hu: float, dose_share: float) -> float:
    """The noise to ADD so that a scan of ``sigma_hu`` looks as at a share of its dose.

    Variances add: sigma^2 (1 / share - 1). Raises DegradationError for a share outside (0, 1].
    """
    if not 0 < dose_share <= 1:
        raise DegradationError(f"a dose of {dose_share} of the scan's: a share in (0, 1] is needed")
    return sigma_hu * math.sqrt(1 / dose_share - 1)
