"""LesionTable: the lesions of one or more archives as arrays, so that 10,000 rank in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion, LesionType, Split
from retrieval.sources.archive import Archive

Rows = NDArray[np.int64]
"""Row numbers of a table."""


@dataclass(frozen=True)
class LesionTable:
    """n lesions and their labels, row by row.

    Attributes:
        lesions: the lesions themselves.
        archives: (n,) number of the archive, from 0.
        patients, studies: (n,) whole numbers, equal for equal ids; a study belongs to one patient,
            a patient to one archive.
        tracks: (n,) whole numbers, equal for the same physical lesion; -1 where unknown.
        types: (n,) DeepLesion's codes 1 to 8; -1 unknown.
        splits: (n,) DeepLesion's codes 1 to 3; -1 none.
        locations: (n, 3) normalised body position; NaN where unknown.
        diameters_mm: (n, 2) long and short RECIST diameter; NaN where unknown.
        attributes: (n, a) readers' ratings in standard deviations of their archive; NaN where
            unknown.
    """

    lesions: tuple[Lesion, ...]
    archives: Rows
    patients: Rows
    studies: Rows
    tracks: Rows
    types: NDArray[np.int64]
    splits: NDArray[np.int64]
    locations: NDArray[np.float64]
    diameters_mm: NDArray[np.float64]
    attributes: NDArray[np.float64]

    @classmethod
    def of(cls, archive: Archive, attributes: Sequence[str] = ()) -> Self:
        """Every lesion of the archive, with those of its ratings that are named."""
        return cls.from_lesions(
            archive.lesions, archive.track_ids, _standardised(archive, attributes)
        )

    @classmethod
    def from_lesions(
        cls,
        lesions: Sequence[Lesion],
        track_ids: Mapping[str, str],
        attributes: NDArray[np.float64] | None = None,
    ) -> Self:
        """The lesions in their order, as those of one archive.

        Args:
            lesions: n of them.
            track_ids: lesion id to the id of its track, within its patient.
            attributes: (n, a) ratings; none if left out.
        """
        tracks = [track_ids.get(lesion.lesion_id) for lesion in lesions]
        unknown = (np.nan,) * 3
        return cls(
            lesions=tuple(lesions),
            archives=np.zeros(len(lesions), np.int64),
            patients=_codes([lesion.patient_id for lesion in lesions]),
            studies=_codes([(lesion.patient_id, lesion.study_id) for lesion in lesions]),
            tracks=_codes(
                [
                    None if track is None else (lesion.patient_id, track)
                    for lesion, track in zip(lesions, tracks, strict=True)
                ]
            ),
            types=np.array([lesion.lesion_type.code for lesion in lesions], np.int64),
            splits=np.array([lesion.split.code for lesion in lesions], np.int64),
            locations=np.array([x.location or unknown for x in lesions], float).reshape(-1, 3),
            diameters_mm=np.array([(x.long_mm, x.short_mm) for x in lesions], float).reshape(-1, 2),
            attributes=np.empty((len(lesions), 0)) if attributes is None else attributes,
        )

    @classmethod
    def joined(cls, tables: Sequence[LesionTable]) -> Self:
        """The rows of several tables, whose archives, patients, studies and tracks are kept apart.

        Args:
            tables: at least one. Those of fewer attributes know nothing of the last ones.
        """
        width = max(table.attributes.shape[1] for table in tables)
        return cls(
            lesions=tuple(lesion for table in tables for lesion in table.lesions),
            archives=_apart([table.archives for table in tables]),
            patients=_apart([table.patients for table in tables]),
            studies=_apart([table.studies for table in tables]),
            tracks=_apart([table.tracks for table in tables]),
            types=np.concatenate([table.types for table in tables]),
            splits=np.concatenate([table.splits for table in tables]),
            locations=np.concatenate([table.locations for table in tables]),
            diameters_mm=np.concatenate([table.diameters_mm for table in tables]),
            attributes=np.concatenate(
                [
                    np.pad(
                        table.attributes,
                        ((0, 0), (0, width - table.attributes.shape[1])),
                        constant_values=np.nan,
                    )
                    for table in tables
                ]
            ),
        )

    def __len__(self) -> int:
        return len(self.lesions)

    @cached_property
    def own_tracks(self) -> Rows:
        """(n,) ``tracks``, where a lesion of no known track is a track of its own."""
        free = self.tracks.max(initial=-1) + 1
        return np.where(self.tracks < 0, free + np.arange(len(self)), self.tracks)

    @property
    def long_mm(self) -> NDArray[np.float64]:
        """(n,) long diameters, NaN where unknown."""
        return self.diameters_mm[:, 0]

    @property
    def typed_rows(self) -> Rows:
        """Rows of known type."""
        return np.flatnonzero(self.types != LesionType.UNKNOWN.code)

    def rows_in(self, *splits: Split) -> Rows:
        """Rows of known type in any of the splits."""
        wanted = [split.code for split in splits]
        typed = self.typed_rows
        return typed[np.isin(self.splits[typed], wanted)]


def _codes(keys: Sequence[object]) -> Rows:
    """Whole numbers in order of first appearance; -1 for None."""
    numbers: dict[object, int] = {}
    return np.array(
        [-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys], np.int64
    )


def _apart(columns: Sequence[Rows]) -> Rows:
    """The columns one after another, each raised above the codes before it; -1 stays."""
    joined: list[Rows] = []
    free = 0
    for codes in columns:
        joined.append(np.where(codes < 0, -1, codes + free))
        free += int(codes.max(initial=-1)) + 1
    return np.concatenate(joined)


def _standardised(archive: Archive, names: Sequence[str]) -> NDArray[np.float64]:
    """(n, a) attributes in standard deviations; a constant one says nothing and becomes NaN."""
    lesions, attributes = archive.lesions, archive.attributes
    values = np.array(
        [[attributes.get(x.lesion_id, {}).get(name, np.nan) for name in names] for x in lesions],
        float,
    ).reshape(len(lesions), len(names))
    for column in values.T:
        known = column[np.isfinite(column)]
        deviation = known.std() if known.size else 0.0
        column[:] = (column - known.mean()) / deviation if deviation > 0 else np.nan
    return values
