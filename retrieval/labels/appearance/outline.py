"""Where in a patch a lesion is, as far as its box tells: ellipses and rays about its edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.patch import CANONICAL_PADDING_MM, Patch

RAYS = 32
REACH_MM = 4.5
STEP_MM = 0.5
RIM_MM = 3.0

_CORE = 0.4
_LEAST_HALF_PX = 1.5
"""Half the diameter of the smallest lesion that a patch shows."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LesionOutline:
    """The lesion of a patch whose pixels are ``CANONICAL_PADDING_MM`` of about a millimetre.

    Attributes:
        center: x and y in patch pixels.
        half: half the lesion's width and height in pixels, the padding of the box left out.
        core: (rows, columns), the middle of the box.
        lesion: (rows, columns), the ellipse of the lesion.
        rim: (rows, columns), what lies within RIM_MM outside it; the lesion where it fills the
            patch.
    """

    center: tuple[float, float]
    half: tuple[float, float]
    core: Bools
    lesion: Bools
    rim: Bools

    @classmethod
    def of(cls, patch: Patch) -> LesionOutline:
        """The outline of a patch's box."""
        side = patch.hu.shape[-1]
        rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
        x, y = patch.box.center
        box_x, box_y = max(patch.box.width / 2, 1.0), max(patch.box.height / 2, 1.0)
        half_x = max(box_x - CANONICAL_PADDING_MM, _LEAST_HALF_PX)
        half_y = max(box_y - CANONICAL_PADDING_MM, _LEAST_HALF_PX)

        def ellipse(width: float, height: float) -> Bools:
            radius = np.hypot((columns - x) / width, (rows - y) / height)
            found: Bools = radius <= max(1.0, float(radius.min()))
            return found

        lesion = ellipse(half_x, half_y)
        rim = ellipse(half_x + RIM_MM, half_y + RIM_MM) & ~lesion
        return cls(
            (x, y),
            (half_x, half_y),
            ellipse(_CORE * box_x, _CORE * box_y),
            lesion,
            rim if rim.any() else lesion,
        )

    def profiles(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """HU along rays from within the lesion outward, (RAYS, samples), by linear interpolation.

        The samples go from ``REACH_MM`` within the edge to as much outside it; a small lesion's
        first ones are its centre.
        """
        angles = np.linspace(0.0, 2.0 * np.pi, RAYS, endpoint=False)[:, np.newaxis]
        edge = 1.0 / np.hypot(np.cos(angles) / self.half[0], np.sin(angles) / self.half[1])
        away = np.maximum(edge + np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM), 0.0)
        return _sampled(
            plane, self.center[0] + away * np.cos(angles), self.center[1] + away * np.sin(angles)
        )


def _sampled(
    plane: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The plane at points (x, y); points outside it take its nearest pixel."""
    last_row, last_column = plane.shape[0] - 1, plane.shape[1] - 1
    x, y = np.clip(x, 0, last_column), np.clip(y, 0, last_row)
    left = np.minimum(x.astype(np.int64), last_column - 1)
    top = np.minimum(y.astype(np.int64), last_row - 1)
    right, low = x - left, y - top
    upper = plane[top, left] * (1 - right) + plane[top, left + 1] * right
    lower = plane[top + 1, left] * (1 - right) + plane[top + 1, left + 1] * right
    found: NDArray[np.float32] = (upper * (1 - low) + lower * low).astype(np.float32)
    return found
