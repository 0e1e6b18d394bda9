"""Where the body lies on an axial slice: its mask on a coarse grid and its box in pixels.

The threshold lies above the low end of the usual soft-tissue windows (-160 and -175 HU), so that
a slice and its 8-bit soft-tissue picture have the same mask: lungs count as outside at first and
are filled, as are all holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Box

BODY_HU = -150.0
"""Between the low end of a soft-tissue window and fat."""

MASK_MM = 2.0
"""Side of a mask pixel: fine enough for a frame, and a hundredth of the work of a full slice."""

OPENING_MM = 6.0
"""Couches, blankets and tubes are thinner than this, arms and legs are not."""

LEAST_BODY_MM2 = 2_000.0
"""A slice with less than this is empty; a newborn's neck has more."""


@dataclass(frozen=True)
class BodyRegion:
    """The body on one slice.

    Attributes:
        mask: (rows, columns) of the coarse grid, True inside the body.
        box: the mask's extent in pixels of the slice, as a ``Box`` through pixel edges.
        touches_edge: whether the field of view cuts the body off, at (left, top, right, bottom).
    """

    mask: NDArray[np.bool_]
    box: Box
    touches_edge: tuple[bool, bool, bool, bool]


def body_region(hu: NDArray[Any], spacing_mm_px: tuple[float, float]) -> BodyRegion | None:
    """The body on a slice of (rows, columns) HU; None where the slice shows no body.

    Squares of 2 mm of which half is above -150 HU are opened by 6 mm, and the largest connected
    part is kept with all that it encloses.
    """
    rows, columns = hu.shape
    size = (
        max(round(columns * spacing_mm_px[0] / MASK_MM), 1),
        max(round(rows * spacing_mm_px[1] / MASK_MM), 1),
    )
    dense = np.asarray(hu > BODY_HU, np.uint8) * 255
    mask = _largest_part(np.asarray(cv2.resize(dense, size, interpolation=cv2.INTER_AREA)) > 127)
    if mask.sum() * MASK_MM**2 < LEAST_BODY_MM2:
        return None
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x_scale, y_scale = columns / size[0], rows / size[1]
    box = Box(
        float(across[0] * x_scale - 0.5),
        float(down[0] * y_scale - 0.5),
        float((across[-1] + 1) * x_scale - 0.5),
        float((down[-1] + 1) * y_scale - 0.5),
    )
    touches = (
        bool(across[0] == 0),
        bool(down[0] == 0),
        bool(across[-1] == size[0] - 1),
        bool(down[-1] == size[1] - 1),
    )
    return BodyRegion(mask, box, touches)


def _largest_part(dense: NDArray[np.bool_]) -> NDArray[np.bool_]:
    width = round(OPENING_MM / MASK_MM)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    # Outside the field of view nothing is known: a body that it cuts is not opened away there.
    padded = np.pad(dense.astype(np.uint8), width, mode="edge")
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel)[width:-width, width:-width]
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(opened), connectivity=4
    )
    if count < 2:
        return np.zeros(dense.shape, np.bool_)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    return _filled(np.asarray(labels) == largest)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with all that it encloses: what the outside does not reach."""
    outside = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] != 2)
