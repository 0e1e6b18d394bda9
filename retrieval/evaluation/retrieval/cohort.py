"""Cohort: the lesions under evaluation as arrays, so that 10,000 of them rank in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from retrieval.evaluation.stats.metrics import FloatArray, IntArray
from retrieval.lesion import Lesion, LesionSearchError, LesionType, Split
from retrieval.sources.archive import Archive


class EvaluationError(LesionSearchError):
    """An archive that holds too little for the score that was asked for."""


@dataclass(frozen=True)
class Cohort:
    """n lesions and their labels, row by row.

    Attributes:
        lesions: the lesions themselves.
        patients, studies: (n,) whole numbers, equal for equal ids; a study belongs to one patient.
        tracks: (n,) whole numbers, equal for the same physical lesion; -1 where unknown.
        types: (n,) DeepLesion's codes 1 to 8; -1 unknown.
        splits: (n,) DeepLesion's codes 1 to 3; -1 none.
        locations: (n, 3) normalised body position; NaN where unknown.
        diameters_mm: (n, 2) long and short RECIST diameter; NaN where unknown.
    """

    lesions: tuple[Lesion, ...]
    patients: IntArray
    studies: IntArray
    tracks: IntArray
    types: IntArray
    splits: IntArray
    locations: FloatArray
    diameters_mm: FloatArray

    @classmethod
    def of(cls, archive: Archive) -> Self:
        """Every lesion of the archive; raises EvaluationError if it holds none."""
        return cls.from_lesions(archive.lesions, archive.track_ids)

    @classmethod
    def from_lesions(cls, lesions: Sequence[Lesion], track_ids: Mapping[str, str]) -> Self:
        """The lesions in their order; raises EvaluationError if there is none."""
        if not lesions:
            raise EvaluationError("the archive holds 0 lesions: nothing can be evaluated")
        unknown = (np.nan, np.nan, np.nan)
        return cls(
            lesions=tuple(lesions),
            patients=_codes([lesion.patient_id for lesion in lesions]),
            studies=_codes([(lesion.patient_id, lesion.study_id) for lesion in lesions]),
            tracks=_codes(
                [
                    None
                    if lesion.lesion_id not in track_ids
                    else (lesion.patient_id, track_ids[lesion.lesion_id])
                    for lesion in lesions
                ]
            ),
            types=np.array([lesion.lesion_type.code for lesion in lesions]),
            splits=np.array([lesion.split.code for lesion in lesions]),
            locations=np.array([lesion.location or unknown for lesion in lesions], np.float64),
            diameters_mm=np.array(
                [(lesion.long_mm, lesion.short_mm) for lesion in lesions], np.float64
            ),
        )

    def __len__(self) -> int:
        return len(self.lesions)

    @property
    def typed_rows(self) -> IntArray:
        """Rows of known type."""
        return np.flatnonzero(self.types != LesionType.UNKNOWN.code)

    def rows_in(self, *splits: Split) -> IntArray:
        """Rows of known type in any of the splits."""
        wanted = [split.code for split in splits]
        typed = self.typed_rows
        return typed[np.isin(self.splits[typed], wanted)]


def _codes(keys: Sequence[object]) -> IntArray:
    """Whole numbers in order of first appearance; -1 for None."""
    numbers: dict[object, int] = {}
    return np.array([-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys])
