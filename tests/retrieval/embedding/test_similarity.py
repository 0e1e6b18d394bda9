from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.embedding.similarity import Relation, SimilarityThresholds, relations
from retrieval.lesion import Lesion, LesionType, Split
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.embedding.lesions import lesion
from tests.retrieval.evaluation.toy_archive import ToyArchive

THRESHOLDS = SimilarityThresholds()


def table_of(
    lesions: list[Lesion],
    tracks: dict[str, str] | None = None,
    attributes: dict[str, dict[str, float]] | None = None,
) -> LesionTable:
    names = sorted({name for values in (attributes or {}).values() for name in values})
    return LesionTable.of(ToyArchive(lesions, tracks or {}, attributes or {}), names)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Relation.ALIKE),
        ({"long_mm": 13.9}, Relation.ALIKE),
        ({"long_mm": 14.1}, Relation.OTHER_SIZE),
        ({"location": (0.5, 0.5, 0.61)}, Relation.ALIKE),
        ({"location": (0.5, 0.5, 0.63)}, Relation.OTHER_LOCATION),
        ({"long_mm": 50.0, "location": (0.5, 0.5, 0.9)}, Relation.OTHER_LOCATION),
        ({"lesion_type": LesionType.LUNG}, Relation.OTHER_TYPE),
        ({"lesion_type": LesionType.UNKNOWN}, Relation.UNJUDGED),
        ({"split": Split.TEST}, Relation.UNJUDGED),
        ({"location": None}, Relation.ALIKE),
        ({"long_mm": None}, Relation.ALIKE),
    ],
)
def test_one_change_gives_one_relation(changes: dict[str, object], expected: Relation) -> None:
    table = table_of([lesion(0), lesion(1, **changes)])
    assert relations(table, 0, np.array([1]), THRESHOLDS).tolist() == [expected]


def test_the_same_track_is_the_same_lesion_whatever_else_differs() -> None:
    grown = lesion(1, patient_id="P0", long_mm=40.0, location=(0.1, 0.9, 0.9))
    table = table_of([lesion(0), grown], tracks={"L0": "t", "L1": "t"})
    assert relations(table, 0, np.array([1]), THRESHOLDS).tolist() == [Relation.SAME]


def test_other_archives_are_never_judged() -> None:
    table = LesionTable.joined([table_of([lesion(number)]) for number in range(2)])
    assert relations(table, 0, np.array([1]), THRESHOLDS).tolist() == [Relation.UNJUDGED]


def test_an_anchor_of_unknown_type_only_knows_itself_and_others() -> None:
    unknown = lesion(0, lesion_type=LesionType.UNKNOWN)
    table = table_of([unknown, lesion(1), lesion(2, lesion_type=LesionType.UNKNOWN)])
    found = relations(table, 0, np.array([0, 1, 2]), THRESHOLDS)
    assert found.tolist() == [Relation.SAME, Relation.OTHER_TYPE, Relation.OTHER_TYPE]


def test_unlike_ratings_make_other_looks() -> None:
    ratings = {"L0": {"malignancy": 1.0}, "L1": {"malignancy": 1.0}, "L2": {"malignancy": 5.0}}
    table = table_of([lesion(0), lesion(1), lesion(2)], attributes=ratings)
    found = relations(table, 0, np.array([1, 2]), THRESHOLDS)
    assert found.tolist() == [Relation.ALIKE, Relation.OTHER_SIZE]


@given(
    sizes=st.lists(st.floats(3, 90), min_size=2, max_size=8),
    seed=st.integers(0, 2**31),
)
def test_relations_match_a_plain_reading_of_the_rules(sizes: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [LesionType.from_code(int(code)) for code in rng.integers(1, 4, len(sizes))]
    places = rng.random((len(sizes), 3)) * 0.4
    lesions = [
        lesion(n, long_mm=size, lesion_type=kinds[n], location=tuple(places[n]))
        for n, size in enumerate(sizes)
    ]
    found = relations(table_of(lesions), 0, np.arange(len(sizes)), THRESHOLDS)
    for n in range(1, len(sizes)):
        if kinds[n] != kinds[0]:
            expected = Relation.OTHER_TYPE
        elif math.dist(places[n], places[0]) > THRESHOLDS.location:
            expected = Relation.OTHER_LOCATION
        elif max(sizes[n], sizes[0]) / min(sizes[n], sizes[0]) > THRESHOLDS.size_ratio:
            expected = Relation.OTHER_SIZE
        else:
            expected = Relation.ALIKE
        assert found[n] == expected
