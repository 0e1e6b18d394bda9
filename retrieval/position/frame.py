"""The frame in which DeepLesion normalises x and y: the box of all that is denser than air.

``Normalized_lesion_location`` is (p - first) / (last - first) of the body mask on the key slice,
stretched by constants that are the same for every row. Both follow from official rows alone: two
lesions marked on one slice give that slice's frame, and over 101 such slices (54 for y) its first
and last pixel come out as whole numbers to within 0.003 px under the constants below. The mask is
what reproduces them on slices of the development set: above -768 HU, opened by 7 px, with no
largest part chosen, so that a thick couch or an arm belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.body import BODY_HU

FRAME_HU = -768.0
OPENING_PX, IMAGE_PX = 7, 512
"""The opening's side, on images of 512 columns; in proportion on others."""

AIR_SEEN_HU = -900.0
"""A slice that reaches below this shows air as air; one that does not is a windowed picture."""

X_STRETCH = (0.00909, 1.003589)
Y_STRETCH = (-0.14725, 1.229227)
"""(offset, width): DeepLesion's value is (share of the frame - offset) / width."""


@dataclass(frozen=True, slots=True)
class BodyFrame:
    """First and last pixel of the frame, 0-based, along x and y."""

    left: float
    top: float
    right: float
    bottom: float

    def normalised(self, point: tuple[float, float]) -> tuple[float, float]:
        """DeepLesion's (x, y) of a point in 0-based pixels; clipped to [0, 1]."""
        # DeepLesion took its 1-based lesion coordinates against the mask's 0-based ones.
        x = (point[0] + 1 - self.left) / max(self.right - self.left, 1.0)
        y = (point[1] + 1 - self.top) / max(self.bottom - self.top, 1.0)
        x = (x - X_STRETCH[0]) / X_STRETCH[1]
        y = (y - Y_STRETCH[0]) / Y_STRETCH[1]
        return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)

    def point_at(self, x: float, y: float) -> tuple[float, float]:
        """The inverse of ``normalised``: 0-based pixels of DeepLesion's (x, y)."""
        across = (x * X_STRETCH[1] + X_STRETCH[0]) * max(self.right - self.left, 1.0)
        down = (y * Y_STRETCH[1] + Y_STRETCH[0]) * max(self.bottom - self.top, 1.0)
        return across + self.left - 1, down + self.top - 1


def body_frame(hu: NDArray[Any]) -> BodyFrame | None:
    """The frame of a slice of (rows, columns) HU; None where nothing is denser than air.

    A picture whose window hides air (its darkest pixel is above -900 HU) is cut at -150 HU: its
    couch cannot be told from air, and the frame is that of the body.
    """
    threshold = FRAME_HU if float(hu.min()) < AIR_SEEN_HU else BODY_HU
    side = max(round(OPENING_PX * hu.shape[1] / IMAGE_PX), 1)
    dense = np.ascontiguousarray(hu > threshold).view(np.uint8)
    opened = cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    down, across = np.flatnonzero(opened.any(axis=1)), np.flatnonzero(opened.any(axis=0))
    if down.size == 0:
        return None
    return BodyFrame(float(across[0]), float(down[0]), float(across[-1]), float(down[-1]))
