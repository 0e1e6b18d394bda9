"""Slab: a stack of CT slices in HU with its geometry; HU windows; slices at a depth in mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError

AIR_HU = -1024.0
"""What stands outside the image."""

HU_MIN, HU_MAX = -1024.0, 3071.0
"""The range of a 12-bit scanner; values outside are padding or metal and are clipped."""

DISPLAY_WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-1350.0, 150.0),
    "soft tissue": (-160.0, 240.0),
    "liver": (-15.0, 165.0),
    "bone": (-450.0, 1050.0),
}
"""(low, high) in HU of the usual reading windows."""


class CTError(LesionSearchError):
    """CT that cannot be read as Hounsfield units with a known geometry."""


@dataclass(frozen=True)
class Slab:
    """Consecutive axial slices of one series.

    Attributes:
        hu: (slices, rows, columns), float32, Hounsfield units, head-to-foot or foot-to-head.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: millimetres between neighbouring slices, positive.
        key_slice: position in ``hu`` of the slice on which boxes are drawn.
        first_slice_index: the series' own number of ``hu[0]``.
        filled_slices: positions in ``hu`` that repeat a neighbour because the file was missing.
    """

    hu: NDArray[np.float32]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    key_slice: int = 0
    first_slice_index: int = 0
    filled_slices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise CTError(f"CT has the shape {self.hu.shape}: (slices, rows, columns) is needed")
        lengths = (*self.spacing_mm_px, self.slice_interval_mm)
        if not all(np.isfinite(length) and length > 0 for length in lengths):
            raise CTError(
                f"CT has spacing {self.spacing_mm_px} and interval {self.slice_interval_mm} mm: "
                "each must be a positive number"
            )
        if not 0 <= self.key_slice < self.hu.shape[0]:
            raise CTError(f"key slice {self.key_slice} is not among the {self.hu.shape[0]} slices")

    @property
    def rows(self) -> int:
        """Pixels along y."""
        return int(self.hu.shape[1])

    @property
    def columns(self) -> int:
        """Pixels along x."""
        return int(self.hu.shape[2])

    @property
    def key_slice_index(self) -> int:
        """The series' own number of the key slice."""
        return self.first_slice_index + self.key_slice

    def with_key_slice(self, position: int) -> Slab:
        """The same slices with another key slice; raises CTError if it is not among them."""
        return Slab(
            self.hu,
            self.spacing_mm_px,
            self.slice_interval_mm,
            position,
            self.first_slice_index,
            self.filled_slices,
        )


@dataclass(frozen=True, slots=True)
class SliceBlend:
    """Two neighbouring slices and the weight of the second: a plane between real slices."""

    below: int
    above: int
    weight_above: float
    outside: bool


def slices_at(slab: Slab, offset_mm: float) -> SliceBlend:
    """The plane ``offset_mm`` from the key slice, as a linear blend of its two neighbours.

    Beyond the first or last slice the nearest one is repeated and ``outside`` says so, so that
    callers can count it.
    """
    depth = slab.key_slice + offset_mm / slab.slice_interval_mm
    last = slab.hu.shape[0] - 1
    clamped = min(max(depth, 0.0), float(last))
    below = min(int(np.floor(clamped + 1e-6)), last)
    above = min(below + 1, last)
    weight = max(clamped - below, 0.0)
    return SliceBlend(below, above, weight, outside=abs(depth - clamped) > 1e-6)


def apply_window(hu: Any, low: float, high: float) -> Any:
    """HU mapped linearly so that ``low`` becomes 0 and ``high`` 1, clipped; NumPy or torch."""
    return ((hu - low) / (high - low)).clip(0.0, 1.0)


def key_slice_picture(slab: Slab, low: float, high: float) -> NDArray[np.uint8]:
    """The key slice as 8-bit grey (rows, columns) under a display window."""
    grey = apply_window(slab.hu[slab.key_slice], low, high) * 255
    return np.asarray(np.rint(grey), dtype=np.uint8)
