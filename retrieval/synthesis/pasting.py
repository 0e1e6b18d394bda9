"""Pastes one nodule into a stack of slices: rescaled in mm, averaged over slices, soft at the rim.

Nothing here decides where a nodule may go; see pasted.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import CT_HU, Slab
from retrieval.lesion import Recist
from retrieval.sources.importers.lung_nodules import Nodule
from retrieval.sources.importers.mask_marks import recist_of_mask

FEATHER_MM = 2.5
"""Width of the rim over which the nodule's surroundings fade into the background."""

SUBSAMPLES = (-0.25, 0.25)
"""Each background pixel averages this grid of points, as its larger area would."""

MIN_KEY_PIXELS = 6


@dataclass(frozen=True)
class NodulePlanes:
    """A nodule ready to be sampled; arrays are (slices, rows, columns) on the cut-out's grid.

    Attributes:
        weight: 1 inside the mask, falling to 0 at 2.5 mm outside it.
        weighted_hu: HU above air times ``weight``.
        inside: the mask as 0 and 1.
        spacing_mm: millimetres between slices, rows and columns.
        center: (slice, row, column) of the middle of the key slice's mask.
        radius_mm: the farthest any mask pixel lies from that middle, in the plane.
    """

    weight: NDArray[np.float32]
    weighted_hu: NDArray[np.float32]
    inside: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    center: tuple[float, float, float]
    radius_mm: float

    @classmethod
    def of(cls, nodule: Nodule) -> Self:
        """Prepares a nodule; its mask must reach its key slice."""
        slab, mask = nodule.slab, nodule.mask
        x_mm, y_mm = slab.spacing_mm_px
        weight = np.zeros(mask.shape, np.float32)
        for plane, inside in zip(weight, mask, strict=True):
            if inside.any():
                outside_mm = ndimage.distance_transform_edt(~inside, sampling=(y_mm, x_mm))
                fade = np.clip(outside_mm / FEATHER_MM, 0.0, 1.0)
                plane[:] = 0.5 + 0.5 * np.cos(np.pi * fade)
        rows, columns = np.nonzero(mask[slab.key_slice])
        row, column = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
        _, all_rows, all_columns = np.nonzero(mask)
        farthest = np.hypot((all_rows - row) * y_mm, (all_columns - column) * x_mm).max()
        return cls(
            weight=weight,
            weighted_hu=((slab.hu - CT_HU.padding) * weight).astype(np.float32),
            inside=mask.astype(np.float32),
            spacing_mm=(slab.slice_interval_mm, y_mm, x_mm),
            center=(float(slab.key_slice), float(row), float(column)),
            radius_mm=float(farthest),
        )


@dataclass(frozen=True)
class Placement:
    """Where and how large.

    Attributes:
        center: (x, y) in background pixels.
        scale: factor on all three lengths of the nodule.
        depth: shift along z, as a part of the background's slice interval.
    """

    center: tuple[float, float]
    scale: float
    depth: float


@dataclass(frozen=True)
class Scene:
    """A background with a nodule in it; ``recist`` is measured on the slab's key slice."""

    slab: Slab
    recist: Recist
    scale: float


def paste(planes: NodulePlanes, background: Slab, placement: Placement) -> Scene | None:
    """The background with the nodule in it, or None if its key slice hardly shows the nodule.

    A background slice stands for its whole interval: the nodule is averaged over it, as a
    thicker reconstruction would.
    """
    hu = background.hu.copy()
    shown = np.zeros(hu.shape[1:], np.bool_)
    window = _reach(planes, background, placement)
    for position in range(len(hu)):
        coordinates = _coordinates(planes, background, placement, position, window)
        weight = _average(planes.weight, coordinates)
        above_air = _average(planes.weighted_hu, coordinates)
        hu[position][window] = (
            hu[position][window] * (1 - weight) + above_air + CT_HU.padding * weight
        )
        if position == background.key_slice:
            shown[window] = _average(planes.inside, coordinates) >= 0.5
    if shown.sum() < MIN_KEY_PIXELS:
        return None
    slab = replace(background, hu=hu)
    return Scene(slab, recist_of_mask(shown, slab.spacing_mm_px), placement.scale)


def _reach(planes: NodulePlanes, background: Slab, placement: Placement) -> tuple[slice, slice]:
    """The rows and columns of the background that the nodule and its rim can touch."""
    reach_mm = (planes.radius_mm + FEATHER_MM + max(planes.spacing_mm)) * placement.scale
    x_mm, y_mm = background.spacing_mm_px
    x, y = placement.center
    return (
        slice(max(0, math.floor(y - reach_mm / y_mm)), math.ceil(y + reach_mm / y_mm) + 1),
        slice(max(0, math.floor(x - reach_mm / x_mm)), math.ceil(x + reach_mm / x_mm) + 1),
    )


def _coordinates(
    planes: NodulePlanes,
    background: Slab,
    placement: Placement,
    position: int,
    window: tuple[slice, slice],
) -> NDArray[np.float64]:
    """Where the window's sample points lie in the nodule: (3, points, rows, columns)."""
    interval = background.slice_interval_mm
    depth_mm, row_mm, column_mm = (length * placement.scale for length in planes.spacing_mm)
    count = max(1, round(interval / depth_mm))
    steps = (np.arange(count) + 0.5) / count - 0.5
    slices = position - background.key_slice + placement.depth + steps
    x, y = placement.center
    rows = np.add.outer(np.asarray(SUBSAMPLES), np.arange(background.rows)[window[0]] - y)
    columns = np.add.outer(np.asarray(SUBSAMPLES), np.arange(background.columns)[window[1]] - x)
    z, r, c = planes.center
    along = z + slices * interval / depth_mm
    down = r + rows * background.spacing_mm_px[1] / row_mm
    across = c + columns * background.spacing_mm_px[0] / column_mm
    shape = (count, 2, 2, rows.shape[1], columns.shape[1])
    grid = np.stack(
        [
            np.broadcast_to(along[:, None, None, None, None], shape),
            np.broadcast_to(down[None, :, None, :, None], shape),
            np.broadcast_to(across[None, None, :, None, :], shape),
        ]
    )
    return grid.reshape(3, -1, *shape[-2:])


def _average(values: NDArray[np.float32], coordinates: NDArray[np.float64]) -> NDArray[Any]:
    sampled = ndimage.map_coordinates(values, coordinates, order=1, mode="constant", cval=0.0)
    return np.asarray(sampled.mean(axis=0), np.float32)
