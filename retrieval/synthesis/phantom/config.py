"""PhantomConfig: what a phantom archive is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.lesion import LesionSearchError, Split

TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15


class PhantomError(LesionSearchError):
    """A phantom archive that cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """What decides every pixel of a phantom archive.

    A patient depends on the seed and the patient's number alone, so archives of the same seed
    agree patient by patient whatever their length.

    Attributes:
        patients: how many.
        seed: of everything random; 0 or greater.
        first_patient: number of the first patient, from 1.
        image_size_px: rows and columns of every slice. A body needs about 350 to 430 mm, so 256
            gives 1.2 to 1.8 mm per pixel and 512 gives DeepLesion's own 0.6 to 0.9.
        half_depth_mm: how far a sub-volume reaches beyond each key slice.
    """

    patients: int
    seed: int
    first_patient: int = 1
    image_size_px: int = 256
    half_depth_mm: float = 10.0

    def __post_init__(self) -> None:
        if self.patients < 1 or self.first_patient < 1 or self.seed < 0:
            raise PhantomError(
                f"phantom archive of {self.patients} patients from number {self.first_patient}, "
                f"seed {self.seed}: at least 1 patient, numbers from 1, seed 0 or greater"
            )
        if not 64 <= self.image_size_px <= 1024 or not 0 < self.half_depth_mm <= 50:
            raise PhantomError(
                f"phantom slices of {self.image_size_px} px to {self.half_depth_mm} mm about a "
                "key slice: 64 to 1024 px and more than 0 to 50 mm are possible"
            )

    @property
    def patient_numbers(self) -> range:
        """The numbers of the archive's patients."""
        return range(self.first_patient, self.first_patient + self.patients)

    def generator(self, patient: int, *purpose: int) -> np.random.Generator:
        """The random generator of one purpose of one patient, independent of all others."""
        return np.random.default_rng([self.seed, patient, *purpose])

    def split(self, patient: int) -> Split:
        """The split of a patient: 70 % train, 15 % validation, 15 % test."""
        draw = self.generator(patient, 90).random()
        if draw < TRAIN_SHARE:
            return Split.TRAIN
        return Split.VALIDATION if draw < TRAIN_SHARE + VALIDATION_SHARE else Split.TEST
