"""EmbeddingSpace: an index as arrays, looked at as a whole: neighbours, and where they fail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from index.lesion_index import LesionIndex
from index.reports import Neighbour
from retrieval.evaluation.retrieval.ranking import RankingTask, nearest_rows
from retrieval.evaluation.retrieval.relations import same_type_elsewhere
from retrieval.lesion import Lesion, LesionSearchError, LesionType
from retrieval.sources.lesion_table import LesionTable

Rows = NDArray[np.int64]


class SpaceError(LesionSearchError):
    """Something asked of the embedding space that it cannot answer."""


@dataclass(frozen=True)
class Mistake:
    """A lesion none of whose nearest lesions of other patients has its type."""

    lesion: Lesion
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class EmbeddingSpace:
    """n lesions and their vectors (n, d) of unit norm, row by row."""

    lesions: tuple[Lesion, ...]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, index: LesionIndex) -> Self:
        """Every lesion of an index; raises SpaceError if it holds none."""
        ids, vectors = index.vectors()
        if not ids:
            raise SpaceError(
                f"the index {index.path} is empty: add lesions with `lesion-search index add`"
            )
        known = {record.lesion.lesion_id: record.lesion for record in index.records(ids)}
        kept = [row for row, lesion_id in enumerate(ids) if lesion_id in known]
        return cls(tuple(known[ids[row]] for row in kept), vectors[kept])

    def lesion(self, lesion_id: str) -> Lesion:
        """One lesion; raises SpaceError if the id is unknown."""
        return self.lesions[self._row(lesion_id)]

    def example(self) -> Lesion:
        """A lesion to begin with: of a known type where there is one, and of the median size."""
        known = [one for one in self.lesions if one.lesion_type is not LesionType.UNKNOWN]
        by_size = sorted(known or self.lesions, key=lambda lesion: lesion.long_mm or 0.0)
        return by_size[len(by_size) // 2]

    def neighbours(self, lesion_id: str, *, k: int = 8) -> list[Neighbour]:
        """The ``k`` most similar lesions of other patients, best first."""
        asked = np.array([self._row(lesion_id)])
        everyone = np.arange(len(self.lesions))
        (rows,) = self._nearest(asked, everyone, k)
        return self._as_neighbours(int(asked[0]), rows)

    def mistakes(self, *, k: int = 5, shown: int = 8) -> list[Mistake]:
        """Typed lesions whose ``k`` nearest of other patients all have another type, worst first.

        Worst is the most convinced: the highest mean similarity to those ``k``. Each comes with
        its ``shown`` nearest typed lesions.
        """
        typed = self._table.typed_rows
        found = self._nearest(typed, typed, max(k, shown))
        near = found[:, :k]
        types = self._table.types
        wrong = (types[near] != types[typed][:, None]) & (near >= 0)
        failed = np.flatnonzero(wrong.all(axis=1))
        similarity = np.einsum("qd,qkd->q", self.vectors[typed[failed]], self.vectors[near[failed]])
        order = failed[np.argsort(-similarity, kind="stable")]
        return [
            Mistake(
                self.lesions[typed[place]],
                tuple(self._as_neighbours(int(typed[place]), found[place, :shown])),
            )
            for place in order
        ]

    def neighbour_types(self, *, k: int = 5) -> pd.DataFrame:
        """Lesion types down, the types of their ``k`` nearest of other patients across, as shares.

        The first column counts the lesions; rows sum to one over the others.
        """
        typed = self._table.typed_rows
        near = self._nearest(typed, typed, k)
        own = np.repeat(typed, near.shape[1])
        pairs = pd.DataFrame({"own": own, "near": near.ravel()}).query("near >= 0")
        names = np.array([str(lesion.lesion_type) for lesion in self.lesions])
        shares = pd.crosstab(
            pd.Series(names[pairs["own"]], name="lesion type"),
            pd.Series(names[pairs["near"]], name="type of its neighbours"),
            normalize="index",
        )
        counts = pd.Series(names[typed]).value_counts()
        shares.insert(0, "lesions", counts.reindex(shares.index))
        return shares

    @cached_property
    def _table(self) -> LesionTable:
        return LesionTable.from_lesions(self.lesions, {})

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {lesion.lesion_id: row for row, lesion in enumerate(self.lesions)}

    def _row(self, lesion_id: str) -> int:
        try:
            return self._rows[lesion_id]
        except KeyError:
            raise SpaceError(
                f"lesion {lesion_id!r} is not among the {len(self.lesions)} lesions of this index, "
                f"the first of which is {self.lesions[0].lesion_id!r}"
            ) from None

    def _nearest(self, queries: Rows, gallery: Rows, k: int) -> Rows:
        task = RankingTask(queries, gallery, same_type_elsewhere)
        return nearest_rows(self._table, self.vectors, task, k)

    def _as_neighbours(self, row: int, found: Rows) -> list[Neighbour]:
        return [
            Neighbour(self.lesions[near], float(self.vectors[row] @ self.vectors[near]))
            for near in found
            if near >= 0
        ]
