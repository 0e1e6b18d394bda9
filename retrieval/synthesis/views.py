"""Other looks at the same lesion: a careless box, another scan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from retrieval.image import CT_HU, Slab
from retrieval.lesion import Box

CONTEXT_MM = 160.0
"""How far from the lesion a re-scan is simulated; further out no patch reaches."""


@dataclass(frozen=True)
class BoxJitter:
    """Each edge of the box moved by up to ``fraction`` of the box's width or height."""

    fraction: float
    generator: Generator

    def __call__(self, slab: Slab, box: Box) -> tuple[Slab, Box]:
        """The same slices, another box."""
        dx1, dy1, dx2, dy2 = self.generator.uniform(-self.fraction, self.fraction, 4)
        moved = Box(
            box.x1 + dx1 * box.width,
            box.y1 + dy1 * box.height,
            box.x2 + dx2 * box.width,
            box.y2 + dy2 * box.height,
        )
        return slab, moved


@dataclass(frozen=True)
class Rescan:
    """The lesion on another day's scanner: smoother kernel, fresh noise, slices elsewhere.

    Attributes:
        generator: draws noise and offset.
        noise_hu: deviation of the added noise.
        blur_mm: deviation of the added Gaussian blur in the plane.
        offset_mm: the new slices lie up to this far from the old, either way.
    """

    generator: Generator
    noise_hu: float = 15.0
    blur_mm: float = 0.6
    offset_mm: float = 1.5

    def __call__(self, slab: Slab, box: Box) -> tuple[Slab, Box]:
        """Other slices, the same box moved into their cropped frame."""
        slab, box = cropped(slab, box)
        offset = float(self.generator.uniform(-self.offset_mm, self.offset_mm))
        hu = _between_slices(slab, offset)
        sigma = (0.0, self.blur_mm / slab.spacing_mm_px[1], self.blur_mm / slab.spacing_mm_px[0])
        hu = gaussian_filter(hu, sigma, mode="nearest")
        hu = hu + self.generator.normal(0.0, self.noise_hu, hu.shape)
        return replace(slab, hu=np.maximum(hu, CT_HU.padding).astype(np.float32)), box


@dataclass(frozen=True)
class RetestPerturbation:
    """Another reader on another scanner: a re-scan, and each edge of the box moved.

    ``depth_mm`` more of the slab than the patch needs lets the slices lie elsewhere.
    """

    generator: Generator
    fraction: float = 0.2
    depth_mm: float = 2.5

    def __call__(self, slab: Slab, box: Box) -> tuple[Slab, Box]:
        """Other slices, another box, in a cropped frame."""
        scanned, moved = Rescan(self.generator, offset_mm=self.depth_mm)(slab, box)
        return BoxJitter(self.fraction, self.generator)(scanned, moved)


def cropped(slab: Slab, box: Box) -> tuple[Slab, Box]:
    """The slab within CONTEXT_MM of the box's centre, and the box in its frame."""
    x, y = box.center
    reach_x, reach_y = (CONTEXT_MM / spacing for spacing in slab.spacing_mm_px)
    left, top = max(math.floor(x - reach_x), 0), max(math.floor(y - reach_y), 0)
    right, bottom = math.ceil(x + reach_x) + 1, math.ceil(y + reach_y) + 1
    return replace(slab, hu=slab.hu[:, top:bottom, left:right]), box.shifted(-left, -top)


def _between_slices(slab: Slab, offset_mm: float) -> NDArray[np.float64]:
    """Every slice as it would be ``offset_mm`` further on; the last one repeats at the end."""
    count = slab.hu.shape[0]
    depths = np.clip(np.arange(count) + offset_mm / slab.slice_interval_mm, 0, count - 1)
    below = np.floor(depths).astype(int)
    above = np.minimum(below + 1, count - 1)
    weight = (depths - below)[:, None, None]
    return np.asarray(slab.hu[below] * (1 - weight) + slab.hu[above] * weight)
