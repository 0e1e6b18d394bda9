"""A RECIST mark from a mask: what a reader would draw on the key slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from retrieval.lesion import LesionError, Recist


def recist_of_mask(mask: NDArray[Any], spacing_mm_px: tuple[float, float]) -> Recist:
    """The longest diameter of a mask and the longest chord perpendicular to it.

    Lengths run between the outer edges of pixels, so n pixels in a row measure n and not n - 1.
    The perpendicular is sought in strips one pixel wide along the long diameter and ends on the
    mask's outline. Separate parts count as one lesion.

    Args:
        mask: (rows, columns), nonzero inside the lesion.
        spacing_mm_px: millimetres per pixel along (x, y).

    Raises:
        LesionError: the mask is empty.
    """
    inside = np.asarray(mask) != 0
    if not inside.any():
        raise LesionError("mask is empty on the key slice: no diameter can be measured")
    return recist_of_outline(pixel_outline(inside), spacing_mm_px)


def recist_of_outline(
    outline: NDArray[np.float64],
    spacing_mm_px: tuple[float, float],
    *,
    strip_mm: float | None = None,
) -> Recist:
    """The mark of a mask whose outline is known, as ``recist_of_mask`` draws it.

    Args:
        outline: (points, 2) as (x, y) in pixels: middles of pixel edges (``pixel_outline``).
        spacing_mm_px: millimetres per pixel along (x, y).
        strip_mm: size of the mask's own pixels, where they are not those of the image.
    """
    spacing = np.asarray(spacing_mm_px, dtype=np.float64)
    in_mm = outline * spacing
    distances = squareform(pdist(in_mm))
    first, second = np.unravel_index(int(distances.argmax()), distances.shape)
    start, end = in_mm[first], in_mm[second]
    along = (end - start) / np.linalg.norm(end - start)
    strip = float(spacing.min()) if strip_mm is None else strip_mm
    short_start, short_end = _perpendicular(in_mm, along, strip)
    points = np.stack([start, end, short_start, short_end]) / spacing
    # Millionths of a pixel are the noise of the way through millimetres.
    return Recist(tuple((round(float(x), 6), round(float(y), 6)) for x, y in points))


def pixel_outline(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middles of the pixel edges that border the mask, (points, 2) as (x, y) in pixels."""
    padded = np.pad(inside, 1)
    centre = padded[1:-1, 1:-1]
    sides = (
        (padded[1:-1, :-2], (-0.5, 0.0)),
        (padded[1:-1, 2:], (0.5, 0.0)),
        (padded[:-2, 1:-1], (0.0, -0.5)),
        (padded[2:, 1:-1], (0.0, 0.5)),
    )
    parts = []
    for neighbour, (dx, dy) in sides:
        rows, columns = np.nonzero(centre & ~neighbour)
        parts.append(np.stack([columns + dx, rows + dy], axis=1))
    return np.concatenate(parts)


def _perpendicular(
    outline: NDArray[np.float64], along: NDArray[np.float64], strip_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    across = np.array([-along[1], along[0]])
    depth, side = outline @ along, outline @ across
    strips = np.floor((depth - depth.min()) / strip_mm).astype(np.int64)
    count = int(strips.max()) + 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, strips, side)
    np.maximum.at(high, strips, side)
    best = int((high - low).argmax())
    middle = depth.min() + (best + 0.5) * strip_mm
    return middle * along + low[best] * across, middle * along + high[best] * across
