"""A lesion on a worse scan, by name and in physical units: the views of ``evaluate robustness``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from retrieval.image import CT_HU, Slab
from retrieval.lesion import Box
from retrieval.synthesis.degradation.dose import GRAIN, quantum_noise, sigma_at_dose, white_noise
from retrieval.synthesis.degradation.frequency import Planes
from retrieval.synthesis.degradation.kernel import sharpened, smoothed
from retrieval.synthesis.degradation.metal import metal_artefact, random_parts, with_streaks
from retrieval.synthesis.degradation.thickness import thicker
from retrieval.synthesis.views import BoxJitter

REACH_MM = 72.0
"""How far from the lesion a scan is degraded; further out no patch reaches."""

FULL_WIDTH = 2.355
"""Full width at half maximum of a Gaussian, in sigmas."""

SCAN_NOISE_HU = 15.0
"""Taken for the noise of a scan at full dose: a usual abdominal scan's."""

EXTRA_DEPTH_MM = 5.0
"""How much deeper than the patch thick slices look."""

Degrade = Callable[[Planes, Slab, Generator], Planes]


@dataclass(frozen=True)
class WorseScan:
    """One kind of degradation at one step.

    Attributes:
        name: kind, step and unit, as ``blur, 4 mm``.
        degrade: changes the slices.
        generator: draws what is random in it.
    """

    name: str
    degrade: Degrade
    generator: Generator

    def __call__(self, slab: Slab, box: Box) -> tuple[Slab, Box]:
        """Other slices, the same box moved into their cropped frame."""
        near, moved = _near(slab, box)
        hu = self.degrade(near.hu.astype(np.float32), near, self.generator)
        return replace(near, hu=np.clip(hu, CT_HU.low, CT_HU.high)), moved


def worse_scans(seed: int) -> list[WorseScan]:
    """Every step of every kind, with draws of its own."""
    steps: dict[str, Degrade] = {}
    for sigma in (25, 50, 100):
        steps[f"white noise, {sigma} HU"] = _white(sigma)
    for sigma in (50, 100):
        steps[f"coloured noise, {sigma} HU"] = _coloured(sigma)
    for percent in (25, 10):
        name = f"{percent} % dose of a scan with {SCAN_NOISE_HU:g} HU noise"
        steps[name] = _coloured(sigma_at_dose(SCAN_NOISE_HU, percent / 100), GRAIN["fine"])
    for width_mm in (1, 2, 4):
        steps[f"blur, {width_mm} mm full width"] = _blurred(width_mm / FULL_WIDTH)
    for gain in (1, 2):
        steps[f"sharp kernel, gain {gain}"] = _sharp(gain)
    for rms in (100, 200):
        steps[f"metal streaks, {rms} HU"] = _streaks(rms)
    for thickness in (5, 10):
        steps[f"slices of {thickness} mm"] = _thick(thickness)
    return [
        WorseScan(name, degrade, np.random.default_rng([seed, number]))
        for number, (name, degrade) in enumerate(steps.items())
    ]


def careless_boxes(seed: int) -> list[tuple[str, BoxJitter]]:
    """Boxes with each edge moved by up to 10 and 20 % of the side."""
    return [
        (
            f"box edges moved by {percent} %",
            BoxJitter(percent / 100, np.random.default_rng([seed, percent])),
        )
        for percent in (10, 20)
    ]


def _white(sigma: float) -> Degrade:
    return lambda hu, _, rng: white_noise(hu, sigma, rng)


def _coloured(sigma: float, cutoff: float = GRAIN["coarse"]) -> Degrade:
    return lambda hu, slab, rng: quantum_noise(hu, slab.spacing_mm_px, sigma, rng, cutoff=cutoff)


def _blurred(sigma_mm: float) -> Degrade:
    return lambda hu, slab, _: smoothed(hu, slab.spacing_mm_px, sigma_mm)


def _sharp(gain: float) -> Degrade:
    return lambda hu, slab, _: sharpened(hu, slab.spacing_mm_px, gain)


def _thick(thickness_mm: float) -> Degrade:
    return lambda hu, slab, _: thicker(hu, slab.slice_interval_mm, thickness_mm)


def _streaks(rms_hu: float) -> Degrade:
    def degrade(hu: Planes, slab: Slab, rng: Generator) -> Planes:
        rows, columns = hu.shape[1:]
        side = max(rows, columns)
        parts = random_parts(side, rng)
        artefact = metal_artefact((rows, columns), slab.spacing_mm_px[0], parts, rng)
        return with_streaks(hu, artefact, rms_hu)

    return degrade


def _near(slab: Slab, box: Box) -> tuple[Slab, Box]:
    """The slab within REACH_MM of the box's centre, and the box in its frame."""
    shown = slab.as_displayed()
    x, y = (moved := slab.display_box(box)).center
    reach_x, reach_y = (REACH_MM / spacing for spacing in slab.spacing_mm_px)
    left, top = max(math.floor(x - reach_x), 0), max(math.floor(y - reach_y), 0)
    right, bottom = math.ceil(x + reach_x) + 1, math.ceil(y + reach_y) + 1
    return replace(shown, hu=shown.hu[:, top:bottom, left:right]), moved.shifted(-left, -top)
