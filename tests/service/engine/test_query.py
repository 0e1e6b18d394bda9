"""LesionQuery: parsed once, from text or numbers, and never two ways to one lesion."""

from __future__ import annotations

from datetime import date

import pytest

from index.errors import FilterError
from index.filters.lesion_filter import LesionFilter
from retrieval.lesion import Box, LesionError, Recist
from service.engine.query import ImageChoice, LesionQuery, QueryError


def test_text_becomes_the_frozen_types():
    query = LesionQuery.parse(
        box="1,2,30,40.5",
        patient_id="000005",
        study_id="000005_03",
        k=4,
        where="type=liver and long_mm=10..30",
        key_slice_index=83,
        spacing="0.8,0.8,5",
    )
    assert query.box == Box(1, 2, 30, 40.5)
    assert (query.patient_id, query.study_id, query.k) == ("000005", "000005_03", 4)
    assert query.where == LesionFilter.parse("type=liver and long_mm=10..30")
    assert query.image == ImageChoice(83, (0.8, 0.8, 5.0))
    assert query.is_marked
    with pytest.raises(AttributeError):
        query.k = 5


def test_numbers_say_the_same_as_their_text():
    edges = [0.1, 1 / 3, 30.25, 41.0]
    assert LesionQuery.parse(box=edges).box == Box(*edges)
    assert LesionQuery.parse(box=edges) == LesionQuery.parse(box=",".join(map(repr, edges)))
    ends = [1.0, 5.0, 9.0, 5.0, 5.0, 2.0, 5.0, 8.0]
    assert LesionQuery.parse(recist=ends).recist == Recist.from_numbers(ends)
    assert LesionQuery.parse(point=[3, 4]).point == LesionQuery.parse(point="3,4").point
    assert LesionQuery.parse(vector="[1, 2.5]").vector == (1.0, 2.5)
    assert LesionQuery.parse(vector=(1.0, 2.5)).vector == (1.0, 2.5)


def test_a_query_of_nothing_asks_the_detector_about_the_middle_slice():
    nothing = LesionQuery.parse(box=None, recist=None, where=None)
    assert nothing == LesionQuery()
    assert not nothing.is_marked
    assert not LesionQuery(point=(1, 2)).is_marked
    assert LesionQuery(recist=Recist.from_numbers([1, 5, 9, 5, 5, 2, 5, 8])).is_marked


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"box": "1,2,3"}, LesionError, "3 numbers"),
        ({"box": [1, 2, 3]}, LesionError, "3 numbers"),
        ({"box": "9,9,1,1"}, LesionError, "inverted"),
        ({"recist": "1,2"}, LesionError, "RECIST mark"),
        ({"point": "1"}, LesionError, "write x,y"),
        ({"vector": "a,b"}, LesionError, "not numbers"),
        ({"spacing": "1,1"}, LesionError, "interval in mm"),
        ({"where": "tipe=liver"}, FilterError, "tipe"),
        ({"k": 0}, QueryError, "at least 1"),
        ({"box": "1,1,9,9", "recist": "1,5,9,5,5,2,5,8"}, QueryError, "one of them"),
        ({"box": "1,1,9,9", "point": "3,3"}, QueryError, "one of"),
        ({"recist": "1,5,9,5,5,2,5,8", "candidate": 1}, QueryError, "one of"),
        ({"point": "3,3", "candidate": 1}, QueryError, "one of"),
        ({"lesion_id": "a", "vector": "1,2"}, QueryError, "one of them"),
    ],
)
def test_what_makes_no_query_is_refused_in_words(fields, error, words):
    with pytest.raises(error, match=words):
        LesionQuery.parse(**fields)


def test_an_image_is_needed_where_neither_a_lesion_nor_a_vector_is_named(engine):
    with pytest.raises(QueryError, match="no image"):
        engine.search(LesionQuery(Box(1, 1, 9, 9)))


def test_the_day_of_the_querys_study():
    assert LesionQuery.parse(study_date="2024-05-17").study_date == date(2024, 5, 17)
    assert LesionQuery.parse(study_date=date(2024, 5, 17)).study_date == date(2024, 5, 17)
    with pytest.raises(QueryError, match=r"'17\.05\.2024' is none: write 2024-05-17"):
        LesionQuery.parse(study_date="17.05.2024")
