"""Rated lung nodules of an archive as arrays, each with its next slice where there is one.

Ratings are the archive's ``attributes`` of a lesion: ``malignancy``, ``texture``, ``spiculation``
(1 to 5) and ``diameter_mm``. A lesion with the attribute ``next_slice`` = 1 is its track's nodule
once more, on the neighbouring slice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.stats.metrics import FloatArray, IntArray
from retrieval.lesion import Lesion, Split
from retrieval.sources.archive import Archive
from retrieval.sources.lesion_table import LesionTable

RATINGS = ("malignancy", "texture", "spiculation")


@dataclass(frozen=True)
class Nodules:
    """Rated nodules, one row each, and behind them the next slices of some.

    Attributes:
        table: n nodules on their key slices.
        ratings: name to (n,) ratings, NaN where unknown.
        diameters_mm: (n,).
        next_slices: lesions on the neighbouring slice.
        next_slice_of: row of the nodule that each of them belongs to.
    """

    table: LesionTable
    ratings: dict[str, FloatArray]
    diameters_mm: FloatArray
    next_slices: tuple[Lesion, ...]
    next_slice_of: IntArray


def rated_nodules(archive: Archive, splits: Sequence[Split]) -> Nodules:
    """The archive's rated nodules in the splits (in all, if none is named).

    Raises:
        EvaluationError: no lesion there has a malignancy rating.
    """
    attributes = archive.attributes
    rated = [
        lesion
        for lesion in archive.lesions
        if "malignancy" in attributes.get(lesion.lesion_id, {})
        and (not splits or lesion.split in splits)
    ]
    keys: list[Lesion] = []
    following: list[Lesion] = []
    for lesion in rated:
        is_next = attributes[lesion.lesion_id].get("next_slice", 0.0) == 1
        (following if is_next else keys).append(lesion)
    if not keys:
        raise EvaluationError(
            f"none of the {len(archive.lesions)} lesions has the attribute 'malignancy' and stands "
            f"in the splits {[split.value for split in splits] or 'all'}: nodules need an archive "
            "with radiologists' ratings"
        )
    table = LesionTable.from_lesions(keys, archive.track_ids)
    rows = {
        archive.track_ids[lesion.lesion_id]: row
        for row, lesion in enumerate(keys)
        if lesion.lesion_id in archive.track_ids
    }
    paired = [lesion for lesion in following if archive.track_ids.get(lesion.lesion_id, "") in rows]
    named = [attributes[lesion.lesion_id] for lesion in keys]
    diameters = np.array([row.get("diameter_mm", math.nan) for row in named])
    return Nodules(
        table,
        {name: np.array([row.get(name, math.nan) for row in named]) for name in RATINGS},
        np.where(np.isnan(diameters), table.diameters_mm[:, 0], diameters),
        tuple(paired),
        np.array([rows[archive.track_ids[lesion.lesion_id]] for lesion in paired], np.int64),
    )
