"""The part of a slice that was reconstructed, where padding surrounds it: a rectangle or a circle.

Air is as empty as padding where a slice was clipped, so that a border of emptiness says nothing by
itself. It is that of the field where it is a rectangle, or where soft tissue steps into emptiness
without a pixel of skin between them and these steps lie on one circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.body import BODY_HU

PADDING_HU = -1024.0
"""The highest value that counts as padding."""

RECTANGLE_SHARE = 0.98
"""A field fills as much of the box about it if it is a rectangle."""

CIRCLE_TOLERANCE = 0.02
"""Steps lie as near to the field's circle, as a share of its radius."""

ON_CIRCLE_SHARE = 0.8
"""So many of all steps from tissue into padding lie there."""

EMPTY_SHARE = 0.99
"""So much of what lies outside the circle is padding."""

LEAST_ARC = 0.15
"""Steps on a shorter share of the circle tell no circle."""

DEGREES = 360
FITS = 8


@dataclass(frozen=True)
class RoundField:
    """A round field of view that cuts a body off.

    Attributes:
        diameter_mm: of the circle.
        sides: the share of its (left, top, right, bottom) quarter along which the body is cut.
    """

    diameter_mm: float
    sides: tuple[float, float, float, float]


def padding(hu: NDArray[Any]) -> NDArray[np.bool_] | None:
    """(rows, columns) of what is as empty as a corner and joined with it; None without any."""
    corners = (hu[0, 0], hu[0, -1], hu[-1, 0], hu[-1, -1])
    value = min(corners)
    if value > PADDING_HU:
        return None
    _, labels = cv2.connectedComponents(np.ascontiguousarray(hu == value, np.uint8), connectivity=4)
    found = {int(labels[r, c]) for r in (0, -1) for c in (0, -1)} - {0}
    return np.asarray(np.isin(labels, sorted(found)), np.bool_)


def rectangle(empty: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Rows and columns of the field where padding leaves a rectangle; None of any other shape."""
    down, across = np.flatnonzero(~empty.all(axis=1)), np.flatnonzero(~empty.all(axis=0))
    if len(down) == 0:
        return None
    found = slice(int(down[0]), int(down[-1]) + 1), slice(int(across[0]), int(across[-1]) + 1)
    return found if float((~empty[found]).mean()) >= RECTANGLE_SHARE else None


def round_field(
    hu: NDArray[Any], empty: NDArray[np.bool_], spacing_mm_px: tuple[float, float]
) -> RoundField | None:
    """The circle that cuts the body off; None where there is none.

    Args:
        hu: (rows, columns).
        empty: (rows, columns), True in the padding.
        spacing_mm_px: of a pixel along (x, y).
    """
    beside = cv2.dilate(empty.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(beside & ~empty & (hu > BODY_HU))
    steps = np.stack([columns * spacing_mm_px[0], rows * spacing_mm_px[1]], axis=1)
    circle = _circle(steps)
    if circle is None:
        return None
    x, y, radius = circle
    off = steps - (x, y)
    on = np.abs(np.hypot(off[:, 0], off[:, 1]) - radius) <= CIRCLE_TOLERANCE * radius
    down = np.arange(hu.shape[0])[:, np.newaxis] * spacing_mm_px[1] - y
    across = np.arange(hu.shape[1]) * spacing_mm_px[0] - x
    outside = np.hypot(across, down) > (1 + CIRCLE_TOLERANCE) * radius
    if on.mean() < ON_CIRCLE_SHARE or not outside.any() or empty[outside].mean() < EMPTY_SHARE:
        return None
    angle = np.degrees(np.arctan2(off[on, 1], off[on, 0]))
    touched = np.zeros(DEGREES, np.bool_)
    # From -45 degrees on, so that the quarters are right, bottom, left and top.
    touched[np.floor((angle + 45) % DEGREES).astype(int) % DEGREES] = True
    if touched.mean() < LEAST_ARC:
        return None
    right, bottom, left, top = (float(x) for x in touched.reshape(4, -1).mean(axis=1))
    return RoundField(2 * radius, (left, top, right, bottom))


def _circle(points: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Middle and radius of the circle by least squares (Kasa, 1976), outliers left out by turns."""
    kept = points
    for _ in range(FITS):
        if len(kept) < 3:
            return None
        terms = np.column_stack([2 * kept, np.ones(len(kept))])
        x, y, rest = np.linalg.lstsq(terms, (kept**2).sum(axis=1), rcond=None)[0]
        radius = float(np.sqrt(max(rest + x**2 + y**2, 0.0)))
        off = np.abs(np.hypot(*(points - (x, y)).T) - radius)
        near = off <= max(CIRCLE_TOLERANCE * radius, float(np.median(off)))
        kept = points[near]
    return float(x), float(y), radius
