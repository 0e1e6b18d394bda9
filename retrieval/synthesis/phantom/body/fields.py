"""Seeded smooth random fields: a periodic tile for the body, plane waves for a lesion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.synthesis.phantom.body.points import Floats

TILE_SHAPE = (32, 64, 64)
COARSE_CELL_MM = 8.0
COARSE_TILE_SHAPE = (16, 32, 32)
"""For fields of large cells, where a short period does no harm."""


@dataclass(frozen=True)
class Tile:
    """A periodic field of zero mean and unit deviation on a grid (z, y, x), smooth over cells."""

    values: Floats

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        smoothness_cells: float = 1.2,
        shape: tuple[int, int, int] = TILE_SHAPE,
    ) -> Tile:
        """A new field; ``smoothness_cells`` is the deviation of its Gaussian kernel."""
        noise = rng.standard_normal(shape, np.float32)
        smooth = ndimage.gaussian_filter(noise, smoothness_cells, mode="wrap")
        return cls(np.asarray((smooth - smooth.mean()) / smooth.std(), np.float32))

    def plane(self, z: float, cell_mm: float) -> Floats:
        """The field at one height, on the tile's own grid (rows, columns)."""
        depth = z / cell_mm
        below = int(np.floor(depth))
        weight = np.float32(depth - below)
        count = len(self.values)
        low, high = self.values[below % count], self.values[(below + 1) % count]
        return np.asarray(low * (1 - weight) + high * weight, np.float32)

    def sample(self, x: Floats, y: Floats, z: float, cell_mm: float) -> Floats:
        """The field at points of one height, interpolated linearly; cells of ``cell_mm``."""
        if cell_mm > COARSE_CELL_MM and min(x.shape) >= 64:
            # A field this smooth is the same when sampled at every fourth pixel.
            step = _coarse(x), _coarse(y)
            return np.asarray(
                cv2.resize(
                    self._sampled(*step, z, cell_mm), x.shape[::-1], interpolation=cv2.INTER_LINEAR
                ),
                np.float32,
            )
        return self._sampled(x, y, z, cell_mm)

    def _sampled(self, x: Floats, y: Floats, z: float, cell_mm: float) -> Floats:
        # OpenCV's own wrap-around is five times slower than repeating the tile.
        plane = self.plane(z, cell_mm)
        scale = np.float32(1 / cell_mm)
        columns, width = _from_zero(x * scale, plane.shape[1])
        rows, height = _from_zero(y * scale, plane.shape[0])
        repeated = np.tile(plane, (height, width))
        return np.asarray(cv2.remap(repeated, columns, rows, cv2.INTER_LINEAR), np.float32)


def _coarse(coordinates: Floats) -> Floats:
    return np.ascontiguousarray(coordinates[1::4, 1::4])


def _from_zero(cells: Floats, period: int) -> tuple[Floats, int]:
    """The same cells moved by whole periods to begin at 0, and the periods they span."""
    first = int(np.floor(float(cells.min()) / period))
    moved = cells - np.float32(first * period)
    return moved, int(float(moved.max()) + 1) // period + 1


def warp_tiles(rng: np.random.Generator) -> tuple[Tile, Tile, Tile]:
    """Three smooth fields that bend a body along x, y and z."""
    first, second, third = (Tile.random(rng, 2.0, COARSE_TILE_SHAPE) for _ in range(3))
    return first, second, third


@dataclass(frozen=True, slots=True)
class Waves:
    """A sum of plane waves: a smooth random field that exists everywhere, with unit deviation.

    Attributes:
        vectors: (waves, 3), radians per unit length.
        phases: (waves,), radians.
    """

    vectors: Floats
    phases: Floats

    @classmethod
    def random(cls, rng: np.random.Generator, count: int, frequency: float) -> Waves:
        """Waves of random direction whose frequencies scatter about ``frequency``."""
        directions = rng.standard_normal((count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = frequency * rng.uniform(0.6, 1.4, (count, 1))
        phases = rng.uniform(0, 2 * np.pi, count)
        return cls((directions * lengths).astype(np.float32), phases.astype(np.float32))

    def at(self, points: NDArray[np.float32]) -> Floats:
        """The field at points (..., 3)."""
        angles = points @ self.vectors.T + self.phases
        total = np.cos(angles).sum(axis=-1)
        return np.asarray(total * np.float32(np.sqrt(2 / len(self.phases))), np.float32)

    def shifted(self, radians: Floats) -> Waves:
        """The same field with every phase moved: a related field for small shifts."""
        return Waves(self.vectors, self.phases + radians)
