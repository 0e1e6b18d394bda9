"""Stored axes -> the display grid: the one place where volumes of every format are turned.

A reader of a volume format does three things: it reads the values as an array (k, j, i), works out
the step in mm that one voxel makes along i, j and k in patient coordinates, and calls
``to_display``. What comes back has everything that a Slab needs::

    turned = to_display(path.name, values_kji, steps_mm)
    return turned.slab(path.name, key_slice=key_slice, notes=notes)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.grid import GridMap
from retrieval.image import CTError, Slab

MAX_TILT_DEGREES = 5.0
"""Beyond this the slices are not those of an axial series; a tilted gantry shears the anatomy."""

PLANES = {0: "sagittal", 1: "coronal", 2: "axial"}
"""Patient axis across the slices -> what radiology calls them."""


class OrientationError(CTError):
    """Axes that cannot be turned into axial slices."""


@dataclass(frozen=True)
class DisplayVolume:
    """Values on the display grid.

    Attributes:
        values: (slices, rows, columns): from feet to head, front to back, the patient's right to
            left. A view of what was read, in whatever order of memory.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_interval_mm: millimetres between neighbouring slices.
        grid: the way to the file's own voxels and back.
    """

    values: NDArray[Any]
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    grid: GridMap

    def slab(self, name: str, *, key_slice: int | None = None, notes: tuple[str, ...] = ()) -> Slab:
        """The volume as CT in HU; ``key_slice`` in the file grid, the middle one if None.

        Raises CTError if there is no such slice.
        """
        count = len(self.values)
        position = count // 2 if key_slice is None else self.grid.to_display_slice(key_slice)
        if not 0 <= position < count:
            ends = sorted(self.grid.to_file_slice(end) for end in (0, count - 1))
            raise CTError(f"key slice {key_slice} is not in {name}: {ends[0]} to {ends[1]}")
        hu = np.ascontiguousarray(self.values, dtype=np.float32)
        return Slab(
            hu, self.spacing_mm_px, self.slice_interval_mm, position, self.grid, notes=notes
        )


def to_display(name: str, values: NDArray[Any], steps_mm: ArrayLike) -> DisplayVolume:
    """A stored volume, in any of the 48 orders and directions of its axes, on the display grid.

    Args:
        name: what errors call the file.
        values: (k, j, i): the file's slowest axis first. Transpose an array that is indexed
            [i, j, k], as nibabel gives it.
        steps_mm: (3, 3): the rows are the steps in mm that one voxel makes along i, j and k, in
            DICOM's patient coordinates (L, P, S: x to the patient's left, y to the back, z to the
            head). For a NIfTI or NRRD affine in R, A, S: its columns, the first two coordinates
            negated.

    Raises:
        OrientationError: a step is zero or not finite, the axes are oblique, or the volume is one
            slice that is not axial.
    """
    steps = np.asarray(steps_mm, dtype=np.float64)
    lengths = np.linalg.norm(steps, axis=1)
    if not (np.isfinite(steps).all() and (lengths > 0).all()):
        raise OrientationError(
            f"{name} has the voxel size {lengths.round(4).tolist()} mm: three lengths above 0"
        )
    if (tilt := tilt_degrees(list(steps))) > MAX_TILT_DEGREES:
        raise OrientationError(
            f"{name} is oblique by {tilt:.1f} degrees: at most {MAX_TILT_DEGREES:g} are read; "
            "resample it to axial slices"
        )
    grid = grid_of_steps(name, steps, (values.shape[2], values.shape[1], values.shape[0]))
    turned = on_display(values, grid)
    if len(turned) > 1 and 1 in turned.shape:
        # Its axial rows have a single pixel: no picture.
        raise OrientationError(
            f"{name} is a single {PLANES[0 if turned.shape[2] == 1 else 1]} slice: an axial slice, "
            "or a whole volume in any orientation, is read"
        )
    x_mm, y_mm, z_mm = (float(lengths[axis]) for axis in grid.axes)
    return DisplayVolume(turned, (x_mm, y_mm), z_mm, grid)


def grid_of_steps(
    name: str, steps: NDArray[np.float64], file_size: tuple[int, int, int]
) -> GridMap:
    """The map of a volume of ``file_size`` (i, j, k) voxels; raises OrientationError.

    ``steps`` (3, 3) as in ``to_display``: each file axis runs along the patient axis nearest to it.
    """
    patient_axis = [int(np.abs(step).argmax()) for step in steps]
    if sorted(patient_axis) != [0, 1, 2]:
        raise OrientationError(
            f"{name} has two axes that run along the same direction of the patient: its "
            "orientation is damaged"
        )
    x, y, z = (patient_axis.index(axis) for axis in range(3))
    across, down, along = (
        1 if steps[axis, patient] > 0 else -1 for patient, axis in enumerate((x, y, z))
    )
    first = [
        0 if sign > 0 else file_size[axis] - 1
        for axis, sign in zip((x, y, z), (across, down, along), strict=True)
    ]
    return GridMap((x, y, z), (across, down, along), (first[0], first[1], first[2]))


def on_display(values: NDArray[Any], grid: GridMap) -> NDArray[Any]:
    """(k, j, i) values of a whole file as (slices, rows, columns) of the display; a view."""
    x, y, z = (2 - axis for axis in grid.axes)
    turned = values.transpose(z, y, x)
    across, down, along = grid.step
    return turned[::along, ::down, ::across]


def tilt_degrees(directions: Sequence[ArrayLike]) -> float:
    """The largest angle between a direction and the patient axis nearest to it, in degrees.

    ``directions`` are vectors in patient coordinates; their length does not matter.
    """
    largest = 0.0
    for direction in directions:
        vector = np.asarray(direction, dtype=np.float64)
        cosine = float(np.abs(vector).max() / np.linalg.norm(vector))
        largest = max(largest, math.degrees(math.acos(min(cosine, 1.0))))
    return largest
