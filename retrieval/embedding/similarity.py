"""When are two lesions alike? Type, location, size and rated attributes, with explicit thresholds.

Deep Lesion Graphs order a lesion's relatives into a hierarchy (Yan et al., CVPR 2018, section
3.1). ``Relation`` is that hierarchy with one level added on top: the same lesion in another study
or view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion

Rows = NDArray[np.int64]


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


@dataclass(frozen=True)
class LesionTable:
    """The columns that similarity needs, as arrays over n lesions of one or more archives.

    Attributes:
        types: (n,) DeepLesion's codes, -1 unknown.
        locations: (n, 3) in [0, 1], NaN where unknown.
        long_mm: (n,) long diameter, NaN where unknown.
        patients, tracks: (n,) codes; lesions of one track have one code.
        archives: (n,) number of the archive: relations are judged within one archive only, so
            that the look of a source can never stand for a type.
        splits: (n,) DeepLesion's codes.
        attributes: (n, a) in standard deviations of their archive, NaN where unknown.
    """

    types: NDArray[np.int64]
    locations: NDArray[np.float64]
    long_mm: NDArray[np.float64]
    patients: NDArray[np.int64]
    tracks: NDArray[np.int64]
    archives: NDArray[np.int64]
    splits: NDArray[np.int64]
    attributes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.types)

    def with_types(self, types: NDArray[np.int64]) -> LesionTable:
        """The same lesions under other (refined) types."""
        columns = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return LesionTable(**{**columns, "types": types})


@dataclass
class TableBuilder:
    """Collects archives into one LesionTable."""

    _lesions: list[Lesion] = field(default_factory=list)
    _archives: list[int] = field(default_factory=list)
    _track_names: list[tuple[int, str]] = field(default_factory=list)
    _attributes: list[NDArray[np.float64]] = field(default_factory=list)
    _count: int = 0

    def add(
        self,
        lesions: Sequence[Lesion],
        *,
        track_ids: Mapping[str, str],
        attributes: Mapping[str, Mapping[str, float]],
        attribute_names: Sequence[str] = (),
    ) -> None:
        """Appends one archive's lesions; a lesion of no known track is a track of its own."""
        archive = self._count
        self._count += 1
        self._lesions.extend(lesions)
        self._archives.extend([archive] * len(lesions))
        for lesion in lesions:
            name = track_ids.get(lesion.lesion_id, f"lesion {lesion.lesion_id}")
            self._track_names.append((archive, name))
        self._attributes.append(_standardised(lesions, attributes, attribute_names))

    def build(self) -> LesionTable:
        """The table of all archives added so far."""
        lesions = self._lesions
        width = max((block.shape[1] for block in self._attributes), default=0)
        blocks = [
            np.pad(block, ((0, 0), (0, width - block.shape[1])), constant_values=np.nan)
            for block in self._attributes
        ]
        patients = [(a, x.patient_id) for a, x in zip(self._archives, lesions, strict=True)]
        unknown = (np.nan,) * 3
        return LesionTable(
            types=np.array([lesion.lesion_type.code for lesion in lesions], np.int64),
            locations=np.array([x.location or unknown for x in lesions], float).reshape(-1, 3),
            long_mm=np.array([x.long_mm or np.nan for x in lesions], float),
            patients=_codes(patients),
            tracks=_codes(self._track_names),
            archives=np.array(self._archives, np.int64),
            splits=np.array([lesion.split.code for lesion in lesions], np.int64),
            attributes=np.concatenate(blocks) if blocks else np.empty((0, 0)),
        )


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
    level[table.tracks[others] == table.tracks[anchor]] = Relation.SAME
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


def _standardised(
    lesions: Sequence[Lesion],
    attributes: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
) -> NDArray[np.float64]:
    """(n, a) attributes in standard deviations; a constant one says nothing and becomes NaN."""
    values = np.array(
        [[attributes.get(x.lesion_id, {}).get(name, np.nan) for name in names] for x in lesions],
        float,
    ).reshape(len(lesions), len(names))
    for column in values.T:
        known = column[np.isfinite(column)]
        deviation = known.std() if known.size else 0.0
        column[:] = (column - known.mean()) / deviation if deviation > 0 else np.nan
    return values


def _codes(names: Sequence[tuple[int, str]]) -> NDArray[np.int64]:
    numbers: dict[tuple[int, str], int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
