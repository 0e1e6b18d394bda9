"""Thicker slices: each is the average of what lies within its thickness."""

from __future__ import annotations

import numpy as np

from retrieval.synthesis.degradation.frequency import Planes
from retrieval.synthesis.degradation.kernel import DegradationError


def thicker(planes: Planes, slice_interval_mm: float, thickness_mm: float) -> Planes:
    """Every slice averaged with its neighbours over ``thickness_mm``, where they stand.

    A neighbour counts by the share of its own interval that lies within the thickness. At the ends
    the last slice repeats. The mean over the slices stays to within that repetition, and no value
    leaves the range of the slices that it is an average of.

    Raises DegradationError for a thickness below 0.
    """
    if thickness_mm < 0:
        raise DegradationError(f"slices of {thickness_mm} mm: 0 or more is needed")
    reach = thickness_mm / slice_interval_mm / 2
    count = int(np.ceil(max(reach - 0.5, 0)))
    if count == 0:
        return planes
    offsets = np.arange(-count, count + 1)
    weights = np.minimum(offsets + 0.5, reach) - np.maximum(offsets - 0.5, -reach)
    weights = (weights / weights.sum()).astype(np.float32)
    wide = np.pad(planes, ((count, count), (0, 0), (0, 0)), mode="edge")
    total = np.zeros_like(planes, np.float32)
    for weight, offset in zip(weights, range(2 * count + 1), strict=True):
        total += weight * wide[offset : offset + len(planes)]
    return total
