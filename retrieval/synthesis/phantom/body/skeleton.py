"""Spine, ribs, shoulder and pelvic bones of one patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.synthesis.phantom.body.organs import place
from retrieval.synthesis.phantom.body.points import Points
from retrieval.synthesis.phantom.body.shapes import Tubes
from retrieval.synthesis.phantom.body.torso import Torso

RIB_PAIRS = 12
_SPINE = np.array([[0.22, 40], [0.34, 52], [0.46, 62], [0.56, 56], [0.66, 40], [0.74, 46]])
"""Normalised height and y in mm of the vertebral bodies' centres: kyphosis and lordosis."""


@dataclass(frozen=True)
class Skeleton:
    """Bones as tubes, and a spine given by its curve.

    Attributes:
        ribs: bony ribs; ``cartilage`` their front ends.
        plates: thin flat bones (shoulder blades, iliac wings) and clavicles.
        blocks: solid bones (sacrum, sternum, hips, femoral heads, pubis).
        vertebra_mm: height of one vertebra with its disc.
        vertebra_offset_mm: where the first one begins.
    """

    ribs: Tubes
    cartilage: Tubes
    plates: Tubes
    blocks: Tubes
    torso: Torso
    vertebra_mm: float
    vertebra_offset_mm: float

    @classmethod
    def random(cls, torso: Torso, rng: np.random.Generator) -> Skeleton:
        """Bones for a torso."""
        ribs, cartilage = _ribs(torso, rng)
        return cls(
            ribs=Tubes.joined(ribs),
            cartilage=Tubes.joined(cartilage),
            plates=Tubes.joined([*_shoulder(torso), *_iliac_wings(torso, rng)]),
            blocks=Tubes.joined(_blocks(torso, rng)),
            torso=torso,
            vertebra_mm=float(rng.uniform(28, 33) * torso.scale[2]),
            vertebra_offset_mm=float(rng.uniform(0, 30)),
        )

    def spine_y(self, level_mm: Any) -> Any:
        """y in mm of the vertebral bodies' centres at a height."""
        z = np.asarray(level_mm) / self.torso.height_mm
        return np.interp(z, _SPINE[:, 0], _SPINE[:, 1]) * self.torso.scale[1]

    def vertebra_axes(self, level_mm: Any) -> tuple[Any, Any]:
        """Half width and half depth in mm of a vertebral body: lumbar ones are larger."""
        z = np.asarray(level_mm) / self.torso.height_mm
        width = np.interp(z, [0.25, 0.45, 0.70], [12, 16, 24]) * self.torso.scale[0]
        return width, np.interp(z, [0.25, 0.45, 0.70], [9, 14.5, 17.5]) * self.torso.scale[1]

    def disc_share(self, level_mm: float) -> float:
        """1 in the middle of a disc, 0 within a vertebral body."""
        turn = (level_mm - self.vertebra_offset_mm) / self.vertebra_mm
        from_disc = abs(turn - round(turn)) * self.vertebra_mm
        return float(np.clip(1.5 - from_disc / 2.5, 0, 1))

    def body_distance(self, p: Points) -> Any:
        """Distance to the vertebral body (without disc spaces)."""
        width, depth = (np.float32(axis) for axis in self.vertebra_axes(p.level_mm))
        u, v = p.x / width, (p.y - np.float32(self.spine_y(p.level_mm))) / depth
        return (np.sqrt(u * u + v * v) - 1) * np.sqrt(width * depth)


def _ribs(torso: Torso, rng: np.random.Generator) -> tuple[list[Tubes], list[Tubes]]:
    ribs: list[Tubes] = []
    cartilage: list[Tubes] = []
    for number in range(RIB_PAIRS):
        start = 0.315 + 0.0235 * number + rng.normal(0, 0.001)
        drop = np.interp(number, [0, 3, 8, 11], [0.04, 0.085, 0.10, 0.06])
        bony = np.interp(number, [0, 6, 9, 10, 11], [2.3, 2.45, 2.1, 1.7, 1.3])
        for side in (-1, 1):
            angles = np.linspace(0.22, bony, 30)
            ribs.append(Tubes.along(
                _rib_path(torso, angles, start, drop, side), np.full(30, 4.6), height=0.62
            ))  # fmt: skip
            if number < 10:
                angles = np.linspace(bony, min(bony + 0.5, 2.95), 10)
                cartilage.append(Tubes.along(
                    _rib_path(torso, angles, start, drop, side), np.full(10, 4.4), height=0.62
                ))  # fmt: skip
    return ribs, cartilage


def _rib_path(
    torso: Torso, angles: NDArray[Any], start: float, drop: float, side: int
) -> NDArray[Any]:
    """Along the cavity's outline from the spine (angle 0) round to the front (pi)."""
    z = start + drop * (1 - np.cos(angles)) / 2
    half_width, half_depth = torso.axes(z * torso.height_mm, 3)
    # The outline's corners reach beyond an ellipse; so must the ribs.
    out = 1 + 0.045 * np.sin(2 * angles) ** 2
    x = side * (half_width + 5.5) * np.sin(angles) * out
    y = -4 * torso.scale[1] + (half_depth + 5.5) * np.cos(angles) * out
    return np.stack([x, y, z * torso.height_mm], axis=1)


def _mirrored(torso: Torso, path: Any, radius: float) -> list[Tubes]:
    """A tube and its mirror image; path of (x, y, z normalised)."""
    tubes = []
    for side in (-1, 1):
        points = np.array([place(torso, side * x, y, z) for x, y, z in path])
        tubes.append(Tubes.along(points, np.full(len(points), radius), step_mm=8))
    return tubes


def _sheet(torso: Torso, edges: Any, radius: float) -> list[Tubes]:
    """A flat bone: neighbouring strips between two edges given at several heights.

    ``edges`` holds (z, inner x, inner y, middle x, middle y, outer x, outer y).
    """
    strips: list[Tubes] = []
    edges = np.asarray(edges, float)
    step = radius * 1.4 / torso.height_mm
    for z in np.arange(edges[0, 0], edges[-1, 0], step):
        row = [np.interp(z, edges[:, 0], edges[:, column]) for column in range(1, 7)]
        path = [(*row[0:2], z), (*row[2:4], z), (*row[4:6], z)]
        strips.extend(_mirrored(torso, path, radius))
    return strips


def _shoulder(torso: Torso) -> list[Tubes]:
    blade = [
        (0.315, 92, 84, 118, 62, 150, 40),
        (0.36, 78, 92, 108, 78, 142, 52),
        (0.42, 80, 96, 100, 90, 124, 76),
        (0.45, 92, 98, 98, 96, 106, 92),
    ]
    clavicle = [(16, -62, 0.352), (60, -58, 0.335), (110, -30, 0.318), (150, -4, 0.31)]
    return [*_sheet(torso, blade, 3.2), *_mirrored(torso, clavicle, 5.5)]


def _iliac_wings(torso: Torso, rng: np.random.Generator) -> list[Tubes]:
    spread = rng.uniform(0.95, 1.05)
    wing = [
        (0.717, 88, 62, 108, 38, 122, 6),
        (0.745, 46, 76, 96, 44, 126, -22),
        (0.775, 42, 74, 84, 42, 118, -34),
        (0.805, 60, 62, 78, 34, 102, -36),
        (0.818, 72, 50, 80, 26, 94, -26),
    ]
    return _sheet(torso, [(z, *(v * spread for v in row)) for z, *row in wing], 4.6)


def _blocks(torso: Torso, rng: np.random.Generator) -> list[Tubes]:
    wide = rng.uniform(0.95, 1.05)
    heads = _mirrored(torso, [(88 * wide, 2, 0.836), (90 * wide, 2, 0.839)], 22)
    sockets = _mirrored(torso, [(68 * wide, 18, 0.815), (64 * wide, 14, 0.84)], 9)
    front = _mirrored(torso, [(72 * wide, -22, 0.825), (34, -54, 0.845), (8, -58, 0.853)], 8)
    seat = _mirrored(torso, [(64 * wide, 20, 0.84), (58 * wide, 34, 0.88)], 10)
    neck = _mirrored(torso, [(92 * wide, 2, 0.842), (120 * wide, 10, 0.87)], 14)
    wings: list[Tubes] = []
    for aside in (0.0, 7.0, 14.0, 21.0, 28.0, 34.0):
        back = 58 + aside / 4
        path = [(aside, back, 0.742), (aside * 0.95, back + 8, 0.768), (aside * 0.7, 74, 0.786)]
        wings += _mirrored(torso, path, 11.5)
    middle = [(0, 54, 0.742, 17), (0, 68, 0.772, 14), (0, 78, 0.80, 8), (0, 70, 0.825, 4)]
    sternum = [(0, -92, 0.352), (0, -94, 0.40), (0, -95, 0.50)]
    sacrum = Tubes.along(
        np.array([place(torso, *point[:3]) for point in middle]),
        np.array([point[3] for point in middle]),
    )
    strips: list[Tubes] = []
    for aside in (1.5, 4.5, 7.5, 10.5, 13.0):
        strips += _mirrored(torso, [(aside, y + aside**2 / 90, z) for _, y, z in sternum], 5.2)
    return [*heads, *sockets, *front, *seat, *neck, *wings, sacrum, *strips]
