"""How one study was taken: field of view, position, breath, contrast, kernel, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.fields import Tile, warp_tiles
from retrieval.synthesis.phantom.body.points import Points, SliceGrid, Window
from retrieval.synthesis.phantom.body.tissues import Phase

INTERVALS_MM = {1.0: 0.06, 1.25: 0.06, 2.0: 0.08, 2.5: 0.15, 3.0: 0.15, 5.0: 0.50}
PHASES = {Phase.PLAIN: 0.18, Phase.ARTERIAL: 0.12, Phase.PORTAL: 0.52, Phase.DELAYED: 0.18}
WARP_CELL_MM, WARP_MM = 17.0, 3.0
"""Grain and deviation of the patient's own bending of the organs."""
STUDY_WARP_CELL_MM, STUDY_WARP_MM = 26.0, 1.3
"""The same for what differs between two studies of one patient."""
BREATH_RANGE = ((0.30, 0.0), (0.42, 0.25), (0.52, 1.0), (0.62, 1.0), (0.72, 0.25), (0.80, 0.0))
"""Share of the diaphragm's movement that organs at a normalised height follow."""


@dataclass(frozen=True)
class Acquisition:
    """One study's scan.

    Attributes:
        mm_px: side of a pixel; ``interval_mm`` distance of the slices.
        shift_mm: the body's axis from the image's centre (x, y); ``turn_deg`` about z.
        start_mm: height of slice number 0 in the patient.
        breath_mm: how far the diaphragm lies below its place at rest.
        sharpness: 0 smooth kernel, 1 sharp kernel.
        noise_hu: deviation of the noise in the middle of the body.
        hu_scale: calibration of the scanner, near 1.
        warp: local deformation (x, y, z) of this study.
        table_y_mm: the couch's distance behind the body.
    """

    mm_px: float
    size_px: int
    interval_mm: float
    shift_mm: tuple[float, float]
    turn_deg: float
    start_mm: float
    breath_mm: float
    phase: Phase
    sharpness: float
    noise_hu: float
    hu_scale: float
    warp: tuple[Tile, Tile, Tile]
    table_y_mm: float

    @classmethod
    def random(cls, anatomy: Anatomy, size_px: int, rng: np.random.Generator) -> Acquisition:
        """A scan whose field of view holds the trunk."""
        levels = np.array([0.36, 0.5, 0.65, 0.78]) * anatomy.torso.height_mm
        width = 2 * max(anatomy.torso.skin_axes(float(level))[0] for level in levels)
        interval = float(rng.choice(list(INTERVALS_MM), p=list(INTERVALS_MM.values())))
        phases = list(PHASES)
        sharpness = float(rng.choice([rng.uniform(0, 0.35), rng.uniform(0.5, 1.0)], p=[0.7, 0.3]))
        thin = (5 / interval) ** 0.22
        return cls(
            mm_px=float(width * rng.uniform(1.0, 1.18)) / size_px,
            size_px=size_px,
            interval_mm=interval,
            shift_mm=(float(rng.normal(0, 5)), float(rng.normal(-6, 7))),
            turn_deg=float(rng.normal(0, 2.2)),
            start_mm=float(rng.uniform(0.05, 0.24)) * anatomy.torso.height_mm,
            breath_mm=float(np.clip(rng.normal(0, 7), -15, 15)),
            phase=phases[int(rng.choice(len(phases), p=list(PHASES.values())))],
            sharpness=sharpness,
            noise_hu=float(rng.uniform(7, 15)) * thin * (1 + 0.9 * sharpness),
            hu_scale=float(rng.normal(1, 0.008)),
            warp=warp_tiles(rng),
            table_y_mm=float(rng.uniform(4, 14)),
        )

    def height_of(self, slice_index: int) -> float:
        """Height in the patient (mm, rigid) of a slice by its number."""
        return self.start_mm + slice_index * self.interval_mm

    def organ_height(self, level_mm: float, anatomy: Anatomy) -> float:
        """Height at rest of organs that stand at a level in this study."""
        normal = level_mm / anatomy.torso.height_mm
        xs, ys = zip(*BREATH_RANGE, strict=True)
        return level_mm - self.breath_mm * float(np.interp(normal, xs, ys))

    def slice_near(self, height_mm: float, *, rigid: bool, anatomy: Anatomy) -> int:
        """The number of the slice nearest to a height of the patient at rest."""
        level = height_mm
        if not rigid:
            for _ in range(3):
                level += height_mm - self.organ_height(level, anatomy)
        return round((level - self.start_mm) / self.interval_mm)

    def grid(self, slice_index: int, anatomy: Anatomy) -> SliceGrid:
        """The pixels of a slice as points of the patient."""
        level = self.height_of(slice_index)
        middle = (self.size_px - 1) / 2
        rows, columns = self._body_window(level, anatomy)
        axis = ((np.arange(self.size_px) - middle) * self.mm_px).astype(np.float32)
        right = axis[None, columns] - self.shift_mm[0]
        back = axis[rows, None] - self.shift_mm[1]
        turn = math.radians(self.turn_deg)
        cosine, sine = math.cos(turn), math.sin(turn)
        x = cosine * right + sine * back
        y = -sine * right + cosine * back
        organ = self.organ_height(level, anatomy)
        moves = []
        for fixed, own in zip(anatomy.warp, self.warp, strict=True):
            move = WARP_MM * fixed.sample(x, y, organ, WARP_CELL_MM)
            moves.append(move + STUDY_WARP_MM * own.sample(x, y, level, STUDY_WARP_CELL_MM))
        points = Points(
            x=x + moves[0],
            y=y + moves[1],
            z=np.float32(organ) + moves[2],
            z_rigid=np.float32(level) + np.float32(0.3) * moves[2],
            level_mm=level,
        )
        to_pixel = np.array([[cosine, -sine, self.shift_mm[0]], [sine, cosine, self.shift_mm[1]]])
        to_pixel /= self.mm_px
        to_pixel[:, 2] += middle
        to_pixel[:, 2] -= (columns.start, rows.start)
        return SliceGrid(points, self.mm_px, to_pixel, (rows.start, columns.start))

    def _body_window(self, level_mm: float, anatomy: Anatomy) -> Window:
        """Rows and columns outside which there is only air."""
        half_width, half_depth, y = anatomy.torso.skin_axes(level_mm)
        slack = 14.0 + abs(math.sin(math.radians(self.turn_deg))) * half_width
        middle = (self.size_px - 1) / 2
        ends = []
        for center, half in ((y + self.shift_mm[1], half_depth), (self.shift_mm[0], half_width)):
            first = int((center - half - slack) / self.mm_px + middle)
            last = int((center + half + slack) / self.mm_px + middle) + 1
            ends.append(slice(max(first, 0), min(last, self.size_px)))
        return ends[0], ends[1]
