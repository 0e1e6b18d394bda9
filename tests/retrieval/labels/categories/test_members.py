"""Features, names, the tree and the file of categories."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.labels.categories.features import (
    CategoryError,
    FeatureSpace,
    FeatureWeights,
    by_track,
)
from retrieval.labels.categories.file import CategoryFile, Membership, means_of
from retrieval.labels.categories.hierarchy import category_tree, leaf_order
from retrieval.labels.categories.naming import UNNAMED, name_categories
from retrieval.labels.categories.rounds import Round
from retrieval.lesion import Box, Lesion, LesionType, Tag


def lesion(number, *, patient=None, kind=LesionType.UNKNOWN, **more):
    return Lesion(
        lesion_id=f"lesion {number}",
        patient_id=f"patient {number if patient is None else patient}",
        study_id="s",
        series_id="1",
        key_slice_index=0,
        box=Box(1, 1, 9, 9),
        lesion_type=kind,
        **more,
    )


def test_every_part_is_scaled_by_its_own_spread():
    generator = np.random.default_rng(0)
    lesions = [
        lesion(n, location=tuple(generator.uniform(0, 1, 3)), long_mm=float(5 + n))
        for n in range(50)
    ]
    vectors = generator.normal(0, 0.1, (50, 8))
    rows = FeatureSpace.fit(lesions, vectors, FeatureWeights(2.0, 3.0)).rows(lesions, vectors)
    blocks = rows[:, :8], rows[:, 8:11], rows[:, 11:]
    lengths = [float(np.sqrt((block**2).sum(axis=1).mean())) for block in blocks]
    assert lengths == pytest.approx([1.0, 2.0, 3.0])
    assert rows.mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-9)


def test_an_estimate_counts_by_its_reliability_and_the_unknown_says_nothing():
    places = [lesion(n, location=(0.5, 0.5, z)) for n, z in enumerate((0.2, 0.4, 0.6, 0.8))]
    vectors = np.eye(4)
    space = FeatureSpace.fit(places, vectors, FeatureWeights(1.0))
    variance = np.var([0.2, 0.4, 0.6, 0.8])
    error = float(np.sqrt(3 * variance))
    estimated = lesion(9, location=(0.5, 0.5, 0.8), location_error=(0.1, 0.1, error))
    unknown = lesion(10)
    rows = space.rows([places[3], estimated, unknown], vectors[:3])
    assert rows[1, 6] == pytest.approx(rows[0, 6] / 4)
    assert rows[2, 4:].tolist() == [0.0] * 4


def test_lesions_of_a_track_are_one_row():
    lesions = [lesion(0, patient=1), lesion(1, patient=1), lesion(2, patient=2), lesion(3)]
    tracks = {"lesion 0": "a", "lesion 1": "a", "lesion 2": "a"}
    rows = by_track(lesions, np.array([[0.0], [2.0], [5.0], [7.0]]), tracks)
    assert sorted(rows.features[:, 0]) == [1.0, 5.0, 7.0]
    assert rows.track[0] == rows.track[1] != rows.track[2]
    assert len(set(rows.patients)) == 3


def test_names_are_earned():
    kinds = [LesionType.LIVER] * 6 + [LesionType.LUNG] * 4 + [LesionType.LIVER] * 4
    lesions = [lesion(n, kind=kind) for n, kind in enumerate(kinds)]
    labels = np.array([0] * 6 + [1] * 4 + [2] * 4)
    first, second, third = name_categories(lesions, labels, 3)
    assert (first.name, first.share, first.tracks) == ("liver", 1.0, 6)
    assert second.name == UNNAMED  # four typed tracks are too few
    assert third.name == UNNAMED
    one_patient = [lesion(n, patient=0, kind=LesionType.BONE) for n in range(9)]
    assert name_categories(one_patient, np.zeros(9, int), 1)[0].name == UNNAMED


def test_two_of_one_type_are_told_apart_by_tags_or_by_number():
    tags = [("calcified",)] * 6 + [("cystic",)] * 5
    lesions = [
        lesion(n, kind=LesionType.LIVER, tags=tuple(Tag(term) for term in terms))
        for n, terms in enumerate(tags)
    ]
    labels = np.array([0] * 6 + [1] * 5)
    assert [one.name for one in name_categories(lesions, labels, 2)] == [
        "liver, calcified",
        "liver, cystic",
    ]
    bare = [lesion(n, kind=LesionType.LIVER) for n in range(11)]
    names = [one.name for one in name_categories(bare, 1 - labels, 2)]
    assert names == ["liver 2", "liver 1"]


def test_what_is_confused_stands_close_in_the_tree():
    confusion = np.array(
        [[0.6, 0.3, 0.1, 0], [0.3, 0.6, 0, 0.1], [0, 0, 0.9, 0.1], [0, 0, 0.1, 0.9]]
    )
    joins = category_tree(confusion, ["a", "b", "c", "d"])
    assert {joins[0].left, joins[0].right} == {"a", "b"}
    assert joins[0].distance == pytest.approx(0.7)
    assert {joins[1].left, joins[1].right} == {"c", "d"}
    order = "".join(leaf_order(joins, ["a", "b", "c", "d"]))
    assert set(order) == set("abcd")
    assert "ab" in order or "ba" in order
    assert category_tree(np.ones((1, 1)), ["a"]) == ()


@pytest.fixture
def written(tmp_path):
    lesions = [lesion(n, kind=LesionType.BONE) for n in range(8)]
    vectors = np.repeat(np.eye(2), 4, axis=0)
    labels = np.repeat([0, 1], 4)
    space = FeatureSpace.fit(lesions, vectors, FeatureWeights())
    names = name_categories(lesions, labels, 2)
    file = CategoryFile(
        encoder="abc",
        names={"category 1": names[0], "category 2": names[1]},
        members={"lesion 0": Membership("category 1", 0.875)},
        centres=means_of(space.rows(lesions, vectors), labels, 2),
        space=space,
        tree=category_tree(np.eye(2), ["category 1", "category 2"]),
        rounds=(Round(1, 0.5, 0.75),),
        settled=False,
        strengths={2: 0.9},
        seed=3,
    )
    file.write(tmp_path / "categories.json")
    return file, tmp_path / "categories.json"


def test_the_file_comes_back_as_it_was(written):
    file, path = written
    read = CategoryFile.read(path)
    assert read.to_json() == file.to_json()
    assert read.assign([lesion(20)], np.array([[0.1, 0.9]]), "abc") == ["category 2"]


def test_vectors_of_another_encoder_are_refused(written):
    with pytest.raises(CategoryError, match="found with the encoder abc, the vectors are of xyz"):
        written[0].assign([lesion(20)], np.eye(2)[:1], "xyz")
    with pytest.raises(CategoryError, match="vectors have 3 numbers"):
        written[0].assign([lesion(20)], np.ones((1, 3)), "abc")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "encoder": "a"}'])
def test_what_is_no_such_file_is_told(tmp_path, text):
    path = tmp_path / "categories.json"
    path.write_text(text)
    with pytest.raises(CategoryError, match=r"categories\.json"):
        CategoryFile.read(path)
