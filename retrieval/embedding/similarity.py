"""When are two lesions alike? Type, location, size and rated attributes, with explicit thresholds.

Deep Lesion Graphs order a lesion's relatives into a hierarchy (Yan et al., CVPR 2018, section
3.1). ``Relation`` is that hierarchy with one level added on top: the same lesion in another study
or view.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.lesion_table import LesionTable, Rows


class Relation(IntEnum):
    """How an other lesion stands to the anchor A; smaller is more alike."""

    SAME = 0
    """The same physical lesion: another study, another slice, or another view."""
    ALIKE = 1
    """B: same type, similar location, size and attributes."""
    OTHER_SIZE = 2
    """C: same type and location, another size or other attributes."""
    OTHER_LOCATION = 3
    """D: same type, another location."""
    OTHER_TYPE = 4
    """E: another type; where the anchor's type is unknown, any other lesion."""
    UNJUDGED = 5
    """Nothing may be said: another archive, another split, or an unknown type beside a known."""


@dataclass(frozen=True, slots=True)
class SimilarityThresholds:
    """What counts as similar.

    Attributes:
        location: largest Euclidean distance of normalised positions; the body's height is 1.
        size_ratio: largest ratio of the long diameters.
        attribute: largest mean absolute difference, in standard deviations of the archive.
    """

    location: float = 0.12
    size_ratio: float = 1.4
    attribute: float = 0.6


def relations(
    table: LesionTable, anchor: int, others: Rows, thresholds: SimilarityThresholds
) -> NDArray[np.int64]:
    """The Relation of each of ``others`` (m rows) to one anchor row, as (m,) codes.

    What is unknown on either side is no evidence of a difference: two lung nodules without a
    location count as similarly placed.
    """
    level = np.where(
        _similar_size(table, anchor, others, thresholds.size_ratio)
        & _similar_attributes(table, anchor, others, thresholds.attribute),
        Relation.ALIKE,
        Relation.OTHER_SIZE,
    )
    distance = np.linalg.norm(table.locations[others] - table.locations[anchor], axis=1)
    level = np.where(distance > thresholds.location, Relation.OTHER_LOCATION, level)
    level = np.where(table.types[others] != table.types[anchor], Relation.OTHER_TYPE, level)
    if table.types[anchor] < 0:
        level[:] = Relation.OTHER_TYPE
    else:
        level[table.types[others] < 0] = Relation.UNJUDGED
    level[table.own_tracks[others] == table.own_tracks[anchor]] = Relation.SAME
    strangers = (table.archives[others] != table.archives[anchor]) | (
        table.splits[others] != table.splits[anchor]
    )
    level[strangers] = Relation.UNJUDGED
    return level.astype(np.int64)


def _similar_size(
    table: LesionTable, anchor: int, others: Rows, size_ratio: float
) -> NDArray[np.bool_]:
    difference = np.abs(np.log(table.long_mm[others]) - np.log(table.long_mm[anchor]))
    return np.asarray(~(difference > np.log(size_ratio)))


def _similar_attributes(
    table: LesionTable, anchor: int, others: Rows, largest: float
) -> NDArray[np.bool_]:
    if table.attributes.shape[1] == 0:
        return np.ones(len(others), bool)
    difference = np.abs(table.attributes[others] - table.attributes[anchor])
    known = np.isfinite(difference)
    total = np.where(known, difference, 0.0).sum(axis=1)
    return np.asarray(total <= largest * known.sum(axis=1))
