"""Categories found without labels against the types that nobody told the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from retrieval.evaluation.reporting.tables import NOTICE, ReportTable, ReportText
from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import (
    FloatArray,
    IntArray,
    normalised_mutual_information,
    purity,
)
from retrieval.lesion import Lesion, LesionSearchError, LesionType

AGAINST_TYPE = ("NMI with type", "purity", "ARI with type")
WITH_SOURCE = "NMI with source"
FOUND = "categories"


class CategoryEvaluationError(LesionSearchError):
    """Lesions whose types are too little known to judge categories by."""


@dataclass(frozen=True)
class CategoryReport:
    """How well categories and their baselines agree with the types.

    Attributes:
        count: categories, and clusters of each baseline.
        tracks, patients, types: of known type.
        sources: how many collections the tracks come from.
        methods: method -> score -> estimate over tracks, intervals over patients.
    """

    count: int
    tracks: int
    patients: int
    types: int
    sources: int
    methods: Mapping[str, Mapping[str, Estimate]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "count": self.count,
            "tracks": self.tracks,
            "patients": self.patients,
            "types": self.types,
            "sources": self.sources,
            "methods": {
                method: {name: score.to_json() for name, score in scores.items()}
                for method, scores in self.methods.items()
            },
        }

    def text(self) -> ReportText:
        """The report in words and one table."""
        names = (*AGAINST_TYPE, *((WITH_SOURCE,) if self.sources > 1 else ()))
        return ReportText(
            f"{self.tracks} tracks of {self.patients} patients, {self.types} types, "
            f"{self.count} categories.",
            (
                ReportTable.of_methods(
                    "Categories against types",
                    self.methods,
                    names,
                ),
            ),
            (
                "Purity rises with the number of clusters; NMI and ARI hardly do. A baseline has "
                "as many clusters, by k-means. Categories that agree more with the source than "
                "with the type have learned scanners.",
                NOTICE,
            ),
        )


@dataclass(frozen=True)
class JudgedTracks:
    """n tracks, each told by one of its lesions, with what they are judged by.

    Attributes:
        lesions: (n,) one lesion a track.
        labels: (n,) their categories.
        sources: (n,) names of the collections they come from.
    """

    lesions: Sequence[Lesion]
    labels: IntArray
    sources: Sequence[str]


def evaluate_categories(
    judged: JudgedTracks,
    count: int,
    vectors: Mapping[str, FloatArray],
    generator: Generator,
    *,
    resamples: int = 200,
) -> CategoryReport:
    """Scores categories beside baselines with as many clusters.

    Args:
        judged: the tracks with their categories.
        count: how many categories there are.
        vectors: method -> (n, d) vectors that k-means clusters for comparison (the encoder's own,
            frozen features).
        generator: of clusterings and resamples.
        resamples: bootstrap resamples, over patients.

    Raises:
        CategoryEvaluationError: fewer than two types among the tracks.
    """
    types = np.array([one.lesion_type.code for one in judged.lesions])
    rows = np.flatnonzero(types != LesionType.UNKNOWN.code)
    if len(np.unique(types[rows])) < 2:
        raise CategoryEvaluationError(
            f"{len(np.unique(types[rows]))} lesion types are known among {len(types)} tracks: "
            "categories are judged by at least 2"
        )
    _, source = np.unique(judged.sources, return_inverse=True)
    _, patients = np.unique([one.patient_id for one in judged.lesions], return_inverse=True)
    methods = {FOUND: judged.labels, **_baseline_clusters(judged, count, vectors, generator)}
    truth = {"NMI with type": (types, normalised_mutual_information), "purity": (types, purity)}
    scored: dict[str, dict[str, Estimate]] = {}
    for method, clusters in methods.items():
        known = rows[clusters[rows] >= 0]
        if len(known) < 2:
            continue
        scored[method] = {
            name: statistic_estimate(
                _Agreement(score, clusters[known], reference[known]),
                patients[known],
                generator,
                resamples=resamples,
                correct_bias=True,
            )
            for name, (reference, score) in {
                **truth,
                "ARI with type": (types, _rand),
                WITH_SOURCE: (source, normalised_mutual_information),
            }.items()
        }
    return CategoryReport(
        count,
        len(rows),
        len(np.unique(patients[rows])),
        len(np.unique(types[rows])),
        len(np.unique(source[rows])),
        scored,
    )


@dataclass(frozen=True)
class _Agreement:
    """A score of clusters and classes, of the drawn rows."""

    score: Callable[[IntArray, IntArray], float]
    clusters: IntArray
    classes: IntArray

    def __call__(self, rows: IntArray) -> float:
        return self.score(self.clusters[rows], self.classes[rows])


def _rand(clusters: IntArray, classes: IntArray) -> float:
    return float(adjusted_rand_score(classes, clusters))


def _baseline_clusters(
    judged: JudgedTracks, count: int, vectors: Mapping[str, FloatArray], generator: Generator
) -> dict[str, IntArray]:
    """(n,) clusters a baseline; -1 where it knows nothing of a track."""
    nan = (np.nan,) * 3
    places = np.array([one.location or nan for one in judged.lesions], np.float64)
    sizes = np.array([one.long_mm or np.nan for one in judged.lesions], np.float64)
    numbers = {
        **{f"{name}, k-means": np.asarray(values, np.float64) for name, values in vectors.items()},
        "location, k-means": places,
        "height z, k-means": places[:, 2:],
        "size, k-means": np.log(np.where(sizes > 0, sizes, np.nan))[:, None],
    }
    found = {name: _clusters(values, count, generator) for name, values in numbers.items()}
    found = {name: labels for name, labels in found.items() if (labels >= 0).any()}
    found["random"] = generator.integers(0, count, len(judged.lesions)).astype(np.int64)
    return found


def _clusters(values: FloatArray, count: int, generator: Generator) -> IntArray:
    labels = np.full(len(values), -1, np.int64)
    known = ~np.isnan(values).any(axis=1)
    if len(np.unique(values[known], axis=0)) >= count:
        seed = int(generator.integers(2**31))
        labels[known] = KMeans(count, n_init=4, random_state=seed).fit_predict(values[known])
    return labels
