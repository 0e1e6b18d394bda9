"""Another study of the same patient: the body laid and breathed otherwise, on another scanner.

A smooth displacement stands for breathing and posture, a rotation and a scale for the couch and
the field of view; slices and pixels lie elsewhere, with another kernel and fresh noise. What is
marked moves along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import CT_HU, Slab
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.synthesis.degradation.dose import quantum_noise
from retrieval.synthesis.degradation.kernel import sharpened, smoothed
from retrieval.synthesis.degradation.thickness import thicker

Volume = NDArray[np.float32]

KNOT_MM = 70.0
"""Distance of the knots of the displacement field."""


@dataclass(frozen=True, slots=True)
class StudyChange:
    """How much may differ between two studies.

    Attributes:
        displacement_mm: standard deviation of the smooth displacement along x, y, z.
        rotation_deg: standard deviation of the rotation in the plane.
        log_scale: standard deviation of the logarithm of the pixel size.
        interval_mm: least and greatest slice interval.
        blur_mm: greatest added blur; half of the studies have a sharper kernel instead.
        noise_hu: greatest added noise.
    """

    displacement_mm: tuple[float, float, float] = (4.0, 4.0, 5.0)
    rotation_deg: float = 2.0
    log_scale: float = 0.08
    interval_mm: tuple[float, float] = (2.0, 6.0)
    blur_mm: float = 1.0
    noise_hu: float = 25.0


@dataclass(frozen=True)
class Restudy:
    """The other study: its slices, and what was marked in them, bool arrays of their shape."""

    slab: Slab
    marks: tuple[NDArray[np.bool_], ...]

    def marked_box(self, mark: int = 0) -> tuple[int, Box] | None:
        """The slice that shows most of a mark, and its box there with DeepLesion's padding.

        None where the study does not show it.
        """
        marked = self.marks[mark]
        areas = marked.sum(axis=(1, 2))
        if not areas.any():
            return None
        at = int(areas.argmax())
        rows, columns = np.nonzero(marked[at])
        box = Box(
            float(columns.min()) - 0.5,
            float(rows.min()) - 0.5,
            float(columns.max()) + 0.5,
            float(rows.max()) + 0.5,
        )
        return at, box.padded(BOX_PADDING_PX)


def restudied(
    slab: Slab,
    marks: Sequence[NDArray[np.bool_]],
    generator: Generator,
    change: StudyChange | None = None,
) -> Restudy:
    """A slab as another study would show it.

    Args:
        slab: (slices, rows, columns).
        marks: each of its shape, what moves along.
        generator: draws everything.
        change: how much may differ.
    """
    change = change or StudyChange()
    count, rows, columns = slab.hu.shape
    x_mm, y_mm = slab.spacing_mm_px
    interval = float(generator.uniform(*change.interval_mm))
    interval = max(interval, 0.8 * slab.slice_interval_mm)
    scale = float(np.exp(generator.normal(0, change.log_scale)))
    spacing = (x_mm * scale, y_mm * scale)
    start = float(generator.uniform(0, interval)) / 2
    heights = np.arange(start, (count - 1) * slab.slice_interval_mm, interval)
    hu = thicker(slab.hu, slab.slice_interval_mm, interval)
    field = _Field.draw(slab, change, generator)
    angle = np.deg2rad(generator.normal(0, change.rotation_deg))
    down, across = np.mgrid[:rows, :columns].astype(np.float32)
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    x = (across - middle[0]) * spacing[0]
    y = (down - middle[1]) * spacing[1]
    turned_x = np.cos(angle) * x - np.sin(angle) * y + middle[0] * x_mm
    turned_y = np.sin(angle) * x + np.cos(angle) * y + middle[1] * y_mm
    planes = np.empty((len(heights), rows, columns), np.float32)
    moved = tuple(np.zeros(planes.shape, np.bool_) for _ in marks)
    soft = [mark.astype(np.float32) if mark.any() else None for mark in marks]
    for at, height in enumerate(heights):
        dx, dy, dz = field.on_slice(turned_x, turned_y, float(height))
        places = np.stack(
            [
                (height + dz) / slab.slice_interval_mm,
                (turned_y + dy) / y_mm,
                (turned_x + dx) / x_mm,
            ]
        )
        places[0] = places[0].clip(0, count - 1)
        planes[at] = ndimage.map_coordinates(hu, places, order=1, cval=CT_HU.padding)
        for before, after in zip(soft, moved, strict=True):
            if before is not None:
                after[at] = ndimage.map_coordinates(before, places, order=1, cval=0.0) >= 0.5
    planes = _scanned(planes, spacing, change, generator)
    return Restudy(Slab(planes, spacing, interval, 0), moved)


def _scanned(
    planes: Volume, spacing: tuple[float, float], change: StudyChange, generator: Generator
) -> Volume:
    if generator.random() < 0.5:
        planes = smoothed(planes, spacing, float(generator.uniform(0, change.blur_mm)))
    else:
        planes = sharpened(planes, spacing, float(generator.uniform(0, 0.5)))
    noise = float(generator.uniform(0, change.noise_hu))
    planes = quantum_noise(planes, spacing, noise, generator)
    return np.asarray(np.clip(planes, CT_HU.low, CT_HU.high), np.float32)


@dataclass(frozen=True)
class _Field:
    """A smooth displacement in mm: (3, knots along z, y, x)."""

    knots: Volume

    @classmethod
    def draw(cls, slab: Slab, change: StudyChange, generator: Generator) -> _Field:
        count, rows, columns = slab.hu.shape
        x_mm, y_mm = slab.spacing_mm_px
        lengths = (count * slab.slice_interval_mm, rows * y_mm, columns * x_mm)
        shape = [int(length // KNOT_MM) + 4 for length in lengths]
        knots = generator.normal(0, 1, (3, *shape))
        return cls((knots * np.reshape(change.displacement_mm, (3, 1, 1, 1))).astype(np.float32))

    def on_slice(
        self, x_mm: NDArray[np.float32], y_mm: NDArray[np.float32], z_mm: float
    ) -> tuple[Volume, Volume, Volume]:
        """The displacement along x, y and z at points of one height; sampled coarsely."""
        step = 8
        coarse_x, coarse_y = x_mm[::step, ::step], y_mm[::step, ::step]
        places = np.stack(
            [
                np.full_like(coarse_x, z_mm / KNOT_MM + 1),
                coarse_y / KNOT_MM + 1,
                coarse_x / KNOT_MM + 1,
            ]
        )
        found = []
        for knots in self.knots:
            coarse = ndimage.map_coordinates(knots, places, order=3, mode="nearest")
            rows, columns = np.mgrid[: x_mm.shape[0], : x_mm.shape[1]].astype(np.float32) / step
            found.append(
                ndimage.map_coordinates(coarse, np.stack([rows, columns]), order=1, mode="nearest")
            )
        return found[0], found[1], found[2]
