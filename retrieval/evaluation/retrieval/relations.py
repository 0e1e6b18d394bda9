"""Which lesions count as found for a query, and which may not be found, said by labels.

A relation is a pair of columns of the table: lesions that share the first one's label with the
query are relevant, those that share the second's are excluded. As masks a relation is as large as
queries times gallery. As lists of pairs it is as small as the groups: a patient has a few lesions
where an archive has 30,000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.stats.metrics import BoolArray, IntArray
from retrieval.sources.lesion_table import LesionTable

Column = Callable[[LesionTable], IntArray]
"""The label of each of n lesions, (n,); a negative one is unknown and equals nothing."""


@dataclass(frozen=True)
class RelatedPairs:
    """What a relation says of some queries, pair by pair.

    Attributes:
        query, found: (pairs,) places among the queries and in the gallery.
        is_relevant: (pairs,) whether the pair counts as found; otherwise it is excluded.
    """

    query: IntArray
    found: IntArray
    is_relevant: BoolArray


@dataclass(frozen=True)
class LabelRelation:
    """Relevant: the same label ``wanted``, unless excluded. Excluded: the same label ``apart``."""

    wanted: Column
    apart: Column

    def __call__(
        self, table: LesionTable, queries: IntArray, gallery: IntArray
    ) -> tuple[BoolArray, BoolArray]:
        """Masks (relevant, excluded), each (queries, gallery)."""
        excluded = _equal(self.apart(table), queries, gallery)
        return _equal(self.wanted(table), queries, gallery) & ~excluded, excluded

    def pairs(self, table: LesionTable, queries: IntArray, gallery: IntArray) -> RelatedPairs:
        """The same as lists."""
        wanted, apart = self.wanted(table), self.apart(table)
        query, found = _same(wanted[queries], wanted[gallery])
        own = apart[queries[query]]
        is_relevant = (own != apart[gallery[found]]) | (own < 0)
        no_query, not_found = _same(apart[queries], apart[gallery])
        return RelatedPairs(
            np.concatenate([query[is_relevant], no_query]),
            np.concatenate([found[is_relevant], not_found]),
            np.arange(int(is_relevant.sum()) + len(no_query)) < int(is_relevant.sum()),
        )


def _types(table: LesionTable) -> IntArray:
    return table.types


def _patients(table: LesionTable) -> IntArray:
    return table.patients


def _studies(table: LesionTable) -> IntArray:
    return table.studies


def _tracks(table: LesionTable) -> IntArray:
    return table.tracks


def _lesions(table: LesionTable) -> IntArray:
    return np.arange(len(table))


def _tracks_in_study(table: LesionTable) -> IntArray:
    width = int(table.studies.max(initial=0)) + 1
    return np.where(table.tracks < 0, -1, table.tracks * width + table.studies)


same_type_elsewhere = LabelRelation(_types, _patients)
"""Relevant: the same lesion type. Excluded: every lesion of the query's own patient."""

same_patient = LabelRelation(_patients, _lesions)
"""Relevant: any other lesion of the query's patient. Excluded: the query itself."""

same_lesion_elsewhere = LabelRelation(_tracks, _tracks_in_study)
"""Relevant: the same lesion track in another study. Excluded: that track in this study."""

same_patient_elsewhere = LabelRelation(_patients, _studies)
"""Relevant: the patient's lesions in other studies. Excluded: the query's whole study.

A study's lesions share scanner, contrast and field of view, so that within it a method can score
by recognising the scan instead of the lesion.
"""

same_lesion_without_study = LabelRelation(_tracks, _studies)
"""Relevant: the same lesion track in another study. Excluded: the query's whole study."""


def _equal(labels: NDArray[np.int64], queries: IntArray, gallery: IntArray) -> BoolArray:
    asked = labels[queries][:, None]
    return np.asarray((asked == labels[gallery][None, :]) & (asked >= 0))


def _same(asked: IntArray, held: IntArray) -> tuple[IntArray, IntArray]:
    """Places (pairs,) in ``asked`` and in ``held`` of equal labels that are known."""
    order = np.argsort(held, kind="stable")
    first = np.searchsorted(held, asked, sorter=order)
    counts = np.searchsorted(held, asked, side="right", sorter=order) - first
    counts[asked < 0] = 0
    query = np.repeat(np.arange(len(asked)), counts)
    within = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    return query, order[first[query] + within]
