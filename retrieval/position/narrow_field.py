"""How far a location is off where a narrow field of view cuts the body off.

x and y are shares of the body that the image shows, and a height is told from what it shows: of a
body cut off, all three are those of another place. How far is measured
(``benchmarks/narrow_fields.py``): of given locations on official rows without pixels, 188 of
mediastinal lesions in fields below 350 mm against 1,486 in wider ones; of estimated heights on
whole slices of development series, cut to a narrow field.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.body import BodyRegion, body_region

Triple = tuple[float, float, float]

WIDE_MM = 350.0
"""In a field as wide as this no shift was measured."""

CUT_SHARE = 0.2
"""A body that fills less of each edge of the image is only touched by it: slices that were cropped
to the body (``real_ct_1mm``) stay below 0.15."""

_FIELD_MM = (250.0, 285.0, 320.0, WIDE_MM)
_X_ERROR = (0.165, 0.110, 0.024, 0.0)
_Y_ERROR = (0.142, 0.103, 0.045, 0.0)
_GIVEN_Z_ERROR = (0.070, 0.044, 0.005, 0.0)
_CUT_MM = (160.0, 200.0, 230.0, 280.0, 325.0, WIDE_MM)
_ESTIMATED_Z_ERROR = (0.082, 0.059, 0.042, 0.027, 0.020, 0.0)


def cut_field_mm(
    hu: NDArray[Any], spacing_mm_px: tuple[float, float], region: BodyRegion | None = None
) -> float | None:
    """The wider side of a narrow field of view that cuts the body off, in mm; None of any other.

    A body that an image just touches, as one that was cropped to it does, is not cut off.

    Args:
        hu: (rows, columns).
        spacing_mm_px: of a pixel along (x, y).
        region: the body on the slice, if it is known already.
    """
    rows, columns = hu.shape
    field = max(columns * spacing_mm_px[0], rows * spacing_mm_px[1])
    if field >= WIDE_MM:
        return None
    body = body_region(hu, spacing_mm_px) if region is None else region
    if body is None:
        return None
    mask = body.mask
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return field if max(float(edge.mean()) for edge in edges) >= CUT_SHARE else None


def given_error(field_mm: float) -> Triple:
    """Standard errors of a given (x, y, z) in DeepLesion's units, in a field that cuts the body."""
    x, y, z = (
        float(np.interp(field_mm, _FIELD_MM, errors))
        for errors in (_X_ERROR, _Y_ERROR, _GIVEN_Z_ERROR)
    )
    return x, y, z


def estimated_error(field_mm: float) -> Triple:
    """The same of an estimated one, beside its error in a wide field: x and y share the frame."""
    x, y, _ = given_error(field_mm)
    return x, y, float(np.interp(field_mm, _CUT_MM, _ESTIMATED_Z_ERROR))
