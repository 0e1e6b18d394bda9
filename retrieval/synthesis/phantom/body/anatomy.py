"""Anatomy: everything about one patient that stays the same from study to study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.synthesis.phantom.body.fields import Tile, warp_tiles
from retrieval.synthesis.phantom.body.organs import Organs, place
from retrieval.synthesis.phantom.body.points import Floats, Points
from retrieval.synthesis.phantom.body.shapes import Tubes
from retrieval.synthesis.phantom.body.skeleton import Skeleton
from retrieval.synthesis.phantom.body.torso import Torso
from retrieval.synthesis.phantom.body.vessels import grow_tree

LUNG_TIPS, LIVER_TIPS, FAT_TIPS = 600, 300, 110
"""How many twigs each lung, the liver, and the belly's fat get."""


@dataclass(frozen=True)
class Anatomy:
    """One patient.

    Attributes:
        texture: field of the tissues' grain.
        warp: three fields that bend the organs (x, y, z), of unit deviation.
        lung_hu: offset of this patient's lungs, likewise ``liver_hu`` and ``marrow_hu``.
        streaks: how much fat runs through the muscles, 0 to 1.
        gas: share of gas in the gut; ``oral_hu`` HU of oral contrast, 0 for none.
    """

    torso: Torso
    organs: Organs
    skeleton: Skeleton
    lung_vessels: Tubes
    liver_vessels: Tubes
    fat_vessels: Tubes
    texture: Tile
    warp: tuple[Tile, Tile, Tile]
    lung_hu: float
    liver_hu: float
    marrow_hu: float
    streaks: float
    gas: float
    oral_hu: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Anatomy:
        """A new patient."""
        torso = Torso.random(rng)
        organs = Organs.random(torso, rng)
        return cls(
            torso=torso,
            organs=organs,
            skeleton=Skeleton.random(torso, rng),
            lung_vessels=_lung_vessels(torso, rng),
            liver_vessels=_liver_vessels(torso, organs, rng),
            fat_vessels=_fat_vessels(torso, rng),
            texture=Tile.random(rng),
            warp=warp_tiles(rng),
            lung_hu=float(rng.normal(0, 18)),
            liver_hu=float(rng.normal(-4, 9)),
            marrow_hu=float(rng.normal(0, 45)),
            streaks=float(rng.uniform(0.05, 0.6)),
            gas=float(rng.uniform(0.15, 0.6)),
            oral_hu=float(rng.uniform(120, 320)) if rng.random() < 0.35 else 0.0,
        )

    def liver_distance(self, p: Points) -> Floats:
        """Distance to the liver's surface."""
        parts = [self.organs.ellipsoids[name] for name in ("liver right", "liver left")]
        lobes = np.minimum(*(part.distance(p.x, p.y, p.z) for part in parts))
        inside = np.maximum(lobes, self.torso.cavity_distance(p) + 3)
        return np.asarray(np.maximum(inside, self.torso.diaphragm_depth(p) * 0.7 + 2), np.float32)

    def lung_distance(self, p: Points) -> Floats:
        """Distance to the nearer lung's surface, the heart cut out."""
        heart = self.organs.ellipsoids["pericardium"]
        return np.asarray(
            np.maximum(self.torso.lung_distance(p), -heart.distance(p.x, p.y, p.z)), np.float32
        )

    def sample(
        self, box: Any, count: int, rng: np.random.Generator, distance: Any
    ) -> NDArray[np.float64]:
        """``count`` points of a box (in organs' units) at which ``distance`` is negative."""
        found: list[NDArray[np.float64]] = []
        for _ in range(40):
            draws = np.stack([rng.uniform(low, high, 4 * count) for low, high in box], axis=1)
            points = np.array([place(self.torso, *draw) for draw in draws])
            found.extend(points[distance(Points.of(points)) < 0])
            if len(found) >= count:
                break
        return np.array(found[:count]).reshape(-1, 3)


def _lung_vessels(torso: Torso, rng: np.random.Generator) -> Tubes:
    trees = []
    for side in (-1, 1):
        draws = rng.uniform((22, -90, 0.31), (132, 86, 0.65), (9 * LUNG_TIPS, 3))
        points = draws * (side * torso.scale[0], torso.scale[1], torso.height_mm)
        inside = points[torso.lung_distance(Points.of(points)) < -5][:LUNG_TIPS]
        for part, (y, z) in ((inside[::2], (12, 0.452)), (inside[1::2], (8, 0.478))):
            root = place(torso, side * 40, y, z)
            trees.append(grow_tree(root, part, tip_radius_mm=0.6, rng=rng))
    return Tubes.joined(trees)


def _liver_vessels(torso: Torso, organs: Organs, rng: np.random.Generator) -> Tubes:
    right, left = (organs.ellipsoids[name] for name in ("liver right", "liver left"))
    directions = rng.standard_normal((LIVER_TIPS, 3))
    directions *= (rng.random((LIVER_TIPS, 1)) ** 0.4) / np.linalg.norm(
        directions, axis=1, keepdims=True
    )
    split = LIVER_TIPS * 3 // 4
    tips = np.concatenate(
        [
            right.center + directions[:split] * right.radii * 0.88,
            left.center + directions[split:] * left.radii * 0.85,
        ]
    )
    hepatic = grow_tree(place(torso, -20, 4, 0.574), tips[::2], tip_radius_mm=1.2, rng=rng)
    portal = grow_tree(place(torso, -30, -6, 0.608), tips[1::2], tip_radius_mm=1.1, rng=rng)
    return Tubes.joined([hepatic, portal])


def _fat_vessels(torso: Torso, rng: np.random.Generator) -> Tubes:
    draws = rng.uniform((-80, -60, 0.645), (80, 10, 0.775), (FAT_TIPS, 3))
    tips = np.array([place(torso, *draw) for draw in draws])
    mesentery = grow_tree(place(torso, 6, 0, 0.648), tips, tip_radius_mm=0.7, rng=rng)
    draws = rng.uniform((-60, -30, 0.76), (60, 50, 0.84), (FAT_TIPS // 2, 3))
    tips = np.array([place(torso, *draw) for draw in draws])
    pelvic = grow_tree(place(torso, 4, 30, 0.745), tips, tip_radius_mm=0.8, rng=rng)
    return Tubes.joined([mesentery, pelvic])
