"""Everything that is measured in a patch beside the vector: densities, calcium, margin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.appearance import calcium, densities, margin
from retrieval.labels.appearance.outline import LesionOutline
from retrieval.patch import Patch

NAMES = (*densities.NAMES, *calcium.NAMES, *margin.NAMES)
"""What each number is, in order; those of ``densities`` come first."""

COUNT = len(NAMES)


def image_numbers(patches: Sequence[Patch]) -> NDArray[np.float32]:
    """The numbers of patches, (patches, COUNT)."""
    if not patches:
        return np.zeros((0, COUNT), np.float32)
    return np.stack([_of(patch) for patch in patches])


def _of(patch: Patch) -> NDArray[np.float32]:
    outline = LesionOutline.of(patch)
    return np.concatenate(
        [
            densities.densities(patch),
            calcium.calcium(patch, outline),
            margin.margin(patch, outline),
        ]
    )
