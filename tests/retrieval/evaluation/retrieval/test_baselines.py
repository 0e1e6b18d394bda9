"""Vectors without learning, and the similarities made of them."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.retrieval.baselines import RawPixels, metadata_baselines, similarity_block
from retrieval.evaluation.retrieval.pixels import cut_patches
from retrieval.lesion import LesionType
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import SPEC, ToyArchive, toy_archive, toy_lesion


@pytest.mark.parametrize("width", [1, 3, 40])
def test_similarity_is_the_negative_squared_distance(width):
    rng = np.random.default_rng(width)
    vectors = rng.standard_normal((9, width)).astype(np.float32)
    queries, gallery = np.array([2, 0]), np.array([1, 2, 8])
    found = similarity_block(vectors, queries, gallery)
    naive = [[-((vectors[q] - vectors[g]) ** 2).sum() for g in gallery] for q in queries]
    np.testing.assert_allclose(found, naive, atol=1e-5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = 1 + similarity_block(unit, queries, gallery) / 2
    np.testing.assert_allclose(cosine, unit[queries] @ unit[gallery].T, atol=1e-6)


def test_baselines_read_the_table_alone():
    table = LesionTable.of(toy_archive(5, with_images=False))
    baselines = {
        baseline.name: baseline for baseline in metadata_baselines(table, np.random.default_rng(0))
    }
    assert list(baselines) == [
        "random",
        "height z only",
        "location only",
        "size only",
        "location and size",
    ]
    np.testing.assert_array_equal(baselines["location only"].draws[0], table.locations)
    np.testing.assert_allclose(baselines["size only"].draws[0], np.log(table.diameters_mm))
    both = baselines["location and size"].draws[0]
    spread = both.std(axis=0)
    np.testing.assert_allclose(spread[[0, 2, 3]], 1.0)
    assert len(baselines["random"].draws) == 100


def test_a_baseline_without_numbers_is_left_out_and_a_gap_is_not_a_zero():
    lesions = [
        toy_lesion(0, patient=1, kind=LesionType.LUNG, location=None),
        toy_lesion(1, patient=2, kind=LesionType.LUNG, location=None, long_mm=None),
    ]
    baselines = metadata_baselines(LesionTable.of(ToyArchive(lesions)), np.random.default_rng(0))
    assert [baseline.name for baseline in baselines] == ["random", "size only"]
    assert np.isnan(baselines[1].draws[0][1]).any()


def test_random_baseline_scores_what_chance_says():
    from retrieval.evaluation.retrieval.ranking import (
        match_measure,
        same_patient_task,
        scores_per_query,
    )

    table = LesionTable.of(toy_archive(12))
    random = metadata_baselines(table, np.random.default_rng(0))[0]
    found = scores_per_query(table, random, same_patient_task(table), match_measure)
    assert found["recall@1"].mean() == pytest.approx(2 / 35, abs=0.02)


def test_raw_pixels_are_means_of_two_by_two_windowed_pixels():
    archive = toy_archive(2)
    patches = cut_patches(archive, archive.lesions, SPEC)
    described = RawPixels(SPEC).describe(patches)
    low, high = SPEC.windows[0]
    grey = ((patches[3].hu[1] - low) / (high - low)).clip(0, 1)
    naive = [grey[y : y + 2, x : x + 2].mean() for y in range(0, 16, 2) for x in range(0, 16, 2)]
    np.testing.assert_allclose(described[3], naive, rtol=1e-5)
