"""Is a stack of slices axial? The one tolerance that DICOM and NIfTI share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

MAX_TILT_DEGREES = 5.0
"""Beyond this the slices are not those of an axial series; a tilted gantry shears the anatomy."""


def tilt_degrees(directions: Sequence[ArrayLike]) -> float:
    """The largest angle between a direction and the patient axis nearest to it, in degrees.

    ``directions`` are vectors in patient coordinates; their length does not matter.
    """
    largest = 0.0
    for direction in directions:
        vector = np.asarray(direction, dtype=np.float64)
        cosine = float(np.abs(vector).max() / np.linalg.norm(vector))
        largest = max(largest, math.degrees(math.acos(min(cosine, 1.0))))
    return largest
