"""Tags added to an index, and a reader's corrections, which win and are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from index.errors import UnknownLesionError
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.tags import add_tags, correct_tag
from retrieval.tag import Tag, TagSource, given_tags


@pytest.fixture
def index(tmp_path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        made.add(
            replace(one, lesion=one.lesion.with_changes(tags=given_tags("solid")))
            for one in samples.records(12)
        )
        yield made


def name(samples, number):
    return samples.record(number).lesion.lesion_id


def predicted(term, probability=0.7):
    return Tag(term, probability, TagSource.PREDICTED, "head")


def test_the_stronger_source_stays(index, samples):
    first, second = name(samples, 1), name(samples, 2)
    changed = add_tags(
        index,
        {
            first: [predicted("solid"), predicted("calcified")],
            second: [Tag("solid", 0.0, TagSource.READER)],
            "nobody": [predicted("solid")],
        },
    )
    assert changed == 2
    assert set(index.get(first).lesion.tags) == {Tag("solid"), predicted("calcified")}
    assert index.get(second).lesion.terms == frozenset()
    assert index.count(LesionFilter.parse("tag=solid")) == 11
    assert index.count(LesionFilter.parse("tag=calcified and tag_source=predicted")) == 1
    assert index.verify().sound


def test_a_new_prediction_replaces_the_old_one(index, samples):
    one = name(samples, 3)
    add_tags(index, {one: [predicted("calcified")]})
    add_tags(index, {one: [predicted("spiculated")]}, replacing=[TagSource.PREDICTED])
    assert index.get(one).lesion.terms == {"solid", "spiculated"}
    assert add_tags(index, {one: [predicted("spiculated")]}) == 0


def test_a_readers_word_wins_and_is_kept(index, samples):
    one = name(samples, 4)
    assert correct_tag(index, one, "solid", False).terms == frozenset()
    assert correct_tag(index, one, "calcified", True).terms == {"calcified"}
    add_tags(index, {one: [Tag("solid"), Tag("calcified", 0.0, TagSource.TEXT)]})
    assert index.get(one).lesion.terms == {"calcified"}, "tagging again changes nothing"
    index.add([samples.record(4)])
    held = {tag.term: tag for tag in index.get(one).lesion.tags}
    assert held["solid"] == Tag("solid", 0.0, TagSource.READER), "nor does indexing again"
    assert held["calcified"] == Tag("calcified", 1.0, TagSource.READER)
    assert correct_tag(index, one, "solid", None).terms >= {"calcified"}
    assert "solid" not in {tag.term for tag in index.get(one).lesion.tags}
    assert index.verify().sound


def test_search_goes_on_with_the_same_vectors(index, samples):
    vector = samples.record(5).vector
    before = [hit.lesion.lesion_id for hit in index.search(vector, k=12)]
    add_tags(index, {name(samples, n): [predicted("calcified")] for n in range(12)})
    assert [hit.lesion.lesion_id for hit in index.search(vector, k=12)] == before


def test_an_unknown_lesion(index):
    with pytest.raises(UnknownLesionError):
        correct_tag(index, "nobody", "solid", True)
