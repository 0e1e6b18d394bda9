"""Made-up lesions for the tests of the index."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from index.catalog.reader import EncoderBinding, LesionRecord
from retrieval.lesion import Box, ImageSource, Lesion, LesionType, Split
from retrieval.measured_size import MeasuredSizes, MeasuredValue
from retrieval.tag import Tag, TagSource


class Samples:
    """Lesions numbered from 0; every field follows from the number, unknown values among them."""

    dimension = 16
    said = (
        (1.0, TagSource.GIVEN, None),
        (0.3, TagSource.PREDICTED, "head-1"),
        (1.0, TagSource.TEXT, None),
        (0.5, TagSource.TEXT, None),
        (0.0, TagSource.READER, None),
        (1.0, TagSource.READER, None),
    )
    binding = EncoderBinding("0123abcd", "made-up encoder", dimension, {"size_px": 96})

    def unit_vectors(self, count: int, *, seed: int = 0) -> NDArray[np.float32]:
        drawn = np.random.default_rng(seed).standard_normal((count, self.dimension))
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit.astype(np.float32)

    def record(self, number: int, *, seed: int = 0) -> LesionRecord:
        patient, study = f"{number // 6:06d}", f"{number % 3 + 1:02d}"
        known = number % 7 != 0
        tags = (
            Tag("calcified", *self.said[number % len(self.said)]),
            Tag("a, b"),
            Tag("größer", *self.said[number // 2 % len(self.said)]),
        )
        lesion = Lesion(
            lesion_id=f"{patient}_{study}_01_{number:05d}",
            patient_id=patient,
            study_id=study,
            series_id="01",
            key_slice_index=number % 50,
            box=Box(10.0 + number, 20.5, 40.25 + number, 60.0),
            long_mm=5.0 + number % 40 if known else None,
            short_mm=4.0 + number % 20 if known else None,
            location=((number % 10) / 10, 0.5, (number % 4) / 4) if known else None,
            lesion_type=list(LesionType)[number % len(LesionType)],
            split=list(Split)[number % len(Split)],
            study_date=date(2020, 1 + number % 12, 1) if known else None,
            tags=tuple(tag for n, tag in enumerate(tags) if number >> n & 1),
            category=f"{number % 4}" if number % 5 else None,
            category_confidence=number % 11 / 11 if number % 5 and number % 3 else None,
            measured=self.measured(number) if number % 3 != 2 else None,
            location_error=(0.02, 0.04, number / 1000) if known and number % 5 == 0 else None,
        )
        vector = self.unit_vectors(1, seed=100_000 * seed + number)[0]
        pixel_hash = f"{number // 3:064x}" if number % 4 else None
        source = ImageSource("archive", f"{patient}/{number:03d}.png", (0.8, 0.75), 2.5, pixel_hash)
        return LesionRecord(lesion, vector, source)

    def measured(self, number: int) -> MeasuredSizes:
        volume = MeasuredValue(100.5 * number, (90.0, 110.0 + number), (80.25, 150.0 + number))
        return MeasuredSizes(
            MeasuredValue(6.25 + number % 40, (6.0, 7.0), (5.5, 60.0)),
            MeasuredValue(3.5 + number % 20, None, None),
            volume if number % 2 else None,
            MeasuredValue(-20.5 + number, (-25.0, 0.0), None),
            MeasuredValue(12.0, None, None),
            "network" if number % 4 else "ellipse",
            ("unsure outline", "few pixels")[: number % 3],
            None,
            "0a1b2c3d",
        )

    def records(self, count: int) -> list[LesionRecord]:
        return [self.record(number) for number in range(count)]

    def same(self, first: LesionRecord, second: LesionRecord) -> bool:
        return (
            first.lesion == second.lesion
            and first.source == second.source
            and first.vector.tobytes() == second.vector.tobytes()
        )


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()
