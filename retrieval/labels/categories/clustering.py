"""Clusters: the first ones, those of a round, and the rule that chooses their number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.neighbors import NearestNeighbors

from retrieval.labels.categories.features import CategoryError, FloatArray, IntArray

SMALLEST_SHARE = 0.25
"""A cluster holds at least this share of what equal clusters would hold."""

STARTS = 8
MOST_DISSOLVED = 10
NEIGHBOURS = 20
MOST_IN_GRAPH = 5_000
STRENGTH = 0.8
"""Prediction strength at which a number of clusters is still supported (Tibshirani and Walther)."""

SPLITS = 4


@dataclass(frozen=True)
class Clusters:
    """k clusters of n rows.

    Attributes:
        labels: (n,) cluster of each row.
        centres: (k, d) means.
    """

    labels: IntArray
    centres: FloatArray


def balanced_kmeans(features: FloatArray, count: int, generator: Generator) -> Clusters:
    """k-means of (n, d) rows in which no cluster is nearly empty.

    A cluster under ``SMALLEST_SHARE`` of an equal share is dissolved and begun again where the
    largest scatter is: the outer half of the cluster with the largest squared error. Its rows found
    no cluster again; they join the nearest. After ``MOST_DISSOLVED`` such changes the partition
    stands. An equal share for all (Asano et al. 2020) would tear common categories apart.

    Raises:
        CategoryError: fewer distinct rows than clusters.
    """
    _check_distinct(features, count)
    seed = int(generator.integers(2**31))
    centres = KMeans(count, n_init=STARTS, random_state=seed).fit(features).cluster_centers_
    kept = np.ones(len(features), bool)
    for _ in range(MOST_DISSOLVED):
        labels, distances = nearest_centres(features, centres)
        held = np.bincount(labels, minlength=count)
        small = int(held.argmin())
        kept &= labels != small
        scatter = np.bincount(labels, kept * distances**2, minlength=count)
        wide = kept & (labels == int(scatter.argmax()))
        if held[small] >= SMALLEST_SHARE * len(features) / count or wide.sum() < 2 * count:
            break
        centres = centres.copy()
        centres[small] = features[wide & (distances >= np.median(distances[wide]))].mean(axis=0)
        centres = KMeans(count, init=centres, n_init=1).fit(features[kept]).cluster_centers_
    labels, _ = nearest_centres(features, centres)
    return Clusters(labels, np.asarray(centres, np.float64))


def graph_clusters(features: FloatArray, count: int, generator: Generator) -> IntArray:
    """(n,) clusters of a graph that joins each row with its ``NEIGHBOURS`` nearest.

    Spectral clustering (Ng, Jordan and Weiss 2001): it follows which lesions are near each other,
    where k-means cuts round pieces, and hardly depends on its start. More than ``MOST_IN_GRAPH``
    rows are drawn at random for the graph; the others join their nearest row's cluster.

    Raises:
        CategoryError: fewer distinct rows than clusters.
    """
    _check_distinct(features, count)
    drawn = generator.permutation(len(features))[:MOST_IN_GRAPH]
    rows = features[drawn]
    model = SpectralClustering(
        count,
        affinity="nearest_neighbors",
        n_neighbors=min(NEIGHBOURS, len(rows)),
        random_state=int(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Separate islands of lesions are no fault: each becomes a cluster, or a part of one.
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        labels = model.fit_predict(rows).astype(np.int64)
    if len(drawn) == len(features):
        found = np.empty(len(features), np.int64)
        found[drawn] = labels
        return found
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(features, return_distance=False)
    return np.asarray(labels[nearest[:, 0]], np.int64)


def _check_distinct(features: FloatArray, count: int) -> None:
    distinct = len(np.unique(features.round(9), axis=0))
    if distinct < count:
        raise CategoryError(
            f"{count} categories of {distinct} distinct lesions: ask for fewer categories"
        )


def nearest_centres(features: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
    """(n,) the nearest of (k, d) centres to each of (n, d) rows, and (n,) its distance."""
    distances = cdist(features, centres)
    labels = distances.argmin(axis=1)
    return labels.astype(np.int64), distances[np.arange(len(labels)), labels]


def prediction_strength(
    features: FloatArray,
    patients: IntArray,
    count: int,
    generator: Generator,
) -> float:
    """How well clusters of half of the patients say who belongs together in the other half.

    Mean over ``SPLITS`` halvings and both directions of the smallest share, over the clusters of
    the second half, of pairs that the first half's centres also put together (Tibshirani and
    Walther, "Cluster validation by prediction strength", JCGS 2005, equation 2.1).
    """
    strengths = []
    people = np.unique(patients)
    for _ in range(SPLITS):
        chosen = generator.permutation(people)[: len(people) // 2]
        first = np.isin(patients, chosen)
        for learn, judge in ((first, ~first), (~first, first)):
            strengths.append(_strength(features, (learn, judge), count, generator))
    return float(np.mean(strengths))


def _strength(
    features: FloatArray,
    halves: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    count: int,
    generator: Generator,
) -> float:
    learn, judge = halves
    if min(learn.sum(), judge.sum()) <= count:
        return 0.0
    centres = balanced_kmeans(features[learn], count, generator).centres
    own = balanced_kmeans(features[judge], count, generator).labels
    foreign, _ = nearest_centres(features[judge], centres)
    shares = []
    for cluster in np.unique(own):
        size = int((own == cluster).sum())
        if size < 2:
            continue
        together = np.bincount(foreign[own == cluster])
        shares.append(float((together * (together - 1)).sum()) / (size * (size - 1)))
    return min(shares) if shares else 0.0


def choose_count(
    features: FloatArray,
    patients: IntArray,
    candidates: Sequence[int],
    generator: Generator,
    *,
    report: Callable[[int, float], None] | None = None,
) -> int:
    """The largest number of clusters whose prediction strength is at least ``STRENGTH``.

    Where none reaches it, the number with the greatest strength: then the categories are not
    well founded, and the convergence table says so.
    """
    strengths = {}
    for count in candidates:
        strengths[count] = prediction_strength(features, patients, count, generator)
        if report is not None:
            report(count, strengths[count])
    supported = [count for count, strength in strengths.items() if strength >= STRENGTH]
    return max(supported) if supported else max(strengths, key=lambda count: strengths[count])
