"""Maps of clusters keep them apart, equal seeds give equal maps, and a substitute says so."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from service.figures.map.projection import MapError, MapMethod, embedding_map


def two_clusters(count=30, dimension=16):
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.1, (count, dimension))
    vectors[:, 0] += np.where(np.arange(count) % 2, 1.0, -1.0)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def check_apart(points):
    """The clusters' centres lie further apart than either spreads."""
    odd, even = points[1::2], points[::2]
    distance = np.linalg.norm(odd.mean(axis=0) - even.mean(axis=0))
    assert distance > 2 * max(odd.std(), even.std())


def test_pca_equals_the_singular_value_decomposition():
    vectors = two_clusters()
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    found = embedding_map(vectors, seed=0, method="pca")
    assert (found.method, found.note) == (MapMethod.PCA, "")
    np.testing.assert_allclose(np.abs(found.points), np.abs(centred @ axes[:2].T), atol=1e-5)
    check_apart(found.points)


def test_without_umap_the_map_is_pca_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    found = embedding_map(two_clusters(), seed=0)
    assert found.method is MapMethod.PCA
    assert "umap-learn is not installed" in found.note
    check_apart(found.points)


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_few_vectors_are_mapped_by_pca(count):
    found = embedding_map(two_clusters(30)[:count], seed=0)
    assert found.points.shape == (count, 2)
    assert np.isfinite(found.points).all()
    assert found.method is MapMethod.PCA
    assert f"here are {count}" in found.note


@pytest.mark.parametrize("vectors", [np.zeros(4), np.full((3, 2), np.nan)])
def test_what_is_no_table_of_vectors_is_refused(vectors):
    with pytest.raises(MapError, match="finite numbers"):
        embedding_map(vectors, seed=0)


def test_an_unknown_method_is_refused():
    with pytest.raises(MapError, match="one of umap, pca"):
        embedding_map(two_clusters(), seed=0, method="tsne")


@pytest.mark.slow
def test_umap_keeps_clusters_apart_and_repeats_itself():
    """Slow: UMAP is compiled first. The notebook's test draws one UMAP map in every run."""
    vectors = two_clusters(60)
    first, again = (embedding_map(vectors, seed=3) for _ in range(2))
    assert (first.method, first.note) == (MapMethod.UMAP, "")
    np.testing.assert_array_equal(first.points, again.points)
    check_apart(first.points)
