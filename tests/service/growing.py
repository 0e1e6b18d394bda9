"""An index of patients whose lesions were measured several times: for tests of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from retrieval.measured_size import MeasuredSizes, MeasuredValue
from tests.service.samples import ToyEncoder

FIRST_DAY = date(2021, 1, 1)


def growing_record(
    patient: str, study: int, long_mm: float | None, *, days: float | None = None, series: int = 1
) -> LesionRecord:
    """One mark of a patient's only lesion; the vectors of one patient are alike."""
    turn = np.random.default_rng(int(patient)).uniform(0, 0.4)
    vector = np.zeros(ToyEncoder.dimension, np.float32)
    vector[:2] = np.cos(turn + 0.01 * study), np.sin(turn + 0.01 * study)
    study_id = f"{patient}_{study:02d}"
    lesion = Lesion(
        lesion_id=f"{study_id}_{series:02d}_a",
        patient_id=patient,
        study_id=study_id,
        series_id=f"{study_id}_{series:02d}",
        key_slice_index=5,
        box=Box(10, 10, 30, 30),
        long_mm=long_mm,
        short_mm=None if long_mm is None else 0.8 * long_mm,
        location=(0.3, 0.5, 0.5),
        lesion_type=LesionType.LIVER,
        study_date=None if days is None else FIRST_DAY + timedelta(days=days),
    )
    return LesionRecord(lesion, vector, ImageSource("archive", "none.png", (1.0, 1.0), 2.0))


def growing_patient(
    patient: str, sizes_mm: Sequence[float | None], *, every_days: float | None = None
) -> list[LesionRecord]:
    """A patient's lesion over as many studies as there are sizes."""
    return [
        growing_record(
            patient, number + 1, mm, days=None if every_days is None else number * every_days
        )
        for number, mm in enumerate(sizes_mm)
    ]


def measured_sizes(volume_mm3: float) -> MeasuredSizes:
    """Sizes of a followed mask of that volume."""
    one = MeasuredValue(10.0, None, None)
    return MeasuredSizes(one, one, MeasuredValue(volume_mm3, None, None), one, one, "network")


def growing_index(
    folder: Path, patients: int, *, every_days: float | None = None, growth: float = 1.1
) -> LesionIndex:
    """Patients 000001 on, each with one lesion in three studies that grows by about ``growth``."""
    encoder = ToyEncoder()
    binding = EncoderBinding(encoder.fingerprint, encoder.name, encoder.dimension, {})
    index = LesionIndex.create(folder, binding)
    generator = np.random.default_rng(7)
    records: list[LesionRecord] = []
    for number in range(1, patients + 1):
        start = generator.uniform(16, 26)
        noise = np.exp(generator.normal(0, 0.05, 3))
        sizes = [float(start * growth**step * noise[step]) for step in range(3)]
        records += growing_patient(f"{number:06d}", sizes, every_days=every_days)
    index.add(records)
    return index
