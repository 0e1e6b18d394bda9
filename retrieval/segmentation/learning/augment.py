"""Views changed: turned and mirrored, HU shifted, blurred, noisy, cut to a reading window."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU


@dataclass(frozen=True, slots=True)
class ViewAugmentConfig:
    """How far views are changed.

    Attributes:
        shift_hu: standard deviation of a shift of all HU.
        contrast: HU are stretched about their median by up to this share.
        noise_hu: largest standard deviation of added noise.
        blur_px: largest blur, in view pixels.
        windowed: chance that everything outside the soft-tissue window is cut off.
        turned: whether views are turned and mirrored.
    """

    shift_hu: float = 12.0
    contrast: float = 0.15
    noise_hu: float = 35.0
    blur_px: float = 1.2
    windowed: float = 0.08
    turned: bool = True


def augment(
    hu: NDArray[np.float32],
    maps: NDArray[np.float32],
    config: ViewAugmentConfig,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The HU planes (3, size, size) and the maps (n, size, size), changed alike."""
    if config.turned:
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        hu, maps = np.rot90(hu, turns, (1, 2)), np.rot90(maps, turns, (1, 2))
        if mirrored:
            hu, maps = hu[:, :, ::-1], maps[:, :, ::-1]
    changed = np.ascontiguousarray(hu)
    if rng.random() < 0.3 and config.blur_px:
        sigma = float(rng.uniform(0.3, max(config.blur_px, 0.31)))
        changed = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in changed])
    if rng.random() < 0.5:
        middle = np.float32(np.median(changed[1]))
        stretch = np.float32(1 + rng.uniform(-config.contrast, config.contrast))
        changed = (changed - middle) * stretch + middle
    changed = changed + np.float32(rng.normal(0, config.shift_hu))
    if rng.random() < 0.5:
        grain = rng.standard_normal(changed.shape, dtype=np.float32)
        if rng.random() < 0.5:
            grain = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.8) * 2.2 for plane in grain])
        changed = changed + grain * np.float32(rng.uniform(0, config.noise_hu))
    if rng.random() < config.windowed:
        changed = np.clip(changed, -165, 255)
    return np.clip(changed, CT_HU.low, CT_HU.high).astype(np.float32), np.ascontiguousarray(maps)
