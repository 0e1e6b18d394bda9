"""SliceStack: the slices of a series that make one volume, and the sub-volumes about key slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.dicom.parts import parts_of
from retrieval.sources.mining.header import ImageHeader

REACH_MM = 30.0
"""A sub-volume reaches at least so far from its key slice, as DeepLesion's do, or to the end."""

MOST_GAP_MM = 30.0
"""Slices farther apart than this are no neighbours; no CT is read with such an interval."""

MOST_SLICES = 256
"""Sub-volumes that overlap are one, up to so many slices: what is held in memory at once."""

_ROUNDING_MM = 0.01


@dataclass(frozen=True)
class SliceStack:
    """Slices of one series and acquisition, from the feet to the head.

    Attributes:
        headers: at least one.
        part: which of the series' volumes it is, from 0.
    """

    headers: tuple[ImageHeader, ...]
    part: int = 0

    @cached_property
    def depths_mm(self) -> NDArray[np.float64]:
        """(slices,) ascending: towards the head along the normal of the slices."""
        sign = 1.0 if self.headers[0].plane.normal[2] >= 0 else -1.0
        return np.array([sign * header.plane.depth_mm for header in self.headers])

    @property
    def interval_mm(self) -> float:
        """The median distance of neighbouring slices; the thickness of a single one, or 5."""
        gaps = np.diff(self.depths_mm)
        near = gaps[gaps <= MOST_GAP_MM]
        if len(near):
            return float(np.median(near))
        return self.headers[0].thickness_mm or 5.0

    @cached_property
    def positions(self) -> dict[tuple[str, int], int]:
        """``ImageHeader.key`` -> place in the stack, from the feet."""
        return {header.key: place for place, header in enumerate(self.headers)}

    def number_of(self, position: int) -> int:
        """DeepLesion's number of a slice: from 1 at the head."""
        return len(self.headers) - position

    def sub_volumes(self, keys: Iterable[int]) -> list[tuple[range, list[int]]]:
        """Runs of positions that reach 30 mm beyond their key slices, with their key slices.

        Runs that overlap are one as long as it has at most ``MOST_SLICES`` slices.
        """
        runs: list[tuple[range, list[int]]] = []
        for key in sorted(set(keys)):
            near = self._about(key)
            if runs and near.start < runs[-1][0].stop:
                run, members = runs[-1]
                joined = range(run.start, max(run.stop, near.stop))
                if len(joined) <= MOST_SLICES:
                    runs[-1] = (joined, [*members, key])
                    continue
            runs.append((near, [key]))
        return runs

    def _about(self, key: int) -> range:
        depths = self.depths_mm
        reach = REACH_MM - _ROUNDING_MM
        first = max(int(np.searchsorted(depths, depths[key] - reach, side="right")) - 1, 0)
        last = int(np.searchsorted(depths, depths[key] + reach, side="left"))
        last = min(last, len(depths) - 1)
        # Beyond a gap lies another piece of the body.
        wide = np.diff(depths) > MOST_GAP_MM
        below, above = np.flatnonzero(wide[first:key]), np.flatnonzero(wide[key:last])
        first = first + int(below[-1]) + 1 if len(below) else first
        last = key + int(above[0]) if len(above) else last
        return range(first, last + 1)


def stacks_of(headers: Sequence[ImageHeader]) -> list[SliceStack]:
    """The volumes of a series; scouts and what lies nowhere are left out.

    Raises DicomError where its slices scatter and make no volume.
    """
    slices = {header.as_slice().name: header for header in headers if header.is_slice}
    planes = [header.as_slice() for header in slices.values()]
    if not planes:
        return []
    stacks = []
    for part, found in enumerate(parts_of(planes)):
        own = [slices[plane.name] for plane in found.planes]
        sign = 1.0 if own[0].plane.normal[2] >= 0 else -1.0
        own.sort(key=lambda header: sign * header.plane.depth_mm)
        stacks.append(SliceStack(tuple(own), part))
    return stacks
