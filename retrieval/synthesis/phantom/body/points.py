"""Where pixels lie in the patient.

The patient's frame, in mm: x to the image's right (the patient's left), y to the back, z to the
feet; x = y = 0 on the body's axis. Organs move with the breath, bones do not, so every point has
two heights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one patient, in mm; arrays of one common shape.

    Attributes:
        z: height among the organs, breath undone.
        z_rigid: height among the bones.
        level_mm: height for outlines of the trunk: one number for a slice, else an array.
    """

    x: Floats
    y: Floats
    z: Floats
    z_rigid: Floats
    level_mm: Any

    @classmethod
    def of(cls, xyz: NDArray[Any]) -> Points:
        """Points from an array (n, 3), at rest."""
        x, y, z = (np.ascontiguousarray(xyz[:, axis], np.float32) for axis in range(3))
        return cls(x, y, z, z, z)

    def at(self, window: Any) -> Points:
        """The points under an index or window of the arrays."""
        return Points(
            self.x[window], self.y[window], self.z[window], self.z_rigid[window], self.level_mm
        )


@dataclass(frozen=True, slots=True)
class SliceGrid:
    """The pixels of one slice as points of the patient.

    Attributes:
        points: arrays (rows, columns).
        mm_px: side of a pixel.
        to_pixel: 2 x 3 matrix from (x, y, 1) mm to (column, row), before local deformation.
        origin: (row, column) on the image of the grid's first pixel: grids leave out the air.
        slack_mm: how far the deformation may move a point.
    """

    points: Points
    mm_px: float
    to_pixel: NDArray[np.float64]
    origin: tuple[int, int] = (0, 0)
    slack_mm: float = 9.0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.points.x.shape
        return int(rows), int(columns)

    def pixel_of(self, x: Any, y: Any) -> tuple[Any, Any]:
        """(column, row) of a point in mm."""
        m = self.to_pixel
        return m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]

    def found_pixel(self, places: NDArray[Any]) -> tuple[Any, Any]:
        """(column, row) of points (n, 2), corrected once for the local deformation."""
        x, y = places[:, 0], places[:, 1]
        column, row = self.pixel_of(x, y)
        rows, columns = self.shape
        place = (
            np.clip(np.rint(row), 0, rows - 1).astype(np.intp),
            np.clip(np.rint(column), 0, columns - 1).astype(np.intp),
        )
        moved_x = self.points.x[place] - self._nominal(place, 0)
        moved_y = self.points.y[place] - self._nominal(place, 1)
        return self.pixel_of(x - moved_x, y - moved_y)

    def _nominal(self, place: tuple[Any, Any], axis: int) -> Any:
        """x or y in mm of pixels before local deformation."""
        inverse = np.linalg.inv(self.to_pixel[:, :2])
        column, row = place[1] - self.to_pixel[0, 2], place[0] - self.to_pixel[1, 2]
        return inverse[axis, 0] * column + inverse[axis, 1] * row

    def window(self, x: float, y: float, radius_mm: float) -> Window | None:
        """The pixels that may lie within ``radius_mm`` of a point; None where there are none."""
        column, row = self.pixel_of(x, y)
        reach = (radius_mm + self.slack_mm) / self.mm_px + 1
        rows, columns = self.shape
        top, bottom = max(int(row - reach), 0), min(int(row + reach) + 2, rows)
        left, right = max(int(column - reach), 0), min(int(column + reach) + 2, columns)
        if top >= bottom or left >= right:
            return None
        return slice(top, bottom), slice(left, right)
