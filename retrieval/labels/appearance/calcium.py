"""Calcium in a lesion: its brightest voxels on all planes of the patch.

A calcification is a few voxels, often not on the key slice. It is looked for in the lesion itself,
which ends ``CANONICAL_PADDING_MM`` within its box, so that a rib beside it is not counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.appearance.outline import LesionOutline
from retrieval.patch import Patch

_LEVELS_HU = (130.0, 200.0, 300.0)
_MOST_HU = 1000.0
_BRIGHTEST = 3

NAMES = (
    "core greatest",
    "lesion greatest",
    "lesion brightest three",
    "lesion quantile 0.95",
    "key slice greatest",
    "key slice quantile 0.75",
    "brightest spot",
    *(f"voxels above {level:g} HU" for level in _LEVELS_HU),
)
"""What each number is, in order."""


def calcium(patch: Patch, outline: LesionOutline) -> NDArray[np.float32]:
    """The numbers of one patch: thousands of HU, at most 1, and logarithms of counts."""
    planes = np.clip(patch.hu, -_MOST_HU, _MOST_HU)
    key = planes[len(planes) // 2]
    inside = planes[:, outline.lesion]
    brightest = np.sort(inside, axis=None)[-_BRIGHTEST:]
    spots = _box_mean(key, 1) - _box_mean(key, 3)
    on_key = key[outline.lesion]
    return np.array(
        [
            planes[:, outline.core].max() / 1000.0,
            inside.max() / 1000.0,
            brightest.mean() / 1000.0,
            np.quantile(inside, 0.95) / 1000.0,
            on_key.max() / 1000.0,
            np.quantile(on_key, 0.75) / 1000.0,
            spots[outline.lesion].max() / 1000.0,
            *(np.log1p((inside > level).sum()) for level in _LEVELS_HU),
        ],
        dtype=np.float32,
    )


def _box_mean(plane: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The mean over a square of 2 ``reach`` + 1 pixels about each pixel of (rows, columns)."""
    size = 2 * reach + 1
    padded = np.pad(plane, reach, mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    rows = sums[size:] - sums[:-size]
    sums = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
    mean: NDArray[np.float32] = ((sums[:, size:] - sums[:, :-size]) / size**2).astype(np.float32)
    return mean
