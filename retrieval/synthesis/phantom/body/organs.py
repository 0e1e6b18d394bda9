"""One patient's organs: ellipsoids and tubes at usual places, varied by the seed.

Places are (x, y) in mm of a patient of mean size and normalised body height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.synthesis.phantom.body.shapes import Ellipsoid, Tubes, turned
from retrieval.synthesis.phantom.body.torso import Torso

# name: centre (x, y, z normalised), half axes (x, y, z in mm)
_ELLIPSOIDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "pericardium": ((22, -28, 0.512), (66, 50, 62)),
    "heart": ((22, -27, 0.512), (60, 45, 56)),
    "left ventricle": ((46, -14, 0.522), (26, 22, 36)),
    "right ventricle": ((16, -46, 0.524), (30, 18, 36)),
    "left atrium": ((14, 4, 0.490), (32, 15, 22)),
    "right atrium": ((-22, -20, 0.505), (20, 24, 30)),
    "liver right": ((-64, -2, 0.604), (64, 78, 68)),
    "liver left": ((6, -46, 0.588), (66, 34, 40)),
    "gallbladder": ((-42, -38, 0.638), (14, 20, 26)),
    "spleen": ((96, 40, 0.600), (26, 46, 46)),
    "kidney right": ((-60, 46, 0.662), (28, 25, 54)),
    "kidney left": ((60, 46, 0.650), (28, 25, 54)),
    "bladder": ((0, -22, 0.822), (40, 30, 26)),
    "uterus": ((0, 14, 0.824), (24, 22, 26)),
    "psoas right": ((-40, 44, 0.735), (19, 22, 100)),
    "psoas left": ((40, 44, 0.735), (19, 22, 100)),
    "axilla right": ((-146, 8, 0.335), (26, 36, 50)),
    "axilla left": ((146, 8, 0.335), (26, 36, 50)),
}

# name: path of (x, y, z normalised, radius mm)
_TUBES: dict[str, list[tuple[float, float, float, float]]] = {
    "ascending aorta": [
        (6, -14, 0.478, 14),
        (-6, -24, 0.450, 15),
        (-10, -26, 0.425, 14),
        (-2, -14, 0.405, 13),
        (10, 4, 0.398, 12.5),
        (22, 24, 0.408, 12),
    ],
    "descending aorta": [
        (22, 24, 0.408, 12),
        (25, 38, 0.435, 11.5),
        (20, 40, 0.50, 11),
        (12, 30, 0.57, 10.5),
        (9, 14, 0.63, 9.5),
        (6, 12, 0.718, 8),
    ],
    "iliac left": [(6, 12, 0.718, 6), (34, 22, 0.765, 6), (56, 0, 0.805, 5.5), (66, -52, 0.87, 5)],
    "iliac right": [
        (6, 12, 0.718, 6),
        (-30, 22, 0.765, 6),
        (-56, 0, 0.805, 5.5),
        (-66, -52, 0.87, 5),
    ],
    "internal iliac left": [(34, 22, 0.765, 4), (48, 42, 0.79, 4), (50, 46, 0.82, 3)],
    "internal iliac right": [(-30, 22, 0.765, 4), (-48, 42, 0.79, 4), (-50, 46, 0.82, 3)],
    "carotid left": [(10, 2, 0.398, 5), (20, -2, 0.34, 4), (34, 0, 0.24, 3.5)],
    "carotid right": [(-6, -14, 0.405, 6), (-20, -6, 0.34, 4.5), (-34, 0, 0.24, 3.5)],
    "subclavian left": [
        (18, 10, 0.398, 5),
        (50, 0, 0.325, 5),
        (110, -10, 0.33, 4),
        (165, 0, 0.34, 3),
    ],
    "subclavian right": [
        (-18, -6, 0.35, 5),
        (-50, 0, 0.325, 5),
        (-110, -10, 0.33, 4),
        (-165, 0, 0.34, 3),
    ],
    "pulmonary trunk": [(20, -40, 0.472, 13), (24, -22, 0.450, 14), (26, -8, 0.444, 13)],
    "pulmonary right": [(24, -12, 0.446, 11), (-10, 2, 0.450, 10), (-42, 10, 0.455, 8)],
    "pulmonary left": [(26, -6, 0.442, 11), (46, 14, 0.440, 9), (50, 18, 0.455, 7)],
    "pulmonary veins": [
        (-48, 8, 0.482, 6),
        (-10, 8, 0.488, 8),
        (24, 8, 0.488, 8),
        (56, 12, 0.48, 6),
    ],
    "cava superior": [(-26, -18, 0.375, 8), (-30, -18, 0.43, 9), (-26, -18, 0.485, 10)],
    "brachiocephalic left": [(-26, -20, 0.375, 7), (10, -30, 0.365, 7), (40, -8, 0.335, 6)],
    "cava inferior": [
        (-22, -4, 0.52, 11),
        (-20, 6, 0.58, 12),
        (-20, 14, 0.64, 10.5),
        (-14, 20, 0.722, 9),
    ],
    "iliac vein left": [
        (-14, 22, 0.722, 7),
        (30, 32, 0.768, 7),
        (52, 10, 0.807, 7),
        (62, -44, 0.87, 6),
    ],
    "iliac vein right": [
        (-14, 22, 0.722, 7),
        (-36, 32, 0.768, 7),
        (-54, 10, 0.807, 7),
        (-60, -44, 0.87, 6),
    ],
    "portal": [(4, -8, 0.642, 6), (-14, -10, 0.622, 7), (-34, -4, 0.606, 7)],
    "splenic vein": [(4, -8, 0.634, 4), (40, 10, 0.622, 4), (80, 36, 0.608, 4)],
    "superior mesenteric": [(8, 4, 0.63, 4), (10, -16, 0.66, 4), (4, -24, 0.71, 3)],
    "celiac": [(9, 8, 0.622, 4), (12, -10, 0.62, 3), (-8, -14, 0.616, 2.5)],
    "renal vein right": [(-20, 16, 0.655, 5), (-40, 34, 0.658, 4), (-52, 42, 0.66, 4)],
    "renal vein left": [(-14, 10, 0.648, 5), (12, 0, 0.646, 4.5), (52, 42, 0.65, 4)],
    "renal arteries": [(-52, 44, 0.654, 2.5), (8, 16, 0.648, 3), (52, 44, 0.644, 2.5)],
    "trachea": [(0, 0, 0.24, 9), (0, 6, 0.34, 9), (2, 12, 0.425, 9)],
    "bronchus right": [(2, 12, 0.422, 7.5), (-28, 14, 0.448, 6.5), (-46, 18, 0.475, 4)],
    "bronchus left": [(2, 12, 0.422, 7), (30, 18, 0.455, 6), (50, 24, 0.48, 4)],
    "oesophagus": [(4, 22, 0.24, 7), (6, 28, 0.45, 7), (14, 22, 0.56, 8), (34, 8, 0.588, 9)],
    "pancreas": [(82, 26, 0.612, 9), (36, -4, 0.622, 10), (0, -16, 0.632, 9), (-30, -2, 0.652, 13)],
    "adrenal left": [(34, 30, 0.622, 3), (40, 40, 0.632, 3.5), (46, 34, 0.628, 2.5)],
    "adrenal right": [(-26, 34, 0.620, 3), (-32, 44, 0.632, 3)],
    "stomach": [
        (56, 6, 0.578, 22),
        (72, -14, 0.598, 30),
        (58, -46, 0.630, 25),
        (20, -56, 0.648, 18),
        (-18, -44, 0.644, 12),
    ],
    "duodenum": [
        (-26, -34, 0.644, 11),
        (-40, -12, 0.652, 11),
        (-38, 8, 0.685, 11),
        (6, -2, 0.69, 10),
    ],
    "colon ascending": [(-80, -4, 0.765, 24), (-98, 4, 0.72, 22), (-96, 2, 0.672, 20)],
    "colon transverse": [
        (-96, 2, 0.672, 19),
        (-60, -56, 0.672, 17),
        (0, -70, 0.686, 17),
        (60, -58, 0.664, 17),
        (102, 2, 0.632, 18),
    ],
    "colon descending": [(102, 2, 0.632, 16), (104, 28, 0.68, 14), (96, 16, 0.74, 13)],
    "sigmoid": [
        (96, 16, 0.74, 13),
        (66, 10, 0.785, 14),
        (20, -20, 0.782, 14),
        (-8, 20, 0.79, 14),
        (0, 48, 0.80, 15),
    ],
    "rectum": [(0, 48, 0.80, 15), (0, 52, 0.83, 17), (0, 44, 0.862, 13)],
}

HOLLOW = (
    "stomach",
    "duodenum",
    "colon ascending",
    "colon transverse",
    "colon descending",
    "sigmoid",
    "rectum",
    "small bowel left",
    "small bowel right",
    "small bowel pelvis",
)
"""Gut: tubes with a wall and contents, in painting order."""


_GROUPS = {
    "arteries": (
        "descending aorta", "ascending aorta", "iliac left", "iliac right", "internal iliac left",
        "internal iliac right", "carotid left", "carotid right", "subclavian left",
        "subclavian right", "superior mesenteric", "celiac", "renal arteries", "pulmonary veins",
        "pulmonary right", "pulmonary left", "pulmonary trunk",
    ),
    "veins": (
        "cava superior", "brachiocephalic left", "cava inferior", "iliac vein left",
        "iliac vein right", "portal", "splenic vein", "renal vein right", "renal vein left",
    ),
}  # fmt: skip
"""Blood vessels that are painted together."""


@dataclass(frozen=True)
class Organs:
    """Named ellipsoids and tubes of one patient, in mm."""

    ellipsoids: dict[str, Ellipsoid]
    tubes: dict[str, Tubes]

    @classmethod
    def random(cls, torso: Torso, rng: np.random.Generator) -> Organs:
        """Organs placed in a torso; a patient has a uterus or not."""
        ellipsoids = {
            name: _vary_ellipsoid(*shape, torso=torso, rng=rng)
            for name, shape in _ELLIPSOIDS.items()
        }
        _follow_heart(ellipsoids)
        if rng.random() < 0.5:
            del ellipsoids["uterus"]
        tubes = {name: _vary_tube(path, torso, rng) for name, path in _TUBES.items()}
        boxes = {
            "small bowel left": ((10, 85), (-62, 10), (0.660, 0.735)),
            "small bowel right": ((-75, 10), (-62, 0), (0.695, 0.765)),
            "small bowel pelvis": ((-55, 60), (-50, 15), (0.735, 0.795)),
        }
        for name, box in boxes.items():
            tubes[name] = _loops(box, torso, rng)
        for name, parts in _GROUPS.items():
            tubes[name] = Tubes.joined([tubes.pop(part) for part in parts])
        return cls(ellipsoids, tubes)


def place(torso: Torso, x: float, y: float, z: float) -> NDArray[np.float64]:
    """A point in mm of this patient from (x, y) of the mean patient and normalised height."""
    return np.array([x * torso.scale[0], y * torso.scale[1], z * torso.height_mm])


def _vary_ellipsoid(
    center: tuple[float, float, float],
    radii: tuple[float, float, float],
    *,
    torso: Torso,
    rng: np.random.Generator,
) -> Ellipsoid:
    middle = place(torso, *center) + rng.normal(0, [3, 3, 7])
    axes = np.array(radii) * np.array(torso.scale) * rng.uniform(0.9, 1.1, 3)
    return Ellipsoid(middle, axes, turned(rng, 8))


def _follow_heart(ellipsoids: dict[str, Ellipsoid]) -> None:
    """Chambers and pericardium move and turn with the heart."""
    heart = ellipsoids["heart"]
    usual = np.array(_ELLIPSOIDS["heart"][0][:2])
    for name in ("pericardium", "left ventricle", "right ventricle", "left atrium", "right atrium"):
        part = ellipsoids[name]
        shift = np.array([*(np.array(_ELLIPSOIDS[name][0][:2]) - usual), 0.0])
        height = part.center[2] * 0.3 + heart.center[2] * 0.7
        radii = heart.radii + 5 if name == "pericardium" else part.radii
        center = heart.center + heart.rotation.T @ shift
        center[2] = heart.center[2] if name == "pericardium" else height
        ellipsoids[name] = Ellipsoid(center, radii, heart.rotation)


def _vary_tube(
    path: list[tuple[float, float, float, float]], torso: Torso, rng: np.random.Generator
) -> Tubes:
    points = np.array([place(torso, *point[:3]) for point in path])
    radii = np.array([point[3] for point in path]) * rng.uniform(0.88, 1.15)
    # Joints between tubes are the first and last points: they stay where the others expect them.
    points[1:-1] += rng.normal(0, 2.5, points[1:-1].shape)
    return Tubes.along(_rounded(points), _rounded(radii[:, None])[:, 0])


def _rounded(points: NDArray[Any]) -> NDArray[Any]:
    """The path with its corners cut twice (Chaikin), ends kept."""
    for _ in range(2):
        first = 0.75 * points[:-1] + 0.25 * points[1:]
        second = 0.25 * points[:-1] + 0.75 * points[1:]
        cut = np.stack([first, second], axis=1).reshape(-1, points.shape[1])
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points


def _loops(
    box: tuple[tuple[float, float], tuple[float, float], tuple[float, float]],
    torso: Torso,
    rng: np.random.Generator,
) -> Tubes:
    """Coils of small bowel: a walk between random points of a box."""
    count = 11
    corners = np.stack([rng.uniform(*side, count) for side in box], axis=1)
    points = np.array([place(torso, *corner) for corner in corners])
    radii = rng.uniform(9, 14, count)
    return Tubes.along(_rounded(points), _rounded(radii[:, None])[:, 0], step_mm=8)
