"""Signed distances in mm, negative inside; coverage of pixels from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.synthesis.phantom.body.points import Floats, SliceGrid, Window

FAR_MM = 1e3
TUBE_SLACK_MM = 2.5
"""How far a tube may lie from where one correction for the bending puts it."""


def coverage(distance: Any, edge_mm: float) -> Floats:
    """How much of a pixel lies inside, 0 to 1: a ramp of ``edge_mm`` about the surface."""
    return np.asarray(np.clip(0.5 - distance / np.float32(edge_mm), 0, 1), np.float32)


def squircle_distance(x: Any, y: Any, half_width: Any, half_depth: Any) -> Floats:
    """About the distance to an ellipse drawn towards its bounding box (a body's outline)."""
    u, v = np.square(x / half_width), np.square(y / half_depth)
    radius = np.sqrt(np.maximum(u + v - 0.22 * np.minimum(u, 4) * np.minimum(v, 4), 0))
    return np.asarray((radius - 1) * np.sqrt(half_width * half_depth), np.float32)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid: centre, half axes (3,) in mm and rotation whose rows are its axes."""

    center: NDArray[np.float64]
    radii: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def distance(self, x: Any, y: Any, z: Any) -> Floats:
        """The usual first-order signed distance, exact on the surface."""
        # Plain floats: a NumPy float64 would make every array twice as large.
        center = self.center.tolist()
        dx, dy, dz = x - center[0], y - center[1], z - center[2]
        near: Any = 0.0
        slope: Any = 0.0
        for axis, radius in zip(self.rotation.tolist(), self.radii.tolist(), strict=True):
            unit = dx * (axis[0] / radius) + dy * (axis[1] / radius) + dz * (axis[2] / radius)
            unit *= unit
            near = near + unit
            slope = slope + unit * (1 / radius**2)
        near = np.sqrt(near)
        return np.asarray(near * (near - 1) / np.sqrt(slope + 1e-9), np.float32)


def turned(rng: np.random.Generator, degrees: float) -> NDArray[np.float64]:
    """A rotation by random angles of about ``degrees`` about each axis."""
    matrix = np.eye(3)
    for axis, angle in enumerate(rng.normal(0, np.radians(degrees), 3)):
        cosine, sine = np.cos(angle), np.sin(angle)
        first, second = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = -sine, sine
        matrix = matrix @ turn
    return matrix


@dataclass(frozen=True, slots=True)
class TubeField:
    """Distances to tubes within a window of the slice; outside it none is near."""

    window: Window
    distance: Floats

    def full(self, shape: tuple[int, int]) -> Floats:
        """Distances on the whole slice."""
        whole = np.full(shape, FAR_MM, np.float32)
        whole[self.window] = self.distance
        return whole


def _bounding(rows: Any, columns: Any, reach: Any, shape: tuple[int, int]) -> Window | None:
    top, left = int((rows - reach).min()), int((columns - reach).min())
    bottom, right = int((rows + reach).max()) + 2, int((columns + reach).max()) + 2
    window = (
        slice(max(top, 0), min(bottom, shape[0])),
        slice(max(left, 0), min(right, shape[1])),
    )
    empty = window[0].start >= window[0].stop or window[1].start >= window[1].stop
    return None if empty else window


@dataclass(frozen=True)
class Tubes:
    """Short straight pieces with round ends; together vessels, gut, ribs.

    Attributes:
        starts, ends: (pieces, 3), mm.
        radii: (pieces,), mm.
        height_factor: 1 for round tubes; 0.6 makes them taller than wide (ribs).
    """

    starts: Floats
    ends: Floats
    radii: Floats
    height_factor: float = 1.0

    @classmethod
    def along(cls, path: Any, radii: Any, *, step_mm: float = 6.0, height: float = 1.0) -> Tubes:
        """Tubes along a path (n, 3) with a radius at each of its points, cut into short pieces."""
        path, radii = np.asarray(path, float), np.asarray(radii, float)
        lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        stations = np.linspace(0, along[-1], max(int(along[-1] / step_mm), 1) + 1)
        fine = np.stack([np.interp(stations, along, path[:, axis]) for axis in range(3)], axis=1)
        thick = np.interp(stations, along, radii)
        return cls(
            fine[:-1].astype(np.float32),
            fine[1:].astype(np.float32),
            ((thick[:-1] + thick[1:]) / 2).astype(np.float32),
            height,
        )

    @classmethod
    def joined(cls, parts: list[Tubes]) -> Tubes:
        """All pieces of several tubes, which must share one height factor."""
        return cls(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.ends for part in parts]),
            np.concatenate([part.radii for part in parts]),
            parts[0].height_factor,
        )

    def near(self, z: float, slack_mm: float) -> Tubes:
        """The pieces that reach within ``slack_mm`` of one height."""
        low = np.minimum(self.starts[:, 2], self.ends[:, 2])
        high = np.maximum(self.starts[:, 2], self.ends[:, 2])
        reach = self.radii / self.height_factor + slack_mm
        kept = (low - reach < z) & (high + reach > z)
        return Tubes(self.starts[kept], self.ends[kept], self.radii[kept], self.height_factor)

    def distance_on(
        self, grid: SliceGrid, *, margin_mm: float, rigid: bool = False
    ) -> TubeField | None:
        """Distance to the nearest tube's surface, exact within ``margin_mm``.

        None where no tube comes near the slice; pixels farther away hold ``FAR_MM``.
        """
        heights = grid.points.z_rigid if rigid else grid.points.z
        slack = 4.0 + margin_mm
        middle = float(heights[:: len(heights) // 8 + 1, :: len(heights) // 8 + 1].mean())
        low, high = self.extent_mm
        if not low - slack < middle < high + slack:
            return None
        pieces = self.near(middle, slack)
        if len(pieces.radii) == 0:
            return None
        # Pieces of one size share a window size: big ones would inflate everyone's.
        reach = pieces.radii + np.linalg.norm(pieces.ends - pieces.starts, axis=1) / 2
        middles = (pieces.starts + pieces.ends) / 2
        columns, rows = grid.found_pixel(middles[:, :2])
        reach += margin_mm + TUBE_SLACK_MM
        window = _bounding(rows, columns, reach / grid.mm_px, grid.shape)
        if window is None:
            return None
        spots = np.stack([rows, columns, reach / grid.mm_px])
        nearest = np.full(grid.shape, FAR_MM, np.float32)
        order = np.argsort(reach, kind="stable")
        for chunk in np.array_split(order, 3 if len(order) > 30 else 1):
            pieces._lower(nearest, grid, heights, chunk, spots[:, chunk])
        return TubeField(window, nearest[window])

    @cached_property
    def extent_mm(self) -> tuple[float, float]:
        """Lowest and highest z that the tubes reach."""
        reach = float(self.radii.max()) / self.height_factor
        ends = self.starts[:, 2], self.ends[:, 2]
        return float(np.minimum(*ends).min()) - reach, float(np.maximum(*ends).max()) + reach

    def _lower(
        self,
        nearest: Floats,
        grid: SliceGrid,
        heights: Floats,
        chunk: NDArray[np.intp],
        spots: NDArray[np.floating[Any]],
    ) -> None:
        starts, ends, radii = self.starts[chunk], self.ends[chunk], self.radii[chunk]
        along = ends - starts
        rows, columns, half = spots[0], spots[1], int(np.ceil(spots[2].max()))
        offsets = np.arange(-half, half + 1)
        row = np.rint(rows).astype(np.intp)[:, None, None] + offsets[None, :, None]
        column = np.rint(columns).astype(np.intp)[:, None, None] + offsets[None, None, :]
        inside = (row >= 0) & (row < grid.shape[0]) & (column >= 0) & (column < grid.shape[1])
        flat = np.where(inside, row * grid.shape[1] + column, -1)
        piece = np.broadcast_to(np.arange(len(chunk))[:, None, None], flat.shape)[flat >= 0]
        flat = flat[flat >= 0]
        factor = np.float32(self.height_factor)
        dx = grid.points.x.ravel()[flat] - starts[piece, 0]
        dy = grid.points.y.ravel()[flat] - starts[piece, 1]
        dz = (heights.ravel()[flat] - starts[piece, 2]) * factor
        ax, ay, az = along[:, 0], along[:, 1], along[:, 2] * factor
        length = np.maximum(ax * ax + ay * ay + az * az, 1e-6)
        share = np.clip((dx * ax[piece] + dy * ay[piece] + dz * az[piece]) / length[piece], 0, 1)
        dx, dy, dz = dx - share * ax[piece], dy - share * ay[piece], dz - share * az[piece]
        np.minimum.at(nearest.ravel(), flat, np.sqrt(dx * dx + dy * dy + dz * dz) - radii[piece])
