"""Where on a CT slice is the body, and what is there: coarse classes by HU alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BODY_HU = -300.0
LUNG_HU = (-980.0, -550.0)
BONE_HU = 200.0
SMALLEST_LUNG_MM2 = 1500.0
"""Smaller gas is bowel, stomach or airway."""


def body_mask(hu: NDArray[Any]) -> NDArray[np.bool_]:
    """The largest connected thing that is not air, with all it encloses; (rows, columns)."""
    opened = ndimage.binary_opening(hu > BODY_HU, iterations=2)
    labels, count = ndimage.label(opened)
    if count == 0:
        return np.zeros(hu.shape, np.bool_)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax()), np.bool_)


def lung_mask(hu: NDArray[Any], body: NDArray[np.bool_], spacing_mm_px: float) -> NDArray[np.bool_]:
    """Large regions of lung density inside the body, the vessels in them included."""
    inside = body & (hu > LUNG_HU[0]) & (hu < LUNG_HU[1])
    labels, _ = ndimage.label(ndimage.binary_opening(inside, iterations=1))
    sizes = np.bincount(labels.ravel()) * spacing_mm_px**2
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes((sizes >= SMALLEST_LUNG_MM2)[labels]), np.bool_)


def bone_edge_mask(hu: NDArray[Any], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rim, about two pixels thick, of what is dense as bone."""
    bone = ndimage.binary_opening((hu > BONE_HU) & body)
    rim = ndimage.binary_dilation(bone) & ~ndimage.binary_erosion(bone)
    return np.asarray(rim & body, np.bool_)


def soft_tissue_mask(hu: NDArray[Any], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fat, muscle and organs inside the body."""
    return np.asarray(body & (hu > -150.0) & (hu < BONE_HU), np.bool_)
