"""Outlines of the trunk that vary with body height: skin, muscle, cavity, diaphragm, lungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.synthesis.phantom.body.points import Floats, Points
from retrieval.synthesis.phantom.body.shapes import squircle_distance

HEIGHT_MM = 1080.0
"""Millimetres of body height between normalised z = 0 and 1, for a patient of mean size."""

# Half axes in mm by normalised height: z, muscle's outer surface (x, y), cavity (x, y).
_PROFILE = np.array(
    [
        [0.24, 150, 78, 20, 20],
        [0.29, 165, 88, 42, 42],
        [0.32, 168, 96, 76, 60],
        [0.36, 165, 103, 108, 76],
        [0.41, 158, 109, 124, 85],
        [0.47, 153, 112, 132, 90],
        [0.54, 150, 113, 133, 92],
        [0.60, 146, 112, 130, 93],
        [0.66, 142, 108, 124, 90],
        [0.71, 143, 105, 120, 86],
        [0.75, 152, 106, 108, 82],
        [0.79, 162, 108, 86, 76],
        [0.83, 168, 106, 66, 68],
        [0.87, 170, 100, 52, 54],
        [0.92, 172, 96, 30, 30],
    ]
)
_CAVITY_Y = -4.0
_MUSCLE_Y = 6.0


@dataclass(frozen=True)
class Torso:
    """One patient's outlines.

    Attributes:
        scale: (x, y, z) size against a patient of mean size.
        fat_mm: thickness of the fat under the skin (front, side, back).
        dome_mm: height (z) of the right and left dome of the diaphragm.
    """

    scale: tuple[float, float, float]
    fat_mm: tuple[float, float, float]
    dome_mm: tuple[float, float]
    waist: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Torso:
        """A new patient: stature, girth and fat vary together as loosely as in people."""
        girth = rng.normal(0, 1)
        scale = (
            float(np.clip(1 + 0.05 * girth + rng.normal(0, 0.03), 0.86, 1.16)),
            float(np.clip(1 + 0.06 * girth + rng.normal(0, 0.04), 0.84, 1.18)),
            float(np.clip(1 + rng.normal(0, 0.045), 0.88, 1.12)),
        )
        fat = float(np.exp(2.6 + 0.30 * girth + rng.normal(0, 0.3)))
        front, side, back = (float(np.clip(fat * rng.uniform(*r), 4, 42)) for r in _FAT_RANGES)
        height = HEIGHT_MM * scale[2]
        right = float(height * rng.normal(0.556, 0.008))
        domes = (right, right + float(height * rng.normal(0.010, 0.006)))
        return cls(scale, (front, side, back), domes, float(rng.uniform(0.0, 0.6)))

    @property
    def height_mm(self) -> float:
        """Millimetres between normalised z = 0 and 1."""
        return HEIGHT_MM * self.scale[2]

    def axes(self, level_mm: Any, column: int) -> tuple[Any, Any]:
        """Half axes (x, y) in mm at a height: column 1 is muscle, 3 the cavity."""
        z = np.asarray(level_mm) / self.height_mm
        x = np.interp(z, _PROFILE[:, 0], _PROFILE[:, column]) * self.scale[0]
        y = np.interp(z, _PROFILE[:, 0], _PROFILE[:, column + 1]) * self.scale[1]
        return x.astype(np.float32), y.astype(np.float32)

    def muscle_distance(self, p: Points) -> Floats:
        """Distance to the outer surface of the muscles."""
        x, y = self.axes(p.level_mm, 1)
        return squircle_distance(p.x, p.y - np.float32(_MUSCLE_Y * self.scale[1]), x, y)

    def skin_axes(self, level_mm: float) -> tuple[float, float, float]:
        """Half width, half depth and the centre's y of the skin, in mm, at one height."""
        x, y = self.axes(level_mm, 1)
        front, side, back = self.fat_mm
        # Fat hangs lower on some: thin over the ribs, thick about the hips.
        z = level_mm / self.height_mm
        hip = float(np.interp(z, [0.35, 0.5, 0.68, 0.8], [0.7, 0.8, 1.0 + self.waist, 1.2]))
        center = _MUSCLE_Y * self.scale[1] + (back - front) / 2 * hip
        return float(x + side * hip), float(y + (front + back) / 2 * hip), center

    def skin_distance(self, p: Points) -> Floats:
        """Distance to the skin, for the points of one slice."""
        x, y, center = self.skin_axes(float(p.level_mm))
        return squircle_distance(p.x, p.y - np.float32(center), x, y)

    def cavity_distance(self, p: Points) -> Floats:
        """Distance to the inner surface of the chest and belly wall."""
        x, y = self.axes(p.level_mm, 3)
        return squircle_distance(p.x, p.y - np.float32(_CAVITY_Y * self.scale[1]), x, y)

    def diaphragm_depth(self, p: Points) -> Floats:
        """How far a point lies above the diaphragm in mm; negative below it."""
        surface: Any = np.inf
        for side, dome in zip((-1, 1), self.dome_mm, strict=True):
            u = (p.x - np.float32(side * 66 * self.scale[0])) / np.float32(84 * self.scale[0])
            v = (p.y + np.float32(14 * self.scale[1])) / np.float32(84 * self.scale[1])
            sheet = np.float32(dome) + np.float32(0.060 * self.height_mm) * (u * u + v * v)
            surface = np.minimum(surface, sheet)
        return np.asarray(surface - p.z, np.float32)

    def mediastinum_half_width(self, p: Points) -> Floats:
        """Half width in mm of what lies between the lungs, by depth and height."""
        z = float(np.mean(p.level_mm)) / self.height_mm
        front = float(np.interp(z, [0.30, 0.38, 0.46, 0.52], [30, 16, 7, 16]))
        middle = float(np.interp(z, [0.30, 0.38, 0.44, 0.50], [30, 28, 36, 30]))
        depth = p.y / np.float32(self.scale[1])
        width = np.interp(
            depth, [-90, -55, -20, 15, 45, 80], [front + 8, front, middle, 32, 25, 24]
        )
        return np.asarray(width * self.scale[0], np.float32)

    def lung_distance(self, p: Points) -> Floats:
        """Distance to the surface of the nearer lung."""
        between = self.mediastinum_half_width(p) - np.abs(p.x)
        base = -self.diaphragm_depth(p) * np.float32(0.7)
        return np.asarray(np.maximum(np.maximum(self.cavity_distance(p) + 2, between), base))


_FAT_RANGES = ((0.7, 1.5), (0.5, 1.1), (0.6, 1.4))
