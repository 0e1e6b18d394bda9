"""Slab: a stack of CT slices in HU with its geometry; HU windows; slices at a depth in mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.grid import AS_DISPLAYED, GridMap
from retrieval.lesion import Box, LesionSearchError


class CTError(LesionSearchError):
    """CT that cannot be read as Hounsfield units with a known geometry."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """What the numbers of a slab mean.

    Attributes:
        unit: of the values.
        low, high: the range that means something; values outside are clipped.
        padding: what stands outside the image.
        windows: name -> (low, high) of the usual reading windows, in the unit.
    """

    unit: str
    low: float
    high: float
    padding: float
    windows: Mapping[str, tuple[float, float]]


CT_HU = Intensity(
    unit="HU",
    low=-1024.0,
    high=3071.0,
    padding=-1024.0,
    windows=MappingProxyType(
        {
            "lung": (-1350.0, 150.0),
            "soft tissue": (-160.0, 240.0),
            "liver": (-15.0, 165.0),
            "bone": (-450.0, 1050.0),
        }
    ),
)
"""Computed tomography: the range of a 12-bit scanner, beyond which are padding and metal; air where
there is no image; the usual reading windows."""


@dataclass(frozen=True)
class Slab:
    """Consecutive axial slices of one series in the display grid.

    Attributes:
        hu: (slices, rows, columns), float32, in the unit of ``intensity``: slices from the feet
            to the head, rows from front to back, columns from the patient's right to the left.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: millimetres between neighbouring slices, positive.
        key_slice: position in ``hu`` of the slice on which boxes are drawn.
        grid: where each voxel stands in the file; boxes and slice numbers of users are in the
            file grid and pass through it.
        filled_slices: positions in ``hu`` that repeat a neighbour because the file was missing.
        intensity: what the values mean.
        notes: what a reader should know of how the file was read, a sentence each.
    """

    hu: NDArray[np.float32]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    key_slice: int = 0
    grid: GridMap = AS_DISPLAYED
    filled_slices: tuple[int, ...] = ()
    intensity: Intensity = CT_HU
    notes: tuple[str, ...] = ()

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
        """The file's own number of the key slice."""
        return self.grid.to_file_slice(self.key_slice)

    @property
    def slice_numbers(self) -> range:
        """The file's own numbers of the slices, in its order: ascending."""
        ends = (self.grid.to_file_slice(0), self.grid.to_file_slice(len(self.hu) - 1))
        return range(min(ends), max(ends) + 1)

    @property
    def file_spacing_mm_px(self) -> tuple[float, float]:
        """Millimetres per pixel along x and y of the file grid."""
        x_mm, y_mm = self.spacing_mm_px
        return (y_mm, x_mm) if self.grid.rows_first else (x_mm, y_mm)

    def with_key_slice(self, position: int) -> Slab:
        """The same slices with another key slice; raises CTError if it is not among them."""
        return replace(self, key_slice=position)

    def on_file_slice(self, number: int) -> Slab:
        """The same slices with the file's slice ``number`` as key; raises CTError without it."""
        numbers = self.slice_numbers
        if number not in numbers:
            raise CTError(
                f"slice {number} is not in the image: its slices are numbered {numbers[0]} to "
                f"{numbers[-1]}"
            )
        return self.with_key_slice(self.grid.to_display_slice(number))

    def as_displayed(self) -> Slab:
        """The same slices as an image of their own that is stored as it is displayed."""
        return replace(self, grid=AS_DISPLAYED)

    def file_plane(self, number: int) -> NDArray[np.float32]:
        """The file's slice ``number`` as the file stores it: (rows, columns) of the file grid.

        Raises CTError if there is no such slice.
        """
        plane = self.hu[self.on_file_slice(number).key_slice]
        plane = plane[:: self.grid.step[1], :: self.grid.step[0]]
        return np.asarray(plane.T if self.grid.rows_first else plane, np.float32)

    def display_box(self, box: Box) -> Box:
        """A box of the file grid in the display grid.

        Raises LesionError, in the file's own pixels, if its centre lies outside the image.
        """
        turned = self.grid.rows_first
        box.check_on_image(
            self.columns if turned else self.rows, self.rows if turned else self.columns
        )
        return self.grid.to_display_box(box)


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
