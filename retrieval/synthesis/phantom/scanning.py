"""One slice as a scanner would give it: couch, blur of the kernel, correlated noise."""

from __future__ import annotations

import cv2
import numpy as np

from retrieval.image import CT_HU
from retrieval.synthesis.phantom.acquisition import Acquisition
from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.painting import PaintedSlice
from retrieval.synthesis.phantom.body.points import Floats


def scan(
    painted: PaintedSlice, anatomy: Anatomy, taken: Acquisition, rng: np.random.Generator
) -> Floats:
    """HU (rows, columns): the same blur and noise for lesions and everything else."""
    hu = painted.hu.copy()
    _add_couch(hu, anatomy, taken)
    hu = _kernel(hu, taken)
    hu += _noise(painted.body, taken, rng)
    hu = (hu - CT_HU.padding) * np.float32(taken.hu_scale) + CT_HU.padding
    # Scanners reconstruct a circle; outside it stands air.
    middle = (taken.size_px - 1) / 2
    axis = np.square(np.arange(taken.size_px, dtype=np.float32) - middle)
    hu[axis[:, None] + axis[None, :] > (taken.size_px * 0.502) ** 2] = CT_HU.padding
    return np.asarray(np.clip(np.rint(hu), CT_HU.low, CT_HU.high), np.float32)


def _blurred(pixels: Floats, sigma_mm: float, taken: Acquisition) -> Floats:
    sigma = max(sigma_mm / taken.mm_px, 0.12)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32)


def _kernel(hu: Floats, taken: Acquisition) -> Floats:
    """A smooth kernel blurs; a sharp one blurs less and overshoots at edges."""
    smooth = _blurred(hu, 0.95 - 0.45 * taken.sharpness, taken)
    if taken.sharpness < 0.3:
        return smooth
    wide = _blurred(hu, 1.8, taken)
    return smooth + np.float32(0.35 * taken.sharpness) * (smooth - wide)


def _noise(body: Floats, taken: Acquisition, rng: np.random.Generator) -> Floats:
    """Noise with the kernel's grain, strongest in the middle of the body."""
    white = rng.standard_normal(body.shape, np.float32)
    grain = _blurred(white, 1.25 - 0.75 * taken.sharpness, taken)
    grain = grain - np.float32(0.3 + 0.35 * taken.sharpness) * _blurred(white, 2.6, taken)
    grain /= grain.std()
    small = cv2.resize(body, (32, 32), interpolation=cv2.INTER_AREA)
    path = cv2.GaussianBlur(small, (0, 0), 5.0, borderType=cv2.BORDER_CONSTANT)
    path = cv2.resize(path, body.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(grain * (0.3 + 0.75 * path) * taken.noise_hu, np.float32)


def _add_couch(hu: Floats, anatomy: Anatomy, taken: Acquisition) -> None:
    """A curved sheet behind the back."""
    level = 0.55 * anatomy.torso.height_mm
    _, half_depth, center = anatomy.torso.skin_axes(level)
    middle = (taken.size_px - 1) / 2
    axis = ((np.arange(taken.size_px) - middle) * taken.mm_px).astype(np.float32)
    across, down = axis[None, :], axis[:, None] - np.float32(taken.shift_mm[1])
    top = np.float32(center + half_depth + taken.table_y_mm + 26) - np.square(across) / 900
    reach = np.abs(across) < 205
    for offset, brightness in ((0.0, 1150.0), (16.0, 800.0)):
        sheet = np.clip(1.2 - np.abs(down - top - np.float32(offset)) / 1.2, 0, 1) * reach
        air = np.clip((-hu - 700) / 300, 0, 1)
        hu += sheet * air * np.float32(brightness)
