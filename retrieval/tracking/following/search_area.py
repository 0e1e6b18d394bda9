"""SearchArea: the slices and points of a series that are worth a look, likeliest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.position.frame import BodyFrame, body_frame
from retrieval.position.locator import SeriesPosition
from retrieval.tracking.edges import NOMINAL_BODY_MM
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.terms.scatter import PairScatter

REACH = 2.5
"""Slices within so many standard errors of the expected height are searched."""

LEAST_REACH_MM = 20.0
"""And always those within this: one lesion's height scatters from scan to scan."""

IN_PLANE_MM = 40.0
"""So far from the expected point: 99 % of marks of one lesion lie within 38 mm in x and y
(docs/tracking.md)."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a slice, in pixels of the display grid, and the log of how likely it is."""

    position: int
    point: tuple[float, float]
    log_prior: float


@dataclass(frozen=True)
class SearchArea:
    """Where in a slab a lesion may lie.

    Attributes:
        slab: the whole series.
        expected: the place that the area is about.
        heights: z of the slab's slices by their own positions, of those that show a body.
        frames: the body frame of each slice that is searched.
    """

    slab: Slab
    expected: ExpectedPlace
    heights: dict[int, float]
    frames: dict[int, BodyFrame]

    @classmethod
    def of(cls, slab: Slab, series: SeriesPosition, expected: ExpectedPlace) -> SearchArea:
        """The area about a place; it has no slices where the series does not reach there."""
        heights = {
            at: one.place.location[2]
            for at, one in enumerate(series.slices)
            if one.place is not None
        }
        reach = max(REACH * expected.error[2], LEAST_REACH_MM / NOMINAL_BODY_MM[2])
        near = [at for at, z in heights.items() if abs(z - expected.location[2]) <= reach]
        frames = {at: frame for at in near if (frame := body_frame(slab.hu[at])) is not None}
        return cls(slab, expected, heights, frames)

    @property
    def positions(self) -> list[int]:
        """The slices that are searched, by their positions in the slab."""
        return sorted(self.frames)

    def share_covered(self) -> float:
        """How likely it is that the place lies within what is searched, in [0, 1].

        Within the slices, and on them within reach of the expected point, which matters where x
        and y are coarse: in a narrow field of view.
        """
        if not self.frames:
            return 0.0
        half = self.slab.slice_interval_mm / 2 / NOMINAL_BODY_MM[2]
        inside = [self.heights[at] for at in self.frames]
        own = PairScatter().same_mm[2] / NOMINAL_BODY_MM[2]
        spread = sqrt(2) * (self.expected.error[2] ** 2 + own**2) ** 0.5
        low, high = (
            erf((end - self.expected.location[2]) / spread)
            for end in (min(inside) - half, max(inside) + half)
        )
        cut = erf(REACH * self.expected.error[2] / spread)
        along = min((high - low) / 2 / cut, 1.0) if cut > 0 else 1.0
        return along * self._share_in_plane()

    def _share_in_plane(self) -> float:
        """The share of likely offsets along x and y that lie within reach."""
        share = 1.0
        for axis in range(2):
            error = self.expected.error[axis] * NOMINAL_BODY_MM[axis]
            spread = sqrt(2) * (error**2 + PairScatter().same_mm[axis] ** 2) ** 0.5
            share *= min(erf(IN_PLANE_MM / spread) / erf(REACH / sqrt(2)), 1.0)
        return share

    def location_of(self, position: int, point: tuple[float, float]) -> tuple[float, float, float]:
        """The body position of a point of a searched slice."""
        x, y = self.frames[position].normalised(point)
        return x, y, self.heights[position]

    def distance_mm(self, position: int, box: Box) -> float:
        """How far in the plane a box's middle lies from the expected point."""
        x, y = self.frames[position].point_at(*self.expected.location[:2])
        dx, dy = box.center[0] - x, box.center[1] - y
        x_mm, y_mm = self.slab.spacing_mm_px
        return float(np.hypot(dx * x_mm, dy * y_mm))

    def thinned(self, gap_mm: float) -> list[int]:
        """Searched slices at most ``gap_mm`` apart, if the series has them so near."""
        step = max(int(gap_mm / self.slab.slice_interval_mm + 1e-6), 1)
        return self.positions[step // 2 :: step] or self.positions

    def centres(self, gap_mm: float) -> dict[int, tuple[float, float]]:
        """The expected point on searched slices at most ``gap_mm`` apart, by position."""
        x, y, _ = self.expected.location
        return {at: self.frames[at].point_at(x, y) for at in self.thinned(gap_mm)}

    def spots(self, step_mm: float, gap_mm: float, limit: int) -> list[Spot]:
        """The likeliest points of a grid, at most ``limit``; ``gap_mm`` is that of slices."""
        found = [spot for at in self.thinned(gap_mm) for spot in self._on_slice(at, step_mm)]
        found.sort(key=lambda spot: -spot.log_prior)
        return found[:limit]

    def spot(self, position: int, point: tuple[float, float]) -> Spot:
        """A point of a searched slice."""
        x, y = self.frames[position].point_at(*self.expected.location[:2])
        x_mm, y_mm = self.slab.spacing_mm_px
        offset = np.array([(point[0] - x) * x_mm, (point[1] - y) * y_mm])
        return Spot(position, point, float(self._log_priors(position, offset[None])[0]))

    def _on_slice(self, at: int, step_mm: float) -> Iterator[Spot]:
        x, y = self.frames[at].point_at(*self.expected.location[:2])
        x_mm, y_mm = self.slab.spacing_mm_px
        reach = int(IN_PLANE_MM / step_mm)
        steps = np.arange(-reach, reach + 1)
        grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        offsets = grid[np.hypot(*grid.T) <= reach] * step_mm
        priors = self._log_priors(at, offsets)
        for (across, down), prior in zip(offsets.tolist(), priors.tolist(), strict=True):
            point = (x + across / x_mm, y + down / y_mm)
            if self._shown(point):
                yield Spot(at, point, prior)

    def _log_priors(self, at: int, offsets_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) of points of a slice, (n, 2) mm from the expected one."""
        height_mm = (self.heights[at] - self.expected.location[2]) * NOMINAL_BODY_MM[2]
        error = np.array(self.expected.error) * np.array(NOMINAL_BODY_MM)
        offsets = np.column_stack([offsets_mm, np.full(len(offsets_mm), height_mm)])
        return PairScatter().location_ratio(offsets, np.broadcast_to(error, offsets.shape))

    def _shown(self, point: tuple[float, float]) -> bool:
        x, y = point
        return 0 <= x <= self.slab.columns - 1 and 0 <= y <= self.slab.rows - 1
