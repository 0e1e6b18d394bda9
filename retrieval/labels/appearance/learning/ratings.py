"""Radiologists' ratings of nodules (LIDC-IDRI) as terms: true, false or not said.

Scales run from 1 to 5, calcification to 6. A calcification of 6 is ABSENT: it is the last of a list
of kinds, not the most of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

ABSENT_CALCIFICATION = 6.0

FloatArray = NDArray[np.float64]
Rule = tuple[str, Callable[[FloatArray], NDArray[np.bool_]]]


def _where(values: FloatArray, holds: NDArray[np.bool_]) -> FloatArray:
    return np.where(np.isnan(values), np.nan, holds.astype(np.float64))


RULES: Mapping[str, Rule] = {
    "calcified": ("calcification", lambda v: v < ABSENT_CALCIFICATION - 0.5),
    "ground-glass opacity": ("texture", lambda v: v <= 2.0),
    "part-solid": ("texture", lambda v: (v > 2.0) & (v < 4.5)),
    "solid": ("texture", lambda v: v >= 4.5),
    "indistinct": ("margin", lambda v: v <= 2.5),
    "circumscribed": ("margin", lambda v: v >= 4.5),
    "spiculated": ("spiculation", lambda v: v >= 3.5),
    "lobular": ("lobulation", lambda v: v >= 3.5),
    "oval": ("sphericity", lambda v: (v > 2.0) & (v < 4.0)),
    "round": ("sphericity", lambda v: v >= 4.5),
}
"""Term -> the rating and what of it makes the term true."""


def rated_terms(ratings: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """(lesions,) of 1, 0 or NaN for each term whose rating is among ``ratings``."""
    return {
        term: _where(ratings[name], rule(ratings[name]))
        for term, (name, rule) in RULES.items()
        if name in ratings
    }
