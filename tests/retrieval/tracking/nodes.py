"""Lesions with vectors, as tracking takes them."""

from __future__ import annotations

from datetime import date

import numpy as np

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.edges import TrackNode


def node(
    name: str,
    study: str,
    direction: tuple[float, ...],
    *,
    long_mm: float | None = 20.0,
    location: tuple[float, float, float] | None = (0.5, 0.5, 0.5),
    day: date | None = None,
) -> TrackNode:
    lesion = Lesion(
        lesion_id=name,
        patient_id="P1",
        study_id=study,
        series_id="1",
        key_slice_index=10,
        box=Box.around((100.0 + 200 * len(name), 100.0), 30.0),
        long_mm=long_mm,
        short_mm=None if long_mm is None else 0.8 * long_mm,
        location=location,
        lesion_type=LesionType.LIVER,
        study_date=day,
    )
    return TrackNode(lesion, np.array(direction, dtype=np.float32))
