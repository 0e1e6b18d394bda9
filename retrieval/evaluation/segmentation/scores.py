"""Scores of one mask against a reader's: overlap, distance, diameters, volume; the ULS23 score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def dice(found: Mask, truth: Mask) -> float:
    """Twice the overlap over the sum of both; 1 where both are empty."""
    total = float(found.sum()) + float(truth.sum())
    return 1.0 if total == 0 else 2 * float((found & truth).sum()) / total


def boundary_mm(found: Mask, truth: Mask, spacing_mm_px: tuple[float, float]) -> float:
    """Mean distance between the outlines of two masks of one slice, both ways; NaN if one is empty.

    Outlines are the pixels of a mask that touch its outside.
    """
    if not found.any() or not truth.any():
        return math.nan
    sampling = spacing_mm_px[::-1]
    first, second = _rim(found), _rim(truth)
    to_second = ndimage.distance_transform_edt(~second, sampling=sampling)[first]
    to_first = ndimage.distance_transform_edt(~first, sampling=sampling)[second]
    return float(np.concatenate([to_second, to_first]).mean())


def sape(found: float, truth: float) -> float:
    """Symmetric absolute error as a share, in [0, 1]: ULS23's for diameters."""
    total = abs(found) + abs(truth)
    return 0.0 if total == 0 else abs(found - truth) / total


def uls23_score(
    volume_dice: float, long: tuple[float, float], short: tuple[float, float], consistency: float
) -> float:
    """0.8 Dice + 0.05 (1 - SAPE) of each diameter + 0.1 consistency (de Grauw et al., 2024).

    Args:
        volume_dice: in 3D.
        long, short: (found, truth) in mm.
        consistency: mean Dice between the masks of shifted prompts.
    """
    lines = 0.05 * (1 - sape(*long)) + 0.05 * (1 - sape(*short))
    return 0.8 * volume_dice + lines + 0.1 * consistency


def _rim(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask), np.bool_)
