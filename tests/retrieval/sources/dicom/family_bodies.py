"""The body and the phases that the generated families of series are made of."""

from __future__ import annotations

import numpy as np

from tests.retrieval.sources.volumes.bodies import body as tissues

LENGTHS = (0.7, 0.8, 2.5)
SIZE = (7, 30, 34)


def body(seed: int = 4) -> np.ndarray:
    """(slices, rows, columns) HU on the display grid."""
    return tissues(seed, size=SIZE)


def phase(dicom, seed, shift_mm=0.0, **changes):
    hu = body(seed)
    return [
        dicom.image(2.5 * k + shift_mm, plane, RescaleIntercept=0, InstanceNumber=k + 1, **changes)
        for k, plane in enumerate(hu)
    ]
