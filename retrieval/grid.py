"""GridMap: the exact map between a slab's display grid and the grid of the file it came from.

The display grid is what radiology shows: columns run to the patient's left, rows to the back,
slices from the feet to the head. The file grid is what the file stores: DICOM columns, rows and
images along the normal of the slices, NIfTI and NRRD voxel indices i, j, k, DeepLesion's pixels
and slice numbers. Between the two, axes are exchanged, reversed and shifted, and nothing else, so
that a box goes there and back without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from retrieval.lesion import Box, LesionSearchError, Recist

Point = tuple[float, float]
"""(x, y) in 0-based pixels of one slice."""


class Grid(StrEnum):
    """Which grid coordinates are said in."""

    FILE = "file"
    DISPLAY = "display"


class GridError(LesionSearchError):
    """A map between grids that cannot be."""


@dataclass(frozen=True, slots=True)
class GridMap:
    """Where the voxels of the display grid stand in the file.

    The display axes are 0 = x (columns), 1 = y (rows), 2 = slices; the file axes 0 = i, 1 = j,
    2 = k. A display index ``d`` along display axis ``a`` stands at the file index
    ``origin[a] + step[a] * d`` along the file axis ``axes[a]``.

    In the file grid a slice is a position along ``axes[2]``; its x runs along the lower of the
    other two file axes and its y along the higher one. For a file of axial slices those are i and
    j, whichever of them runs across the patient.

    Attributes:
        axes: a permutation of 0, 1, 2.
        step: 1, or -1 where the file runs against the display.
        origin: file index of the display's first column, row and slice.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    step: tuple[int, int, int] = (1, 1, 1)
    origin: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        if sorted(self.axes) != [0, 1, 2] or not {*self.step} <= {1, -1} or len(self.step) != 3:
            raise GridError(
                f"grid map has the axes {self.axes} and steps {self.step}: a permutation of "
                "0, 1, 2 and three of 1 or -1 are needed"
            )

    @classmethod
    def from_last_slice(cls, number: int) -> Self:
        """The display grid itself, its slices numbered from ``number`` downwards.

        DeepLesion's way: its slice numbers grow from the head to the feet.
        """
        return cls(step=(1, 1, -1), origin=(0, 0, number))

    @property
    def rows_first(self) -> bool:
        """Whether the file's x of a slice runs along the display's rows."""
        return self.axes[0] > self.axes[1]

    def to_file_slice(self, position: int) -> int:
        """The file's slice number of a position in the slab."""
        return self.origin[2] + self.step[2] * position

    def to_display_slice(self, number: int) -> int:
        """The position in the slab of a file's slice number; it may lie outside the slab."""
        return (number - self.origin[2]) * self.step[2]

    def to_file_point(self, point: Point) -> Point:
        """A point of a display slice in the file grid."""
        x = self.origin[0] + self.step[0] * point[0]
        y = self.origin[1] + self.step[1] * point[1]
        return (y, x) if self.rows_first else (x, y)

    def to_display_point(self, point: Point) -> Point:
        """A point of a file slice in the display grid."""
        x, y = (point[1], point[0]) if self.rows_first else point
        return (x - self.origin[0]) * self.step[0], (y - self.origin[1]) * self.step[1]

    def to_file_box(self, box: Box) -> Box:
        """A box of a display slice in the file grid."""
        first = self.to_file_point((box.x1, box.y1))
        return _box_between(first, self.to_file_point((box.x2, box.y2)))

    def to_display_box(self, box: Box) -> Box:
        """A box of a file slice in the display grid."""
        first = self.to_display_point((box.x1, box.y1))
        return _box_between(first, self.to_display_point((box.x2, box.y2)))

    def to_file_recist(self, mark: Recist) -> Recist:
        """A RECIST mark of a display slice in the file grid."""
        return Recist(tuple(self.to_file_point(point) for point in mark.points))

    def to_display_recist(self, mark: Recist) -> Recist:
        """A RECIST mark of a file slice in the display grid."""
        return Recist(tuple(self.to_display_point(point) for point in mark.points))

    def with_slices_from(self, number: int) -> GridMap:
        """The same map where the file counts its slices from ``number`` on instead of from 0."""
        return replace(self, origin=(*self.origin[:2], self.origin[2] + number))

    def to_json(self) -> dict[str, Any]:
        """``axes``, ``step`` and ``origin`` as lists."""
        return {"axes": list(self.axes), "step": list(self.step), "origin": list(self.origin)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``.

        Raises:
            GridError: no permutation, or a step other than 1 and -1.
            KeyError, TypeError, ValueError: other fields, or no whole numbers.
        """
        axes, step, origin = ([int(n) for n in fields[key]] for key in ("axes", "step", "origin"))
        i, j, k = axes
        x_step, y_step, z_step = step
        x, y, z = origin
        return cls((i, j, k), (x_step, y_step, z_step), (x, y, z))


AS_DISPLAYED = GridMap()
"""The file holds the display grid itself, its slices numbered from 0."""


def _box_between(first: Point, second: Point) -> Box:
    (x1, x2), (y1, y2) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    return Box(x1, y1, x2, y2)
