"""Metal in the field of view: its artefacts by forward projection and filtered back-projection.

Only the metal is projected. A polychromatic beam hardens in it, so the measured line integral
grows less than in proportion; where too few photons are left, noise is added. The difference to
the ideal sinogram is projected back: dark and bright streaks along and between the metal parts.
What back-projection is linear in, the patient, need not be projected at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from retrieval.synthesis.degradation.frequency import Planes
from retrieval.synthesis.degradation.kernel import DegradationError

Picture = NDArray[np.float32]

ANGLES = 120
HARDENING_PER_CM = 0.35
"""How fast the effective attenuation of the metal falls with the path through it."""


@dataclass(frozen=True, slots=True)
class MetalPart:
    """A metal disc, as of a clip, screw, stent or prosthesis cut across.

    Attributes:
        x, y: its centre, in pixels of the slice; it may lie outside the picture's patch.
        radius_mm: of the disc.
    """

    x: float
    y: float
    radius_mm: float


def metal_artefact(
    shape: tuple[int, int],
    spacing_mm_px: float,
    parts: list[MetalPart],
    rng: Generator,
    *,
    starvation: float = 0.2,
) -> Picture:
    """(rows, columns) artefact of some metal parts, in arbitrary units; zero without any.

    ``starvation`` is the noise of starved rays as a share of the hardening. Invariants: the
    artefact of no metal is zero, and its sum over the whole circle of reconstruction is nearly
    zero as far as hardening conserves none: scale it with ``with_streaks``.

    Raises DegradationError for a part with no radius.
    """
    side = max(shape)
    metal = np.zeros((side, side), np.float32)
    for part in parts:
        if part.radius_mm <= 0:
            raise DegradationError(f"a metal part of {part.radius_mm} mm: above 0 is needed")
        center = (round(part.x * 16), round(part.y * 16))
        cv2.circle(metal, center, round(part.radius_mm / spacing_mm_px * 16), 1.0, -1, shift=4)
    if not metal.any():
        return np.zeros(shape, np.float32)
    path_cm = forward_project(metal) * (spacing_mm_px / 10)
    hardened = path_cm / (1 + HARDENING_PER_CM * path_cm)
    lost = hardened - path_cm
    noise = rng.standard_normal(lost.shape).astype(np.float32) * np.abs(lost)
    artefact = back_project(lost + starvation * noise)
    return np.ascontiguousarray(
        artefact[: shape[0], : shape[1]] * (metal[: shape[0], : shape[1]] == 0)
    )


def with_streaks(planes: Planes, artefact: Picture, rms_hu: float) -> Planes:
    """The slices with an artefact scaled to a root mean square of ``rms_hu`` where it is not 0."""
    held = artefact != 0
    if not held.any():
        return planes
    rms = float(np.sqrt((artefact[held] ** 2).mean()))
    return planes + artefact[None] * np.float32(rms_hu / max(rms, 1e-12))


def random_parts(
    side: int, rng: Generator, *, reach: tuple[float, float] = (0.30, 0.45)
) -> list[MetalPart]:
    """Two or three parts of 3 to 8 mm, away from the middle, where the lesion is.

    ``reach`` is how far from it, as shares of ``side``.
    """
    parts = []
    turn = rng.uniform(0, 2 * np.pi)
    for number in range(int(rng.integers(2, 4))):
        angle = turn + number * rng.uniform(1.6, 2.6)
        away = rng.uniform(*reach) * side
        middle = (side - 1) / 2
        parts.append(
            MetalPart(
                middle + away * np.cos(angle), middle + away * np.sin(angle), rng.uniform(3, 8)
            )
        )
    return parts


def forward_project(picture: Picture) -> Picture:
    """(angles, columns): line integrals, in pixels, of a square picture over half a turn."""
    side = len(picture)
    return np.stack([cv2.warpAffine(picture, turn, (side, side)).sum(0) for turn in _turns(side)])


def back_project(sinogram: Picture) -> Picture:
    """The square picture of a sinogram: ramp filter, then the mean over the angles."""
    side = sinogram.shape[1]
    width = 2 * side
    ramp = np.abs(np.fft.rfftfreq(width)).astype(np.float32)
    filtered_rays = irfft(rfft(sinogram, width, axis=1) * ramp, width, axis=1)[:, :side]
    total = np.zeros((side, side), np.float32)
    for ray, turn in zip(filtered_rays.astype(np.float32), _turns(side), strict=True):
        smeared = np.broadcast_to(ray, (side, side)).copy()
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total += cv2.warpAffine(smeared, turn, (side, side), flags=flags)
    return total * np.float32(np.pi / len(sinogram))


@lru_cache(maxsize=8)
def _turns(side: int) -> tuple[NDArray[np.float64], ...]:
    middle = (side - 1) / 2
    degrees = np.arange(ANGLES) * (180.0 / ANGLES)
    return tuple(
        np.asarray(cv2.getRotationMatrix2D((middle, middle), float(angle), 1.0), np.float64)
        for angle in degrees
    )
