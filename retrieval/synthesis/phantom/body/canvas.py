"""Canvas: the slice being painted, with the few strokes that every organ needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from retrieval.synthesis.phantom.body.fields import Tile
from retrieval.synthesis.phantom.body.points import Floats, SliceGrid, Window
from retrieval.synthesis.phantom.body.shapes import Ellipsoid, TubeField, Tubes, coverage
from retrieval.synthesis.phantom.body.tissues import Phase, Tissue, tissue_hu

OUTSIDE_HU = -1000.0


@dataclass
class Canvas:
    """One slice under the brush; strokes change ``hu`` in place.

    Attributes:
        kept: coverages that later strokes need, by name.
    """

    hu: Floats
    grid: SliceGrid
    phase: Phase
    texture: Tile
    kept: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def empty(cls, grid: SliceGrid, phase: Phase, texture: Tile) -> Self:
        """A slice of air."""
        return cls(np.full(grid.shape, OUTSIDE_HU, np.float32), grid, phase, texture)

    @cached_property
    def organ_mm(self) -> float:
        """Mean height of the slice among the organs."""
        return float(np.mean(self.grid.points.z))

    def tissue(self, tissue: Tissue) -> np.float32:
        """HU of a tissue in this study's phase."""
        return np.float32(tissue_hu(tissue, self.phase))

    def grain(self, cell_mm: float, variant: int = 0) -> Floats:
        """The patient's grain at the slice's points; variants are unlike each other."""
        name = f"grain {cell_mm} {variant}"
        if name not in self.kept:
            p = self.grid.points
            away = np.float32(17.3 * variant * cell_mm)
            height = self.organ_mm + 5.7 * variant * cell_mm
            self.kept[name] = self.texture.sample(p.x + away, p.y + away, height, cell_mm)
        return self.kept[name]

    def covered(self, distance: Any) -> Floats:
        """Coverage with an edge of one pixel."""
        return coverage(distance, 1.15 * self.grid.mm_px)

    def paint(self, covered: Any, hu: Any) -> None:
        """Lays ``hu`` over the whole slice where covered."""
        self.hu += covered * (hu - self.hu)

    def paint_at(self, window: Window, covered: Any, hu: Any) -> None:
        """Lays ``hu`` over a window where covered; both of the window's shape."""
        below = self.hu[window]
        self.hu[window] = below + covered * (hu - below)

    def window_of(self, body: Ellipsoid) -> Window | None:
        """The pixels an ellipsoid may touch."""
        reach = float(body.radii.max())
        if abs(self.organ_mm - body.center[2]) > reach + 10:
            return None
        return self.grid.window(float(body.center[0]), float(body.center[1]), reach)

    def ellipsoid(
        self,
        body: Ellipsoid,
        hu: Any,
        *,
        within: Floats | None = None,
        inset_mm: float = 0.0,
        edge_mm: float | None = None,
    ) -> None:
        """Paints an ellipsoid, shrunk by ``inset_mm``, where ``within`` covers."""
        window = self.window_of(body)
        if window is None:
            return
        p = self.grid.points.at(window)
        distance = body.distance(p.x, p.y, p.z) + np.float32(inset_mm)
        covered = self.covered(distance) if edge_mm is None else coverage(distance, edge_mm)
        if within is not None:
            covered = covered * within[window]
        self.paint_at(window, covered, hu[window] if np.ndim(hu) == 2 else hu)

    def near(self, tubes: Tubes, *, rigid: bool = False) -> TubeField | None:
        """Distance to tubes, or None where none comes near the slice."""
        return tubes.distance_on(self.grid, margin_mm=3.0, rigid=rigid)

    def tube(self, tubes: Tubes, hu: Any, *, within: Floats | None = None) -> None:
        """Paints tubes where ``within`` covers."""
        field = self.near(tubes)
        if field is None:
            return
        covered = self.covered(field.distance)
        if within is not None:
            covered = covered * within[field.window]
        self.paint_at(field.window, covered, hu[field.window] if np.ndim(hu) == 2 else hu)
