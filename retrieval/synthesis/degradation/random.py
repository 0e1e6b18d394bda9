"""One worse scan of a patch, drawn: kernel, then noise or streaks, as acquisitions combine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from retrieval.image import CT_HU
from retrieval.synthesis.degradation.dose import GRAIN, quantum_noise
from retrieval.synthesis.degradation.frequency import Planes
from retrieval.synthesis.degradation.kernel import sharpened, smoothed
from retrieval.synthesis.degradation.metal import (
    Picture,
    metal_artefact,
    random_parts,
    with_streaks,
)
from retrieval.synthesis.degradation.thickness import thicker

ARTEFACTS = 256
"""Metal artefacts that are drawn from, each in eight ways."""

NEAREST_MM, FARTHEST = 10.0, 0.45
"""Of their metal from the middle, the latter as a share of the side: small scans hold it near."""


@dataclass(frozen=True, slots=True)
class DegradationConfig:
    """The largest of each; a draw is uniform from none to it.

    Attributes:
        blur_mm: sigma of the added point spread.
        sharpening: largest gain of a sharp kernel.
        noise_hu: standard deviation of coloured noise.
        streaks_hu: root mean square of metal artefacts.
        thickness_mm: of the slices.
        kernel: share of the patches that get one of two kernels.
        share: of those that get noise, streaks, thick slices, each drawn for itself.
        plain: share of the patches that stay as they are.
    """

    blur_mm: float = 3.0
    sharpening: float = 1.0
    noise_hu: float = 110.0
    streaks_hu: float = 220.0
    thickness_mm: float = 8.0
    kernel: float = 1.0
    share: float = 0.5
    plain: float = 0.0


def degraded(
    planes: Planes,
    grid_mm: tuple[float, float],
    config: DegradationConfig,
    rng: Generator,
) -> Planes:
    """The patch (slices, side, side) as a worse scanner would have given it, in CT's range.

    ``grid_mm`` is its pixel and its slice interval. Beyond the image the patch stays padding.
    """
    hu = planes.astype(np.float32)
    if config.plain > 0 and rng.random() < config.plain:
        return hu
    rows, columns = imaged(hu)
    shown = hu[:, rows, columns]
    mm_px, interval_mm = grid_mm
    spacing = (mm_px, mm_px)
    if rng.random() < config.share:
        shown = thicker(shown, interval_mm, float(rng.uniform(0, config.thickness_mm)))
    if rng.random() < config.kernel:
        shown = _under_another_kernel(shown, spacing, config, rng)
    if rng.random() < config.share:
        # Coarse grain is drawn more often: it hides most.
        finest = np.log(GRAIN["fine"] / GRAIN["coarse"])
        cutoff = GRAIN["coarse"] * float(np.exp(finest * rng.random() ** 2))
        sigma = float(rng.uniform(0, config.noise_hu))
        shown = quantum_noise(shown, spacing, sigma, rng, cutoff=cutoff)
    if rng.random() < config.share:
        artefact = _turned(_artefacts(hu.shape[1], mm_px), rng)[rows, columns]
        shown = with_streaks(shown, artefact, float(rng.uniform(0, config.streaks_hu)))
    hu[:, rows, columns] = np.clip(shown, CT_HU.low, CT_HU.high)
    return hu


def imaged(planes: Planes) -> tuple[slice, slice]:
    """The rows and the columns of a patch from the first to the last that are not all padding."""
    inside = (planes != np.float32(CT_HU.padding)).any(axis=0)
    spans = []
    for axis in (1, 0):
        held = np.flatnonzero(inside.any(axis=axis))
        spans.append(slice(int(held[0]), int(held[-1]) + 1) if len(held) else slice(None))
    return spans[0], spans[1]


def _under_another_kernel(
    hu: Planes, spacing: tuple[float, float], config: DegradationConfig, rng: Generator
) -> Planes:
    """Three smooth kernels for every sharp one."""
    if rng.random() < 0.75:
        return smoothed(hu, spacing, float(rng.uniform(0, config.blur_mm)))
    return sharpened(hu, spacing, float(rng.uniform(0, config.sharpening)))


@lru_cache(maxsize=2)
def _artefacts(side: int, mm_px: float) -> tuple[Picture, ...]:
    """Artefacts drawn once: projecting them anew for every patch took longer than all the rest."""
    rng = np.random.default_rng([side, ARTEFACTS])
    nearest = min(NEAREST_MM / mm_px / side, FARTHEST)
    starts = nearest * (FARTHEST / nearest) ** rng.random(ARTEFACTS)
    reaches = [(start, min(1.5 * start, FARTHEST)) for start in starts.tolist()]
    parts = [random_parts(side, rng, reach=reach) for reach in reaches]
    return tuple(metal_artefact((side, side), mm_px, of_one, rng) for of_one in parts)


def _turned(artefacts: tuple[Picture, ...], rng: Generator) -> Picture:
    """One of them in one of the eight ways a square can lie."""
    chosen = np.rot90(artefacts[int(rng.integers(len(artefacts)))], int(rng.integers(4)))
    return np.ascontiguousarray(chosen.T if rng.random() < 0.5 else chosen)
