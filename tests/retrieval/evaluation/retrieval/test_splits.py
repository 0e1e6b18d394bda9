"""Labels as arrays, and splits that no patient crosses."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.splits import (
    SplitProtocol,
    SplitRows,
    check_patients_apart,
    split_rows,
)
from retrieval.lesion import LesionType, Split
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import ToyArchive, toy_archive, toy_lesion


def test_paper_split_is_by_patient_and_in_quarters():
    table = LesionTable.of(toy_archive(200))
    parts = split_rows(table, SplitProtocol.PAPER, seed=0)
    patients = [
        set(table.patients[rows].tolist())
        for rows in (parts.gallery, parts.validation, parts.queries)
    ]
    shares = [len(part) / 200 for part in patients]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.07)
    assert set.union(*patients) == set(range(200))
    assert len(parts.gallery) + len(parts.validation) + len(parts.queries) == len(table)
    again = split_rows(table, SplitProtocol.PAPER, seed=0)
    other = split_rows(table, SplitProtocol.PAPER, seed=1)
    assert again.queries.tolist() == parts.queries.tolist() != other.queries.tolist()


def test_a_part_of_the_archive_keeps_every_patient_where_he_was():
    archive = toy_archive(60)
    seeds = {archive.lesions[r].patient_id for r in _paper_rows_of(archive).gallery}
    archive.lesions = archive.lesions[len(archive.lesions) // 3 :]
    asked = {archive.lesions[r].patient_id for r in _paper_rows_of(archive).queries}
    assert seeds
    assert asked
    assert not seeds & asked


def _paper_rows_of(archive: ToyArchive) -> SplitRows:
    return split_rows(LesionTable.of(archive), SplitProtocol.PAPER, seed=0)


def test_released_split_asks_with_test_rows():
    table = LesionTable.of(toy_archive(8))
    parts = split_rows(table, SplitProtocol.RELEASED, seed=0)
    assert set(table.splits[parts.queries]) == {Split.TEST.code}
    assert set(table.splits[parts.gallery]) == {Split.VALIDATION.code}


def test_a_patient_on_both_sides_is_refused_by_name():
    archive = toy_archive(4)
    crossing = archive.lesions[0]
    wrong = Split.VALIDATION if crossing.split is Split.TEST else Split.TEST
    archive.lesions = [crossing.with_changes(split=wrong), *archive.lesions[1:]]
    with pytest.raises(EvaluationError, match=f"patient {crossing.patient_id}"):
        split_rows(LesionTable.of(archive), SplitProtocol.RELEASED, seed=0)


def test_check_looks_at_validation_too():
    table = LesionTable.of(toy_archive(4))
    with pytest.raises(EvaluationError, match="both sides"):
        check_patients_apart(table, SplitRows(np.array([0]), np.array([3]), np.array([4])))


def test_a_split_without_queries_names_the_way_out():
    lesions = [toy_lesion(0, patient=1, kind=LesionType.LUNG, split=Split.TRAIN)]
    with pytest.raises(EvaluationError, match=r"0 typed queries.*'all'"):
        split_rows(LesionTable.of(ToyArchive(lesions)), SplitProtocol.RELEASED, seed=0)
