"""Where lesions of each type occur in a patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionType
from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.organs import place
from retrieval.synthesis.phantom.body.points import Points


@dataclass(frozen=True)
class Site:
    """A place for a lesion: centre (3,) in mm, and the largest diameter that fits."""

    center: NDArray[np.float64]
    largest_mm: float
    host: str = ""

    @property
    def rigid(self) -> bool:
        """Whether it moves with the bones."""
        return self.host in {"bone", "wall"}


Places = list[tuple[float, tuple[float, float, float], tuple[float, float, float], float]]
"""weight, centre (x, y, z), half widths of the scatter, largest diameter in mm."""

_ABDOMEN: Places = [
    (0.28, (26, 14, 0.672), (6, 6, 0.028), 42),  # left of the aorta
    (0.14, (-4, 2, 0.672), (8, 4, 0.028), 36),  # between aorta and cava
    (0.16, (10, -26, 0.672), (42, 22, 0.022), 70),  # mesentery
    (0.14, (10, -12, 0.630), (38, 8, 0.008), 50),  # pancreas
    (0.10, (90, 34, 0.602), (16, 18, 0.018), 50),  # spleen
    (0.08, (40, 36, 0.628), (4, 4, 0.006), 45),  # left adrenal
    (0.05, (-30, 38, 0.628), (3, 3, 0.006), 40),  # right adrenal
    (0.05, (-10, -10, 0.618), (12, 5, 0.008), 40),  # portal nodes
]
_MEDIASTINUM: Places = [
    (0.22, (-22, 4, 0.395), (6, 8, 0.025), 38),  # right paratracheal
    (0.10, (20, 8, 0.428), (5, 6, 0.012), 30),  # aortopulmonary window
    (0.16, (-2, 30, 0.462), (8, 4, 0.012), 45),  # subcarinal
    (0.15, (-46, 14, 0.456), (5, 6, 0.016), 45),  # right hilum
    (0.12, (48, 20, 0.456), (5, 6, 0.016), 45),  # left hilum
    (0.15, (2, -52, 0.405), (14, 10, 0.032), 70),  # before the vessels
    (0.05, (0, 36, 0.520), (8, 4, 0.018), 40),  # beside the oesophagus
    (0.05, (-44, -62, 0.535), (10, 8, 0.010), 35),  # beside the heart
]
_PELVIS: Places = [
    (0.24, (-60, 0, 0.800), (8, 12, 0.020), 50),  # right iliac nodes
    (0.24, (60, 0, 0.800), (8, 12, 0.020), 50),  # left iliac nodes
    (0.18, (-26, 6, 0.800), (12, 14, 0.014), 75),
    (0.18, (26, 6, 0.800), (12, 14, 0.014), 75),
    (0.16, (0, 30, 0.802), (12, 10, 0.020), 60),  # before the sacrum
]


def draw_site(kind: LesionType, anatomy: Anatomy, rng: np.random.Generator) -> Site:
    """A place where lesions of the type occur."""
    tables = {
        LesionType.ABDOMEN: _ABDOMEN,
        LesionType.MEDIASTINUM: _MEDIASTINUM,
        LesionType.PELVIS: _PELVIS,
    }
    if kind in tables:
        return _from_table(tables[kind], anatomy, rng)
    special: dict[LesionType, Callable[[Anatomy, np.random.Generator], Site]] = {
        LesionType.BONE: _bone,
        LesionType.LIVER: _liver,
        LesionType.LUNG: _lung,
        LesionType.KIDNEY: _kidney,
        LesionType.SOFT_TISSUE: _soft_tissue,
    }
    return special[kind](anatomy, rng)


def _from_table(table: Places, anatomy: Anatomy, rng: np.random.Generator) -> Site:
    weights = np.array([row[0] for row in table])
    _, center, scatter, largest = table[int(rng.choice(len(table), p=weights / weights.sum()))]
    drawn = np.array(center) + np.array(scatter) * rng.uniform(-1, 1, 3)
    return Site(place(anatomy.torso, *drawn), largest)


def _bone(anatomy: Anatomy, rng: np.random.Generator) -> Site:
    skeleton, height = anatomy.skeleton, anatomy.torso.height_mm
    where = rng.random()
    if where < 0.5:
        first = (0.38 * height - skeleton.vertebra_offset_mm) / skeleton.vertebra_mm
        last = (0.735 * height - skeleton.vertebra_offset_mm) / skeleton.vertebra_mm
        number = rng.integers(int(np.ceil(first)), int(last))
        z = skeleton.vertebra_offset_mm + (number + rng.uniform(0.35, 0.65)) * skeleton.vertebra_mm
        width, depth = skeleton.vertebra_axes(z)
        x, y = rng.uniform(-0.4, 0.4, 2) * (width, depth)
        center = np.array([x, float(skeleton.spine_y(z)) + y, z])
        return Site(center, 1.5 * float(depth), "bone")
    if where < 0.68:
        pieces, largest = skeleton.ribs, 26.0
        pick = _piece(pieces.starts[:, 2], 0.36 * height, 0.62 * height, rng)
    elif where < 0.86:
        pieces, largest = skeleton.plates, 34.0
        pick = _piece(pieces.starts[:, 2], 0.735 * height, 0.81 * height, rng)
    else:
        pieces, largest = skeleton.blocks, 30.0
        pick = _piece(pieces.starts[:, 2], 0.74 * height, 0.845 * height, rng)
    return Site(pieces.starts[pick].astype(np.float64), largest, "bone")


def _piece(heights: NDArray[np.float32], low: float, high: float, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero((heights > low) & (heights < high))))


def _liver(anatomy: Anatomy, rng: np.random.Generator) -> Site:
    def deep_enough(p: Points) -> NDArray[np.float32]:
        return anatomy.liver_distance(p) + np.float32(rng.choice([5.0, 10.0, 20.0]))

    box = ((-125, 70), (-80, 80), (0.555, 0.66))
    center = anatomy.sample(box, 1, rng, deep_enough)[0]
    depth = -float(anatomy.liver_distance(Points.of(center[None]))[0])
    return Site(center, float(np.clip(2.6 * depth, 16, 80)), "liver")


def _lung(anatomy: Anatomy, rng: np.random.Generator) -> Site:
    margin = np.float32(rng.choice([3.0, 8.0, 14.0], p=[0.3, 0.4, 0.3]))
    box = ((-128, 128), (-85, 82), (0.345, 0.60))
    center = anatomy.sample(box, 1, rng, lambda p: anatomy.lung_distance(p) + margin)[0]
    depth = -float(anatomy.lung_distance(Points.of(center[None]))[0])
    return Site(center, float(np.clip(3.0 * depth, 10, 70)), "lung")


def _kidney(anatomy: Anatomy, rng: np.random.Generator) -> Site:
    kidney = anatomy.organs.ellipsoids[rng.choice(["kidney right", "kidney left"])]
    direction = rng.standard_normal(3) * (1, 1, 0.9)
    direction /= np.linalg.norm(direction)
    if direction[1] > 0.6:  # the back muscles are there
        direction[1] *= -1
    center = kidney.center + (direction * kidney.radii * rng.uniform(0.6, 1.05)) @ kidney.rotation
    return Site(center, 60.0)


def _soft_tissue(anatomy: Anatomy, rng: np.random.Generator) -> Site:
    """Under the skin, in the wall's muscles, the armpit or the buttocks."""
    torso = anatomy.torso
    where = rng.random()
    if where < 0.22:
        side = rng.choice([-1, 1])
        drawn = rng.uniform((118, -24, 0.315), (142, 22, 0.36))
        return Site(place(torso, side * drawn[0], drawn[1], drawn[2]), 45.0, "wall")
    z = rng.uniform(0.34, 0.86) * torso.height_mm
    angle = rng.uniform(0, 2 * np.pi)
    half_width, half_depth, y = torso.skin_axes(z)
    if where < 0.72:
        front, side_mm, back = torso.fat_mm
        thick = abs(np.cos(angle)) * (front if np.cos(angle) > 0 else back)
        thick += abs(np.sin(angle)) * side_mm
        inset, largest = rng.uniform(0.45, 0.8) * thick + 2, min(1.7 * thick + 8, 45.0)
    else:
        inset, largest = rng.uniform(22, 34), 50.0
    reach = np.array([half_width - inset, half_depth - inset])
    bulge = 1 + 0.05 * np.sin(2 * angle) ** 2
    center = np.array([np.sin(angle) * reach[0], y - np.cos(angle) * reach[1], 0.0]) * bulge
    center[2] = z
    return Site(center, float(largest), "wall")
