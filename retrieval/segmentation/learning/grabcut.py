"""GrabCut on one slice (Rother et al., 2004): from a mark's ellipse, or seeded by a network."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab, apply_window
from retrieval.segmentation.prompt import Prompt

Mask = NDArray[np.bool_]

CORE, PROBABLE, REACH = 0.5, 1.25, 2.0
"""Of the ellipse: sure lesion within, probable lesion within, probable surroundings within."""

SURE, SURELY_NOT = 0.8, 0.2
"""A network's probabilities that GrabCut does not change."""

MARGIN_PX = 4
ROUNDS = 5
LUNG_HU = -500.0
LUNG_WINDOW, SOFT_WINDOW = (-1000.0, 400.0), (-160.0, 240.0)


def grabcut_from_prompt(slab: Slab, prompt: Prompt) -> Mask:
    """(rows, columns) of the key slice: a trimap of the prompt's ellipse, in one window of HU.

    The ellipse itself where a lesion of a few pixels leaves GrabCut no colours to model.
    """
    y, x = np.mgrid[: slab.rows, : slab.columns].astype(np.float64)
    radius = prompt.radius_at(x, y, slab.spacing_mm_px)
    part = _extent(radius <= REACH)
    near = radius[part]
    trimap = np.full(near.shape, cv2.GC_BGD, np.uint8)
    trimap[near <= REACH * 0.9] = cv2.GC_PR_BGD
    trimap[near <= PROBABLE] = cv2.GC_PR_FGD
    trimap[near <= CORE] = cv2.GC_FGD
    plane = slab.hu[slab.key_slice][part]
    found = _cut(plane, trimap, around=plane[near > 1])
    if found is None:
        return prompt.mask((slab.rows, slab.columns), slab.spacing_mm_px)
    return _placed(found, part, radius.shape)


def grabcut_from_probability(plane: NDArray[np.float32], values: NDArray[np.float32]) -> Mask:
    """(rows, columns): where a network is sure it stays, between them GrabCut decides.

    Args:
        plane: (rows, columns), HU.
        values: (rows, columns): the network's probability, above a half somewhere.
    """
    inside = values > 0.5
    part = _extent(ndimage.binary_dilation(values > SURELY_NOT, iterations=MARGIN_PX))
    near = values[part]
    trimap = np.full(near.shape, cv2.GC_BGD, np.uint8)
    trimap[near > SURELY_NOT] = cv2.GC_PR_BGD
    trimap[near > 0.5] = cv2.GC_PR_FGD
    trimap[near > SURE] = cv2.GC_FGD
    shown = plane[part]
    found = _cut(shown, trimap, around=shown[near <= SURELY_NOT])
    return inside if found is None else _placed(found, part, values.shape)


def _cut(
    plane: NDArray[np.float32], trimap: NDArray[np.uint8], *, around: NDArray[np.float32]
) -> Mask | None:
    """The lesion of a trimap; None where too few pixels are sure for the models of colour."""
    window = LUNG_WINDOW if around.size and float(np.median(around)) < LUNG_HU else SOFT_WINDOW
    grey = (apply_window(plane, *window) * 255).astype(np.uint8)
    states = (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
            trimap,
            (0, 0, 0, 0),  # no rectangle: the trimap says all
            *states,
            ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        return None
    return np.asarray(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)), np.bool_)


def _extent(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.nonzero(mask)
    return (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )


def _placed(found: Mask, part: tuple[slice, slice], shape: tuple[int, ...]) -> Mask:
    whole = np.zeros(shape, np.bool_)
    whole[part] = found
    return whole
