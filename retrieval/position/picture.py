"""The picture of a slice that the height network sees: the body in the middle, mm per pixel fixed.

HU between -175 and 275 map to 0 and 1: DeepLesion's and NIH's soft-tissue window, so that 8-bit
pictures under it are as good as HU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.body import BodyRegion
from retrieval.image import apply_window


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What a picture is; stored beside the weights.

    Attributes:
        size_px: side of the square picture.
        mm_px: millimetres per picture pixel.
        window: (low, high) HU that become 0 and 1.
    """

    size_px: int = 112
    mm_px: float = 3.9
    window: tuple[float, float] = (-175.0, 275.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "window": list(self.window)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        low, high = fields["window"]
        return cls(int(fields["size_px"]), float(fields["mm_px"]), (float(low), float(high)))


def slice_picture(
    hu: NDArray[Any],
    spacing_mm_px: tuple[float, float],
    region: BodyRegion | None,
    spec: PictureSpec,
) -> NDArray[np.float32]:
    """The (size_px, size_px) picture in [0, 1] of a slice of (rows, columns) HU.

    The middle of the body's box, or of the slice where there is no body, comes to the middle of
    the picture; outside the slice is air. Pixels are averaged where they are finer than the
    picture's.
    """
    rows, columns = hu.shape
    windowed = apply_window(np.asarray(hu, np.float32), *spec.window)
    size = (
        max(round(columns * spacing_mm_px[0] / spec.mm_px), 1),
        max(round(rows * spacing_mm_px[1] / spec.mm_px), 1),
    )
    coarse = cv2.resize(windowed, size, interpolation=cv2.INTER_AREA)
    x, y = ((columns - 1) / 2, (rows - 1) / 2) if region is None else region.box.center
    # Pixel edges, not centres, are common to the two grids.
    x = (x + 0.5) * size[0] / columns
    y = (y + 0.5) * size[1] / rows
    half = spec.size_px / 2
    move = np.array([[1.0, 0.0, half - x], [0.0, 1.0, half - y]], np.float32)
    side = (spec.size_px, spec.size_px)
    moved = cv2.warpAffine(coarse, move, side, flags=cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(moved, np.float32)
