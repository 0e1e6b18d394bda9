"""Neighbours, mistakes and the table of neighbour types against naive loops; their pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from index.lesion_index import LesionIndex
from retrieval.lesion import Box, Lesion, LesionType
from service.engine.query import LesionQuery
from service.engine.search_engine import binding_of
from service.figures.map.pictures import draw_map, draw_neighbours, figure_png, hover_map
from service.figures.map.projection import embedding_map
from service.figures.map.space import EmbeddingSpace, SpaceError
from service.figures.pictures import LesionPictures
from tests.service.samples import ToyEncoder

KINDS = (LesionType.LIVER, LesionType.LUNG, LesionType.UNKNOWN)


@pytest.fixture
def space() -> EmbeddingSpace:
    """Forty lesions of twenty patients: noise about one direction a type."""
    rng = np.random.default_rng(0)
    lesions = []
    vectors = rng.normal(0, 0.7, (40, 8))
    for row in range(40):
        kind = KINDS[row // 2 % 3]
        vectors[row, KINDS.index(kind)] += 1.0
        box = Box(10.0, 10.0, 20.0, 20.0)
        located = (0.5, 0.5, row / 40) if row % 5 else None
        lesions.append(
            Lesion(f"l{row}", f"p{row // 2}", f"s{row}", "1", 1, box, 5.0 + row, 4.0, located, kind)
        )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return EmbeddingSpace(tuple(lesions), vectors.astype(np.float32))


def naive_neighbours(space, row, k, *, typed=False):
    """(similarity, row) of other patients, best first."""
    own = space.lesions[row]
    found = [
        (float(space.vectors[row] @ space.vectors[other]), other)
        for other, lesion in enumerate(space.lesions)
        if lesion.patient_id != own.patient_id
        and not (typed and lesion.lesion_type is LesionType.UNKNOWN)
    ]
    return sorted(found, reverse=True)[:k]


def test_neighbours_equal_a_naive_loop(space):
    for row in (0, 7, 39):
        found = space.neighbours(f"l{row}", k=6)
        naive = naive_neighbours(space, row, 6)
        assert [near.lesion.lesion_id for near in found] == [f"l{other}" for _, other in naive]
        np.testing.assert_allclose(
            [near.similarity for near in found], [value for value, _ in naive], atol=1e-6
        )


def test_mistakes_equal_a_naive_loop_worst_first(space):
    naive = {}
    for row, lesion in enumerate(space.lesions):
        if lesion.lesion_type is LesionType.UNKNOWN:
            continue
        near = naive_neighbours(space, row, 2, typed=True)
        if all(space.lesions[other].lesion_type != lesion.lesion_type for _, other in near):
            naive[lesion.lesion_id] = np.mean([value for value, _ in near])
    found = space.mistakes(k=2, shown=4)
    assert [mistake.lesion.lesion_id for mistake in found] == sorted(
        naive, key=naive.__getitem__, reverse=True
    )
    assert 0 < len(found) < 26
    assert {len(mistake.neighbours) for mistake in found} == {4}


def test_neighbour_types_equal_a_naive_loop(space):
    table = space.neighbour_types(k=3)
    rows = [r for r, one in enumerate(space.lesions) if one.lesion_type is LesionType.LIVER]
    near = [
        space.lesions[other].lesion_type
        for row in rows
        for _, other in naive_neighbours(space, row, 3, typed=True)
    ]
    assert table.loc["liver", "lesions"] == len(rows)
    assert table.loc["liver", "liver"] == pytest.approx(near.count(LesionType.LIVER) / len(near))
    np.testing.assert_allclose(table.drop(columns="lesions").sum(axis=1), 1)
    assert "unknown" not in table.index


def test_without_types_there_are_no_mistakes_and_an_empty_table(space):
    lesions = tuple(one.with_changes(lesion_type=LesionType.UNKNOWN) for one in space.lesions)
    untyped = EmbeddingSpace(lesions, space.vectors)
    assert untyped.mistakes() == []
    assert len(untyped.neighbour_types()) == 0
    assert untyped.example() in lesions


def test_the_example_is_typed_and_of_the_median_size(space):
    sizes = [one.long_mm for one in space.lesions if one.lesion_type is not LesionType.UNKNOWN]
    assert space.example().long_mm == sorted(sizes)[len(sizes) // 2]


def test_an_unknown_lesion_and_an_empty_index_are_refused(space, tmp_path):
    with pytest.raises(SpaceError, match="'nobody' is not among the 40 lesions"):
        space.neighbours("nobody")
    with (
        LesionIndex.create(tmp_path / "empty", binding_of(ToyEncoder())) as index,
        pytest.raises(SpaceError, match="is empty"),
    ):
        EmbeddingSpace.of(index)


def test_a_space_holds_what_the_index_holds(engine):
    space = EmbeddingSpace.of(engine.index)
    assert len(space.lesions) == engine.index.count()
    for row in (0, len(space.lesions) - 1):
        record = engine.index.get(space.lesions[row].lesion_id)
        assert record.lesion == space.lesions[row]
        np.testing.assert_allclose(record.vector, space.vectors[row], atol=1e-6)
    own = space.lesions[0]
    hits = engine.search(LesionQuery(lesion_id=own.lesion_id, k=4)).hits
    near = space.neighbours(own.lesion_id, k=4)
    assert [hit.similarity for hit in hits] == pytest.approx(
        [one.similarity for one in near], abs=1e-5
    )


def test_the_map_shows_every_lesion_three_times(space):
    figure = draw_map(space, embedding_map(space.vectors, seed=0, method="pca"))
    by_type, by_size, by_height = figure.axes[:3]
    for axes in (by_type, by_size, by_height):
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == 40
    labels = {text.get_text() for text in by_type.get_legend().get_texts()}
    assert labels == {"unknown (12)", "liver (14)", "lung (14)"}
    unknown_height, known_height = by_height.collections
    assert (len(unknown_height.get_offsets()), len(known_height.get_offsets())) == (8, 32)


def test_a_map_of_lesions_that_nothing_is_known_of_is_still_drawn(space):
    blank = tuple(
        one.with_changes(long_mm=None, short_mm=None, location=None, lesion_type=KINDS[2])
        for one in space.lesions
    )
    figure = draw_map(
        EmbeddingSpace(blank, space.vectors), embedding_map(space.vectors, seed=0, method="pca")
    )
    picture = cv2.imdecode(np.frombuffer(figure_png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] > 1000


def test_the_hover_map_tells_every_lesion_id(space):
    figure = hover_map(space, embedding_map(space.vectors, seed=0, method="pca"))
    told = {text.split("<br>")[0] for trace in figure.data for text in trace.text}
    assert told == {f"l{row}" for row in range(40)}


def test_neighbours_are_drawn_with_their_similarity(engine):
    space = EmbeddingSpace.of(engine.index)
    lesion = space.lesions[0]
    near = space.neighbours(lesion.lesion_id, k=3)
    figure = draw_neighbours(lesion, near, LesionPictures(engine.index))
    words = " | ".join(text.get_text() for text in figure.texts)
    assert len(figure.axes) == 4
    for one in near:
        assert f"{one.similarity:.3f}" in words
        assert one.lesion.patient_id in words
