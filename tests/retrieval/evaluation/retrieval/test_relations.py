"""Relations as lists of pairs, held against the masks of the same relations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrieval.evaluation.retrieval import relations
from retrieval.evaluation.retrieval.baselines import MethodVectors
from retrieval.evaluation.retrieval.ranking import (
    match_measure,
    matches_per_query,
    other_study_task,
    same_lesion_task,
    same_patient_task,
    scores_per_query,
)
from retrieval.lesion import LesionType
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import ToyArchive, toy_lesion

RELATIONS = [
    relations.same_type_elsewhere,
    relations.same_patient,
    relations.same_lesion_elsewhere,
    relations.same_patient_elsewhere,
    relations.same_lesion_without_study,
]


@pytest.fixture(scope="module")
def table() -> LesionTable:
    """600 lesions of 90 patients in up to three studies, some of a track, some of a type."""
    rng = np.random.default_rng(3)
    kinds = [LesionType.LUNG, LesionType.LIVER, LesionType.UNKNOWN]
    lesions = [
        toy_lesion(
            number,
            patient=int(rng.integers(90)),
            study=int(rng.integers(3)),
            kind=kinds[int(rng.integers(3))],
        )
        for number in range(600)
    ]
    tracks = {x.lesion_id: f"t{rng.integers(3)}" for x in lesions if rng.random() < 0.6}
    return LesionTable.of(ToyArchive(lesions, tracks))


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_pairs_are_those_of_the_masks(table, relation):
    rng = np.random.default_rng(4)
    queries, gallery = rng.permutation(600)[:70], rng.permutation(600)[:400]
    relevant, excluded = relation(table, queries, gallery)
    assert relevant.any()
    assert excluded.any()
    assert not (relevant & excluded).any()
    pairs = relation.pairs(table, queries, gallery)
    found = np.zeros((2, 70, 400), int)
    np.add.at(found, (np.where(pairs.is_relevant, 0, 1), pairs.query, pairs.found), 1)
    np.testing.assert_array_equal(found[0], relevant)
    np.testing.assert_array_equal(found[1], excluded)


def test_unknown_tracks_are_not_one_lesion(table):
    unknown = np.flatnonzero(table.tracks < 0)
    relevant, excluded = relations.same_lesion_elsewhere(table, unknown, unknown)
    assert not relevant.any()
    assert not excluded.any()


def test_matches_of_several_tasks_are_those_of_each_by_masks(table):
    # Whole numbers, so that ties are common; some lesions are unknown to the method.
    vectors = np.random.default_rng(5).integers(0, 4, (600, 2)).astype(float)
    vectors[::7] = np.nan
    lesion_task = same_lesion_task(table)
    tasks = [
        same_patient_task(table),
        other_study_task(table),
        lesion_task,
        replace(lesion_task, relation=relations.same_lesion_without_study),
    ]
    method = MethodVectors("toy", (vectors, vectors[:, :1]))
    together = matches_per_query(table, method, tasks)
    for task, found in zip(tasks, together, strict=True):
        assert len(task.queries) > 100
        alone = scores_per_query(table, method, task, match_measure)
        assert found.keys() == alone.keys()
        for name, values in found.items():
            np.testing.assert_array_equal(values, alone[name])
