"""A lesion of a patient of its own, to be changed in what a test is about."""

from __future__ import annotations

from retrieval.lesion import Box, Lesion, LesionType, Split


def lesion(number: int, **fields: object) -> Lesion:
    base = Lesion(
        lesion_id=f"L{number}",
        patient_id=f"P{number}",
        study_id=f"P{number}_01",
        series_id=f"P{number}_01_01",
        key_slice_index=1,
        box=Box(0, 0, 10, 10),
        long_mm=10.0,
        short_mm=8.0,
        location=(0.5, 0.5, 0.5),
        lesion_type=LesionType.LIVER,
        split=Split.TRAIN,
    )
    return base.with_changes(**fields)
