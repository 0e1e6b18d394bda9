"""How large a lesion is, with its error: from its diameters, or from its box where it has none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from retrieval.lesion import BOX_PADDING_PX, Box, Lesion

LOG_SHORT_OVER_LONG = -0.346
LOG_SHORT_OVER_LONG_SPREAD = 0.267
"""Mean and standard deviation of ln(short / long) over DeepLesion's rows."""

_BOX_COEFFICIENTS = (0.205, 0.459, 0.496)
_BOX_LEAST_ERROR = 0.08
_BOX_EDGE_ERROR = 0.07
"""Size of a box by its extent, and its error: fitted on DeepLesion's validation rows, measured on
its test rows, with every edge moved by up to a tenth of the box
(``benchmarks/matcher_scatter.py``)."""


@dataclass(frozen=True, slots=True)
class LesionSize:
    """The natural logarithm of a lesion's size in mm, and its standard error.

    The size is the geometric mean of both diameters. An error of 0 is that of measured diameters,
    whose scatter between readers stands in the matcher.
    """

    log_mm: float
    error: float = 0.0


def measured_size(lesion: Lesion) -> LesionSize | None:
    """The size by the lesion's diameters, None where they were never measured.

    Without a short diameter it is taken to be as long, beside the long one, as it usually is.
    """
    long_mm, short_mm = lesion.long_mm, lesion.short_mm
    if long_mm is None or long_mm <= 0:
        return None
    if short_mm is not None and short_mm > 0:
        return LesionSize((math.log(long_mm) + math.log(short_mm)) / 2)
    return LesionSize(math.log(long_mm) + LOG_SHORT_OVER_LONG / 2, LOG_SHORT_OVER_LONG_SPREAD / 2)


def size_of_box(box: Box, spacing_mm_px: tuple[float, float]) -> LesionSize:
    """The size of the lesion in a box that was drawn as DeepLesion's are: its extent and 5 px.

    The error grows with the share of the box that is padding: an edge a little off is much of a
    small lesion.
    """
    extents_px = [max(side - 2 * BOX_PADDING_PX, 1.0) for side in (box.width, box.height)]
    sides_mm = [px * mm for px, mm in zip(extents_px, spacing_mm_px, strict=True)]
    constant, larger, smaller = _BOX_COEFFICIENTS
    log_mm = constant + larger * math.log(max(sides_mm)) + smaller * math.log(min(sides_mm))
    padded = math.sqrt(box.area / (extents_px[0] * extents_px[1]))
    return LesionSize(log_mm, math.hypot(_BOX_LEAST_ERROR, _BOX_EDGE_ERROR * padded))
