"""The scale of similarities, held against every pair counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.similarity_scale import EMPTY, IndexScale, similarity_scale


def unit(count, dimension=8, seed=0):
    made = np.random.default_rng(seed).normal(size=(count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_the_scale_is_that_of_all_pairs_of_different_patients():
    vectors = unit(30)
    patients = np.array([f"p{place // 3}" for place in range(30)])
    scale = similarity_scale(vectors, patients, generator=np.random.default_rng(0))
    cosines = vectors @ vectors.T
    apart = patients[:, None] != patients[None, :]
    assert scale.lesions == 30
    middle = scale.levels.index(50)
    assert scale.pairs[middle] == pytest.approx(np.median(cosines[apart]), abs=1e-6)
    assert scale.pairs[-1] == pytest.approx(cosines[apart].max(), abs=1e-6)
    nearest = np.where(apart, cosines, -2).max(axis=1)
    assert scale.nearest[0] == pytest.approx(nearest.min(), abs=1e-6)
    assert scale.nearest[scale.levels.index(5)] == pytest.approx(np.percentile(nearest, 5))
    assert list(scale.pairs) == sorted(scale.pairs)


def test_a_sample_says_nearly_the_same():
    vectors = unit(600)
    patients = np.array([f"p{place // 2}" for place in range(600)])
    whole = similarity_scale(vectors, patients, generator=np.random.default_rng(0), sample=600)
    some = similarity_scale(vectors, patients, generator=np.random.default_rng(1), sample=150)
    assert (whole.lesions, some.lesions) == (600, 150)
    assert np.abs(np.array(whole.pairs[5:96]) - some.pairs[5:96]).max() < 0.03


def test_pairs_are_counted_with_some_partners_alone_where_there_are_many(monkeypatch):
    vectors = unit(600)
    patients = np.array([f"p{place // 2}" for place in range(600)])
    whole = similarity_scale(vectors, patients, generator=np.random.default_rng(0))
    monkeypatch.setattr("service.engine.similarity_scale.PARTNERS", 200)
    some = similarity_scale(vectors, patients, generator=np.random.default_rng(0))
    assert some.nearest == whole.nearest
    assert some.pairs[-1] == whole.pairs[-1] == some.nearest[-1]
    assert 0 < np.abs(np.array(whole.pairs[5:96]) - some.pairs[5:96]).max() < 0.03


def test_one_patient_has_no_scale():
    vectors = unit(4)
    same = np.array(["p"] * 4)
    assert similarity_scale(vectors, same, generator=np.random.default_rng(0)) is EMPTY


class FakeIndex:
    generation = 1
    made = 0

    def vectors(self):
        self.made += 1
        return [], np.zeros((0, 4), np.float32)

    def read(self, question):
        return {}


def test_the_scale_is_made_once_a_generation():
    index = FakeIndex()
    scale = IndexScale(index)
    assert scale.current() is scale.current() is EMPTY
    assert index.made == 1
    index.generation = 2
    scale.current()
    assert index.made == 2
