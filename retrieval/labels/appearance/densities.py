"""Densities in and about a lesion's box as a few numbers: what calcium, air and haze are told by.

They are taken from the same patch as the encoder's vector, in Hounsfield units, and from an
ellipse in the box, since the corners of a box are mostly not the lesion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.patch import Patch

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
CALCIUM_HU = 200.0
"""Above it there is calcium, or contrast medium in a vessel."""

_SHARES_ABOVE = (CALCIUM_HU, 100.0, -150.0, -400.0)
_RIM_PX = 3.0

NAMES = (
    *(f"quantile {quantile:g}" for quantile in QUANTILES),
    *(f"share above {level:g} HU" for level in _SHARES_ABOVE),
    "spread",
    "core less rim",
    "edge",
    "edge spread",
    "width",
    "height over width",
)
"""What each number is, in order."""

CALCIUM_PLACE = NAMES.index(f"share above {CALCIUM_HU:g} HU")
WIDTH_PLACE = NAMES.index("width")


def densities(patch: Patch) -> NDArray[np.float32]:
    """The numbers of one patch, (numbers,), in thousands of HU, shares, and tens of pixels."""
    plane = patch.hu[len(patch.hu) // 2]
    side = plane.shape[0]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    x, y = patch.box.center
    half_x, half_y = max(patch.box.width / 2, 1.0), max(patch.box.height / 2, 1.0)
    # 1 on the ellipse that the box is drawn about.
    radius = np.hypot((columns - x) / half_x, (rows - y) / half_y)
    inside, core = plane[radius <= 0.8], plane[radius <= 0.4]
    if not len(inside):
        inside = plane[side // 2 : side // 2 + 1, side // 2]
    if not len(core):
        core = inside
    reach = _RIM_PX / min(half_x, half_y)
    rim = plane[(radius > 0.8) & (radius <= 0.8 + reach)]
    along_y, along_x = np.gradient(plane)
    steep = np.hypot(along_x, along_y)[(radius > 0.5) & (radius <= 1.0)]
    steep = steep if len(steep) else np.zeros(1, np.float32)
    rim_mean = float(rim.mean()) if len(rim) else float(inside.mean())
    numbers = [
        *(np.quantile(inside, QUANTILES) / 1000.0),
        *(float((inside > level).mean()) for level in _SHARES_ABOVE),
        float(inside.std()) / 1000.0,
        (float(core.mean()) - rim_mean) / 1000.0,
        float(np.quantile(steep, 0.9)) / 1000.0,
        float(steep.std()) / 1000.0,
        patch.box.width / 10.0,
        patch.box.height / max(patch.box.width, 1.0),
    ]
    return np.array(numbers, dtype=np.float32)
