"""How far a location is off where a narrow field of view cuts the body off.

x and y are shares of the body that the image shows, and a height is told from what it shows: of a
body cut off, all three are those of another place. How far is measured
(``benchmarks/narrow_fields.py``): of given locations on official rows without pixels, 188 of
mediastinal lesions in fields below 350 mm against 1,486 in wider ones; of estimated heights on
whole slices of development series, cut to a narrow field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.body import BodyRegion, body_region
from retrieval.position.reconstructed_field import padding, rectangle, round_field

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


@dataclass(frozen=True)
class CutField:
    """A field of view that cuts the body off: its side along x and y, in mm.

    A wider side counts as ``WIDE_MM``.
    """

    x_mm: float
    y_mm: float

    @property
    def narrower_mm(self) -> float:
        """The narrower side."""
        return min(self.x_mm, self.y_mm)


def cut_field(
    hu: NDArray[Any], spacing_mm_px: tuple[float, float], region: BodyRegion | None = None
) -> CutField | None:
    """The narrow field of view that cuts the body off; None of any other.

    It cuts where the body fills an edge across a narrow side; within padding, the border of the
    field that was reconstructed. Then each axis counts by its own side, even one along which the
    body seems whole: the errors were measured over all narrow fields, whichever edge cut. A body
    that an image just touches, as one that was cropped to it does, is not cut off. A narrow image
    without a body, as one of the lung about a nodule, shows too little to tell.

    Args:
        hu: (rows, columns).
        spacing_mm_px: of a pixel along (x, y).
        region: the body on the slice, if it is known already.
    """
    empty = padding(hu)
    shown = None if empty is None else rectangle(empty)
    if shown is not None and hu[shown].shape != hu.shape:
        hu, region, empty = hu[shown], None, None
    rows, columns = hu.shape
    x_mm, y_mm = columns * spacing_mm_px[0], rows * spacing_mm_px[1]
    circle = None if empty is None else round_field(hu, empty, spacing_mm_px)
    if min(x_mm, y_mm) >= WIDE_MM and (circle is None or circle.diameter_mm >= WIDE_MM):
        return None
    left, top, right, bottom = _edge_shares(hu, spacing_mm_px, region)
    across, along = max(left, right) >= CUT_SHARE, max(top, bottom) >= CUT_SHARE
    cuts = (across and x_mm < WIDE_MM) or (along and y_mm < WIDE_MM)
    if circle is not None and circle.diameter_mm < WIDE_MM and max(circle.sides) >= CUT_SHARE:
        cuts = True
        x_mm, y_mm = min(x_mm, circle.diameter_mm), min(y_mm, circle.diameter_mm)
    return CutField(min(x_mm, WIDE_MM), min(y_mm, WIDE_MM)) if cuts else None


def _edge_shares(
    hu: NDArray[Any], spacing_mm_px: tuple[float, float], region: BodyRegion | None
) -> tuple[float, float, float, float]:
    """How much of the (left, top, right, bottom) edge the body fills; all where none is found."""
    body = body_region(hu, spacing_mm_px) if region is None else region
    if body is None:
        return 1.0, 1.0, 1.0, 1.0
    mask = body.mask
    left, top, right, bottom = (
        float(edge.mean()) for edge in (mask[:, 0], mask[0], mask[:, -1], mask[-1])
    )
    return left, top, right, bottom


def given_error(field: CutField) -> Triple:
    """Standard errors of a given (x, y, z) in DeepLesion's units, in a field that cuts the body."""
    return (
        float(np.interp(field.x_mm, _FIELD_MM, _X_ERROR)),
        float(np.interp(field.y_mm, _FIELD_MM, _Y_ERROR)),
        float(np.interp(field.narrower_mm, _FIELD_MM, _GIVEN_Z_ERROR)),
    )


def estimated_error(field: CutField) -> Triple:
    """The same of an estimated one, beside its error in a wide field: x and y share the frame."""
    x, y, _ = given_error(field)
    return x, y, float(np.interp(field.narrower_mm, _CUT_MM, _ESTIMATED_Z_ERROR))
