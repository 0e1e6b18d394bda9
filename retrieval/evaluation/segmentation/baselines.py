"""What a mask stands beside: the ellipse, a threshold, GrabCut; the ellipsoid in 3D."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab, apply_window
from retrieval.segmentation.masks import ellipsoid
from retrieval.segmentation.prompt import Prompt

Mask = NDArray[np.bool_]

CORE, PROBABLE, REACH = 0.5, 1.25, 2.0
GRABCUT_ROUNDS = 5
LUNG_HU = -500.0
LUNG_WINDOW, SOFT_WINDOW = (-1000.0, 400.0), (-160.0, 240.0)


def ellipse(slab: Slab, prompt: Prompt) -> Mask:
    """The prompt's own quarter ellipses on the key slice."""
    return prompt.mask((slab.rows, slab.columns), slab.spacing_mm_px)


def threshold(slab: Slab, prompt: Prompt) -> Mask:
    """HU beyond half way from the surroundings to the core, the part that holds the middle."""
    radius = _radius(slab, prompt)
    plane = slab.hu[slab.key_slice]
    return _beyond(plane, radius)


def grabcut(slab: Slab, prompt: Prompt) -> Mask:
    """GrabCut (Rother et al., 2004) from a trimap of the ellipse, in one window of HU."""
    radius = _radius(slab, prompt)
    rows, columns = np.nonzero(radius <= REACH)
    part = (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    plane, near = slab.hu[slab.key_slice][part], radius[part]
    window = LUNG_WINDOW if float(np.median(plane[near > 1])) < LUNG_HU else SOFT_WINDOW
    grey = (apply_window(plane, *window) * 255).astype(np.uint8)
    trimap = np.full(plane.shape, cv2.GC_BGD, np.uint8)
    trimap[near <= REACH * 0.9] = cv2.GC_PR_BGD
    trimap[near <= PROBABLE] = cv2.GC_PR_FGD
    trimap[near <= CORE] = cv2.GC_FGD
    held = np.zeros((slab.rows, slab.columns), np.bool_)
    states = (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
            trimap,
            (0, 0, 0, 0),  # no rectangle: the trimap says all
            *states,
            GRABCUT_ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        # A lesion of a few pixels leaves it no colours to model.
        return ellipse(slab, prompt)
    held[part] = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return held


def ellipsoid_mask(slab: Slab, prompt: Prompt) -> Mask:
    """(slices, rows, columns): the ellipse, as deep as it is short."""
    lesion = ellipsoid(slab, prompt, in_3d=True)
    whole = np.zeros(slab.hu.shape, np.bool_)
    whole[lesion.first : lesion.first + len(lesion.values)] = lesion.mask
    return whole


def threshold_in_ellipsoid(slab: Slab, prompt: Prompt) -> Mask:
    """(slices, rows, columns): the threshold of the key slice inside the ellipsoid."""
    radius = _radius(slab, prompt)
    low, above = _level(slab.hu[slab.key_slice], radius)
    dense = slab.hu > low if above else slab.hu < low
    return np.asarray(dense & ellipsoid_mask(slab, prompt), np.bool_)


def _radius(slab: Slab, prompt: Prompt) -> NDArray[np.float64]:
    y, x = np.mgrid[: slab.rows, : slab.columns].astype(np.float64)
    return prompt.radius_at(x, y, slab.spacing_mm_px)


def _level(plane: NDArray[np.float32], radius: NDArray[np.float64]) -> tuple[float, bool]:
    """The HU half way between core and ring, and whether the lesion is the denser of both."""
    core = plane[radius <= max(CORE, float(radius.min()))]
    ring = plane[(radius > PROBABLE) & (radius <= REACH)]
    inside, outside = float(np.median(core)), float(np.median(ring)) if ring.size else -1000.0
    return (inside + outside) / 2, inside >= outside


def _beyond(plane: NDArray[np.float32], radius: NDArray[np.float64]) -> Mask:
    level, above = _level(plane, radius)
    dense = (plane > level if above else plane < level) & (radius <= REACH)
    labels, count = ndimage.label(dense)
    if not count:
        return np.asarray(radius <= 1, np.bool_)
    shared = np.bincount(labels[radius <= 1], minlength=count + 1)
    shared[0] = 0
    return np.asarray(labels == shared.argmax(), np.bool_)
