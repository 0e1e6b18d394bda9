"""Ranking questions: what counts as found, and every method's per-query scores, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.retrieval.baselines import MethodVectors, Vectors, similarity_block
from retrieval.evaluation.stats.metrics import (
    BoolArray,
    FloatArray,
    IntArray,
    average_precision,
    first_relevant_rank,
    location_errors,
    nearest,
    precision_at_k,
    ranked_relevance,
    recall_at_k,
    reciprocal_rank,
    size_errors,
)
from retrieval.sources.lesion_table import LesionTable

BLOCK = 256
"""Queries ranked at a time: 20 MB of similarities against 10,000 lesions."""

NEIGHBOURS = 5
"""How many nearest lesions the location and size errors average over."""

LOCATION_ERROR = f"location error of {NEIGHBOURS} nearest"
SIZE_ERROR = f"size error of {NEIGHBOURS} nearest, mm"

Relation = Callable[[LesionTable, IntArray, IntArray], tuple[BoolArray, BoolArray]]
"""Rows of queries and gallery to (relevant, excluded), each (queries, gallery)."""


@dataclass(frozen=True)
class RankingTask:
    """Which rows ask, which may be found, and what counts as found."""

    queries: IntArray
    gallery: IntArray
    relation: Relation


@dataclass(frozen=True)
class RankedBlock:
    """Some queries against the whole gallery; matrices are (queries, gallery)."""

    table: LesionTable
    queries: IntArray
    gallery: IntArray
    similarity: FloatArray
    relevant: BoolArray
    excluded: BoolArray

    def nearest_rows(self, k: int) -> IntArray:
        """(queries, k) rows of the table, best first; -1 where there are too few candidates."""
        found = nearest(self.similarity, self.excluded, k)
        return np.where(found < 0, -1, self.gallery[found])


Measure = Callable[[RankedBlock], dict[str, FloatArray]]
"""A block to named scores, each (queries,)."""


def same_type_elsewhere(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Relevant: the same lesion type. Excluded: every lesion of the query's own patient."""
    excluded = _equal(table.patients, queries, gallery)
    return _equal(table.types, queries, gallery) & ~excluded, excluded


def same_patient(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Relevant: any other lesion of the query's patient. Excluded: the query itself."""
    excluded = queries[:, None] == gallery[None, :]
    return _equal(table.patients, queries, gallery) & ~excluded, excluded


def same_lesion_elsewhere(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Relevant: the same lesion track in another study. Excluded: that track in this study."""
    same_track = _equal(table.tracks, queries, gallery) & (table.tracks[gallery] >= 0)
    same_study = _equal(table.studies, queries, gallery)
    return same_track & ~same_study, same_track & same_study


def same_patient_elsewhere(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Relevant: the patient's lesions in other studies. Excluded: the query's whole study.

    A study's lesions share scanner, contrast and field of view, so that within it a method can
    score by recognising the scan instead of the lesion.
    """
    excluded = _equal(table.studies, queries, gallery)
    return _equal(table.patients, queries, gallery) & ~excluded, excluded


def same_lesion_without_study(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Relevant: the same lesion track in another study. Excluded: the query's whole study."""
    relevant, _ = same_lesion_elsewhere(table, queries, gallery)
    return relevant, _equal(table.studies, queries, gallery)


def other_study_task(table: LesionTable) -> RankingTask:
    """Lesions of patients with several studies, among all lesions but those of their study."""
    everyone = np.arange(len(table))
    pairs = np.unique(np.stack([table.patients, table.studies]), axis=1)
    patients, studies = np.unique(pairs[0], return_counts=True)
    queries = everyone[np.isin(table.patients, patients[studies > 1])]
    return RankingTask(queries, everyone, same_patient_elsewhere)


def same_patient_task(table: LesionTable) -> RankingTask:
    """Lesions of patients with at least two, among all lesions."""
    everyone = np.arange(len(table))
    counts = np.bincount(table.patients)
    return RankingTask(everyone[counts[table.patients] > 1], everyone, same_patient)


def same_lesion_task(table: LesionTable) -> RankingTask:
    """Lesions whose track appears in at least two studies, among all lesions."""
    everyone = np.arange(len(table))
    known = everyone[table.tracks >= 0]
    pairs = np.unique(np.stack([table.tracks[known], table.studies[known]]), axis=1)
    tracks, studies = np.unique(pairs[0], return_counts=True)
    queries = known[np.isin(table.tracks[known], tracks[studies > 1])]
    return RankingTask(queries, everyone, same_lesion_elsewhere)


def scores_per_query(
    table: LesionTable, method: MethodVectors, task: RankingTask, measure: Measure
) -> dict[str, FloatArray]:
    """Each of the measure's scores, (queries,), averaged over the method's draws."""
    draws = [[measure(block) for block in blocks(table, vectors, task)] for vectors in method.draws]
    joined = [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in draws
    ]
    return {name: np.mean([scores[name] for scores in joined], axis=0) for name in joined[0]}


def similar_lesion_measure(block: RankedBlock) -> dict[str, FloatArray]:
    """Precision and average precision of the ranking; errors of the NEIGHBOURS nearest."""
    ranked = ranked_relevance(block.similarity, block.relevant, block.excluded)
    rows = block.nearest_rows(NEIGHBOURS)
    missing = rows < 0
    table = block.table
    near_locations = np.where(missing[..., None], np.nan, table.locations[rows])
    near_sizes = np.where(missing, np.nan, table.diameters_mm[rows, 0])
    return {
        "precision@1": precision_at_k(ranked, 1),
        "precision@5": precision_at_k(ranked, 5),
        "precision@10": precision_at_k(ranked, 10),
        "mAP": average_precision(ranked),
        LOCATION_ERROR: location_errors(table.locations[block.queries], near_locations),
        SIZE_ERROR: size_errors(table.diameters_mm[block.queries, 0], near_sizes),
    }


def match_measure(block: RankedBlock) -> dict[str, FloatArray]:
    """How early the first relevant lesion comes."""
    ranks = first_relevant_rank(block.similarity, block.relevant, block.excluded)
    return {"recall@1": recall_at_k(ranks, 1), "MRR": reciprocal_rank(ranks)}


def nearest_rows(table: LesionTable, vectors: Vectors, task: RankingTask, k: int) -> IntArray:
    """(queries, k) rows of the table nearest to each query, best first; -1 where too few."""
    parts = [block.nearest_rows(k) for block in blocks(table, vectors, task)]
    return np.concatenate(parts) if parts else np.empty((0, k), np.int64)


def blocks(table: LesionTable, vectors: Vectors, task: RankingTask) -> Iterator[RankedBlock]:
    """The question's queries, BLOCK at a time, with their similarities and masks."""
    gallery = task.gallery
    for start in range(0, len(task.queries), BLOCK):
        queries = task.queries[start : start + BLOCK]
        relevant, excluded = task.relation(table, queries, gallery)
        similarity = similarity_block(vectors, queries, gallery)
        yield RankedBlock(table, queries, gallery, similarity, relevant, excluded)


def _equal(labels: IntArray, queries: IntArray, gallery: IntArray) -> BoolArray:
    return np.asarray(labels[queries][:, None] == labels[gallery][None, :])
