"""Ranking questions: what counts as found, and every method's per-query scores, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.retrieval.baselines import MethodVectors, Vectors, similarity_block
from retrieval.evaluation.retrieval.relations import (
    LabelRelation,
    RelatedPairs,
    same_lesion_elsewhere,
    same_patient,
    same_patient_elsewhere,
)
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
class MatchTask(RankingTask):
    """A task whose relation names few lesions of the gallery for each query."""

    relation: LabelRelation


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


def other_study_task(table: LesionTable) -> MatchTask:
    """Lesions of patients with several studies, among all lesions but those of their study."""
    everyone = np.arange(len(table))
    pairs = np.unique(np.stack([table.patients, table.studies]), axis=1)
    patients, studies = np.unique(pairs[0], return_counts=True)
    queries = everyone[np.isin(table.patients, patients[studies > 1])]
    return MatchTask(queries, everyone, same_patient_elsewhere)


def same_patient_task(table: LesionTable) -> MatchTask:
    """Lesions of patients with at least two, among all lesions."""
    everyone = np.arange(len(table))
    counts = np.bincount(table.patients)
    return MatchTask(everyone[counts[table.patients] > 1], everyone, same_patient)


def same_lesion_task(table: LesionTable) -> MatchTask:
    """Lesions whose track appears in at least two studies, among all lesions."""
    everyone = np.arange(len(table))
    known = everyone[table.tracks >= 0]
    pairs = np.unique(np.stack([table.tracks[known], table.studies[known]]), axis=1)
    tracks, studies = np.unique(pairs[0], return_counts=True)
    queries = known[np.isin(table.tracks[known], tracks[studies > 1])]
    return MatchTask(queries, everyone, same_lesion_elsewhere)


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
    return _of_ranks(first_relevant_rank(block.similarity, block.relevant, block.excluded))


def matches_per_query(
    table: LesionTable, method: MethodVectors, tasks: Sequence[MatchTask]
) -> list[dict[str, FloatArray]]:
    """``scores_per_query`` of several tasks by ``match_measure``; all tasks share one gallery.

    A query's similarities are computed once for all tasks, and no mask is made of them.
    """
    draws = [_first_ranks(table, vectors, tasks) for vectors in method.draws]
    found = []
    for place in range(len(tasks)):
        scores = [_of_ranks(ranks[place]) for ranks in draws]
        found.append({name: np.mean([one[name] for one in scores], axis=0) for name in scores[0]})
    return found


def _of_ranks(ranks: FloatArray) -> dict[str, FloatArray]:
    return {"recall@1": recall_at_k(ranks, 1), "MRR": reciprocal_rank(ranks)}


def _first_ranks(
    table: LesionTable, vectors: Vectors, tasks: Sequence[MatchTask]
) -> list[FloatArray]:
    """For each task the (queries,) rank of the best relevant lesion, as ``first_relevant_rank``."""
    gallery = tasks[0].gallery
    asked = np.unique(np.concatenate([task.queries for task in tasks]))
    unknown = np.flatnonzero(np.isnan(vectors[gallery]).any(axis=1))
    ranks = np.full((len(tasks), len(vectors)), np.nan)
    for start in range(0, len(asked), BLOCK):
        rows = asked[start : start + BLOCK]
        similarity = similarity_block(vectors, rows, gallery)
        similarity[:, unknown] = -np.inf
        similarity[np.isnan(vectors[rows]).any(axis=1)] = -np.inf
        for place, task in enumerate(tasks):
            here = np.flatnonzero(np.isin(rows, task.queries))
            pairs = task.relation.pairs(table, rows[here], gallery)
            ranks[place, rows[here]] = _ranks_of_pairs(similarity, here, pairs)
    return [ranks[place, task.queries] for place, task in enumerate(tasks)]


def _ranks_of_pairs(similarity: FloatArray, here: IntArray, pairs: RelatedPairs) -> FloatArray:
    """(here,) ranks of the best relevant pair; NaN in the similarities is -inf already."""
    values = similarity[here[pairs.query], pairs.found]
    best = np.full(len(here), -np.inf)
    wanted, its_values = pairs.query[pairs.is_relevant], values[pairs.is_relevant]
    np.maximum.at(best, wanted, its_values)
    limit = np.full((len(similarity), 1), np.inf)
    limit[here, 0] = best
    ahead = np.count_nonzero(similarity >= limit, axis=1)[here]
    # Neither another relevant lesion nor an excluded one can stand before the best.
    ahead -= np.bincount(pairs.query[values >= best[pairs.query]], minlength=len(here))
    return np.where(np.bincount(wanted, minlength=len(here)) > 0, ahead + 1.0, np.nan)


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
