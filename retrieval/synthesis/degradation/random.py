"""One worse scan of a patch, drawn: kernel, then noise or streaks, as acquisitions combine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.image import CT_HU
from retrieval.synthesis.degradation.dose import GRAIN, quantum_noise
from retrieval.synthesis.degradation.frequency import Planes
from retrieval.synthesis.degradation.kernel import sharpened, smoothed
from retrieval.synthesis.degradation.metal import metal_artefact, random_parts, with_streaks
from retrieval.synthesis.degradation.thickness import thicker


@dataclass(frozen=True, slots=True)
class DegradationConfig:
    """The largest of each; a draw is uniform from none to it.

    Attributes:
        blur_mm: sigma of the added point spread.
        sharpening: largest gain of a sharp kernel.
        noise_hu: standard deviation of coloured noise.
        streaks_hu: root mean square of metal artefacts.
        thickness_mm: of the slices.
        share: of the patches that get noise, streaks, thick slices; each gets one of two kernels.
    """

    blur_mm: float = 3.0
    sharpening: float = 1.0
    noise_hu: float = 110.0
    streaks_hu: float = 220.0
    thickness_mm: float = 8.0
    share: float = 0.5


def degraded(
    planes: Planes,
    grid_mm: tuple[float, float],
    config: DegradationConfig,
    rng: Generator,
) -> Planes:
    """The patch (slices, side, side) as a worse scanner would have given it, in CT's range.

    ``grid_mm`` is its pixel and its slice interval.
    """
    mm_px, interval_mm = grid_mm
    spacing = (mm_px, mm_px)
    hu = planes.astype(np.float32)
    if rng.random() < config.share:
        hu = thicker(hu, interval_mm, float(rng.uniform(0, config.thickness_mm)))
    if rng.random() < 0.75:
        hu = smoothed(hu, spacing, float(rng.uniform(0, config.blur_mm)))
    else:
        hu = sharpened(hu, spacing, float(rng.uniform(0, config.sharpening)))
    if rng.random() < config.share:
        low, high = np.log(GRAIN["coarse"]), np.log(GRAIN["fine"])
        cutoff = float(np.exp(rng.uniform(low, high)))
        sigma = float(rng.uniform(0, config.noise_hu))
        hu = quantum_noise(hu, spacing, sigma, rng, cutoff=cutoff)
    if rng.random() < config.share:
        side = hu.shape[1]
        artefact = metal_artefact((side, side), mm_px, random_parts(side, rng), rng)
        hu = with_streaks(hu, artefact, float(rng.uniform(0, config.streaks_hu)))
    return np.clip(hu, CT_HU.low, CT_HU.high)
