"""Lesions painted into slices of real CT, so that a detector sees real surroundings.

An ellipsoid with an uneven rim and a soft edge replaces the large structure of the tissue and
keeps its noise: what was fine grain before is fine grain after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.lesion import Box
from retrieval.patch import CANONICAL_PADDING_MM
from retrieval.tissue import body_mask

LUNG_HU = -600.0
SOFT_HU = (-60.0, 220.0)
ATTEMPTS = 30
HARMONICS = 4
FURTHEST_MM = 45.0

Planes = NDArray[np.float32]


@dataclass(frozen=True)
class PaintedLesion:
    """Slices with one more lesion in them.

    Attributes:
        hu: (slices, rows, columns).
        coverage: of the same shape, how much of each pixel is lesion, in [0, 1].
    """

    hu: Planes
    coverage: Planes


@dataclass(frozen=True)
class _Site:
    """Where a lesion goes, and what it is to be."""

    x: float
    y: float
    radius_mm: float
    in_lung: bool


def inside_body(hu: Planes) -> NDArray[np.bool_]:
    """(rows, columns): where a lesion's centre may lie, given the middle slice."""
    return np.asarray(ndimage.binary_erosion(body_mask(hu), iterations=3), np.bool_)


def paint_lesion(
    hu: Planes,
    body: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    mm_px: float,
    slice_interval_mm: float,
) -> tuple[Planes, Box] | None:
    """The slices with one more lesion, and its box on the middle one with canonical padding.

    Args:
        hu: (slices, rows, columns), not changed.
        body: what ``inside_body`` says of the middle slice.
        rng: what it is and where it goes.
        mm_px: millimetres per pixel.
        slice_interval_mm: millimetres between the slices.

    Returns:
        None where no place of even tissue was found.
    """
    painted = paint_covered(hu, body, rng, mm_px=mm_px, slice_interval_mm=slice_interval_mm)
    if painted is None:
        return None
    return painted.hu, _box(painted.coverage[len(hu) // 2], mm_px)


def paint_covered(
    hu: Planes,
    body: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    mm_px: float,
    slice_interval_mm: float,
) -> PaintedLesion | None:
    """As ``paint_lesion``, with how much of each pixel the lesion covers, on every slice."""
    site = _find_site(hu[len(hu) // 2], body, rng, mm_px=mm_px)
    if site is None:
        return None
    reach = FURTHEST_MM / mm_px
    rows = slice(max(0, int(site.y - reach)), min(hu.shape[1], int(site.y + reach) + 1))
    columns = slice(max(0, int(site.x - reach)), min(hu.shape[2], int(site.x + reach) + 1))
    window = hu[:, rows, columns]
    middle = len(hu) // 2
    heights = (np.arange(len(hu)) - middle) * slice_interval_mm
    grid = np.mgrid[rows, columns].astype(np.float32)
    away = np.hypot(grid[0] - site.y, grid[1] - site.x) * mm_px
    angle = np.arctan2(grid[0] - site.y, grid[1] - site.x)
    rim = _Outline(site, rng).radii(angle)
    softness = rng.uniform(0.6, 2.0)
    covers = [
        _coverage(away, rim * np.sqrt(max(0.0, 1 - (z / site.radius_mm) ** 2)), softness)
        for z in heights
    ]
    if covers[middle].max() < 0.5:
        return None
    fill = _filling(window, covers[middle], site, rng)
    cover = np.stack(covers)
    painted, coverage = hu.copy(), np.zeros(hu.shape, np.float32)
    painted[:, rows, columns] = window * (1 - cover) + fill * cover
    coverage[:, rows, columns] = cover
    return PaintedLesion(painted, coverage)


def _find_site(
    hu: Planes, body: NDArray[np.bool_], rng: np.random.Generator, *, mm_px: float
) -> _Site | None:
    """A place whose tissue is even enough to take a lesion of the radius drawn for it."""
    places = np.flatnonzero(body)
    for _ in range(ATTEMPTS if len(places) else 0):
        radius = float(np.clip(rng.lognormal(np.log(7.5), 0.5), 2.5, 32.0))
        y, x = divmod(int(places[rng.integers(len(places))]), hu.shape[1])
        reach = max(2, round(radius / mm_px))
        near = hu[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        low, middle, high = np.percentile(near, [15, 50, 85])
        if middle < LUNG_HU and high < LUNG_HU + 250 and low > -990:
            return _Site(x, y, min(radius, 18.0), in_lung=True)
        if SOFT_HU[0] < middle < SOFT_HU[1] and high - low < 110:
            return _Site(x, y, radius, in_lung=False)
    return None


class _Outline:
    """Radius in mm by angle: an ellipse with a few harmonics."""

    def __init__(self, site: _Site, rng: np.random.Generator) -> None:
        self.radius = site.radius_mm
        self.stretch = rng.uniform(0.7, 1.0)
        self.turn = rng.uniform(0, np.pi)
        self.depths = rng.normal(0, 0.05, HARMONICS) * rng.uniform(0.3, 1.6)
        self.phases = rng.uniform(0, 2 * np.pi, HARMONICS)

    def radii(self, angle: NDArray[np.float32]) -> NDArray[np.float32]:
        turned = angle - self.turn
        ellipse = self.stretch / np.hypot(self.stretch * np.cos(turned), np.sin(turned))
        uneven = np.ones_like(ellipse)
        for number, (depth, phase) in enumerate(zip(self.depths, self.phases, strict=True)):
            uneven += depth * np.cos((number + 2) * angle + phase)
        return np.asarray(self.radius * ellipse * uneven, np.float32)


def _coverage(
    away: NDArray[np.float32], rim: NDArray[np.float32], softness: float
) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(np.clip((away - rim) / softness * 2, -30, 30))), np.float32)


def _filling(
    window: Planes, cover: NDArray[np.float32], site: _Site, rng: np.random.Generator
) -> Planes:
    """What stands inside: a level and a coarse texture, with the fine grain of what was there."""
    smooth = ndimage.gaussian_filter(window, (0, 1.5, 1.5))
    grain = window - smooth
    level = float(np.median(window[len(window) // 2][cover > 0.5]))
    if site.in_lung:
        inside = rng.uniform(-550, -250) if rng.random() < 0.25 else rng.uniform(-40, 90)
        grain = grain * 0.4 + rng.normal(0, 12, window.shape).astype(np.float32)
    else:
        contrast = rng.uniform(18, 75) * (-1 if rng.random() < 0.6 else 1)
        inside = level + contrast
    coarse = ndimage.gaussian_filter(rng.normal(0, 1, window.shape), (0.5, 3, 3))
    texture = coarse / max(float(coarse.std()), 1e-6) * rng.uniform(0, 9)
    return np.asarray(inside + texture + grain, np.float32)


def _box(cover: NDArray[np.float32], mm_px: float) -> Box:
    held_rows = np.flatnonzero((cover > 0.5).any(axis=1))
    held_columns = np.flatnonzero((cover > 0.5).any(axis=0))
    extent = Box(
        held_columns[0] - 0.5, held_rows[0] - 0.5, held_columns[-1] + 0.5, held_rows[-1] + 0.5
    )
    return extent.padded(CANONICAL_PADDING_MM / mm_px)
