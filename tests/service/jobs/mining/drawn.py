"""A mark that is to be written into a carrier."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from retrieval.lesion import LesionType, Recist

CORNER = 0.5
"""Pixels from the corner of the first pixel, where most carriers count from, to its centre."""


@dataclass(frozen=True)
class Drawn:
    """A mark to be written: on an image, by its header, in 0-based pixels of it."""

    header: Dataset
    recist: Recist
    name: str = "Lesion 1"
    tracking_uid: str = ""
    lesion_type: LesionType = LesionType.UNKNOWN

    @property
    def spacing_mm_px(self) -> tuple[float, float]:
        y_mm, x_mm = (float(one) for one in self.header.PixelSpacing)
        return x_mm, y_mm

    @property
    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.array(self.recist.points)
        return points[:2], points[2:]


def uid_of(*parts: object) -> str:
    """A UID that follows from names."""
    name = "/".join(str(part) for part in parts)
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"
