"""What a mask stands beside: the ellipse, a threshold, GrabCut; the ellipsoid in 3D."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab
from retrieval.segmentation.learning.grabcut import (
    CORE,
    PROBABLE,
    REACH,
    grabcut_from_prompt,
)
from retrieval.segmentation.masks import ellipsoid
from retrieval.segmentation.prompt import Prompt

Mask = NDArray[np.bool_]


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
    return grabcut_from_prompt(slab, prompt)


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
