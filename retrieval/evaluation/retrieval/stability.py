"""Stability: how far a vector moves under a careless box or another scan of the same lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.retrieval.pixels import LesionImages, PixelMethod, View
from retrieval.evaluation.retrieval.report import Score
from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import FloatArray, IntArray, auc
from retrieval.sources.lesion_table import LesionTable
from retrieval.synthesis.views import BoxJitter, Rescan

PAIRS = 2000
"""Pairs of different lesions whose similarity is the background."""

STABILITY = "stability"
BACKGROUND = "different lesions of one type"
MEDIAN = "cosine, median"


@dataclass(frozen=True)
class StabilityOptions:
    """How much is measured.

    Attributes:
        lesions: at most so many are cut again under each view.
        resamples: for the intervals.
    """

    lesions: int = 200
    resamples: int = 1000


def stability_views(generator: Generator) -> dict[str, View]:
    """Name to view: box jitter of 10 and 20 %, and a re-scan."""
    return {
        "box jitter 10 %": BoxJitter(0.1, generator),
        "box jitter 20 %": BoxJitter(0.2, generator),
        "re-scan": Rescan(generator),
    }


def stability_scores(
    table: LesionTable,
    images: LesionImages,
    described: dict[PixelMethod, NDArray[np.float32]],
    generator: Generator,
    options: StabilityOptions,
) -> list[Score]:
    """Cosine of each lesion with itself under each view, and of different lesions of one type.

    ``described`` holds each method's features of the whole table: the views are centred with it.
    """
    count = min(options.lesions, len(table))
    rows = np.sort(generator.choice(len(table), count, replace=False))
    pairs = different_pairs(table, generator)
    methods = list(described)
    cosines: dict[str, dict[str, FloatArray]] = {}
    background: dict[str, FloatArray] = {}
    for name, view in stability_views(generator).items():
        reach_mm = view.offset_mm if isinstance(view, Rescan) else 0.0
        again = images.describe(
            [table.lesions[row] for row in rows], methods, view=view, reach_mm=reach_mm
        )
        cosines[name] = {}
        for method, features in zip(methods, again, strict=True):
            together = np.concatenate([described[method], features])
            for method_name, vectors in method.vectors(together).items():
                moved = np.arange(len(table), len(together))
                cosines[name][method_name] = row_cosines(vectors, rows, moved)
                background[method_name] = row_cosines(vectors, pairs[:, 0], pairs[:, 1])
    return _scores(table, cosines, background, (rows, pairs[:, 0]), (generator, options.resamples))


def different_pairs(table: LesionTable, generator: Generator) -> IntArray:
    """(pairs, 2) rows of different patients with the same known type; of any type if none has."""
    rows = table.typed_rows if len(table.typed_rows) else np.arange(len(table))
    drawn = generator.choice(rows, size=(20 * PAIRS, 2))
    apart = table.patients[drawn[:, 0]] != table.patients[drawn[:, 1]]
    alike = table.types[drawn[:, 0]] == table.types[drawn[:, 1]]
    return np.asarray(drawn[apart & alike][:PAIRS])


def row_cosines(vectors: NDArray[np.float32], first: IntArray, second: IntArray) -> FloatArray:
    """(pairs,) cosines between the named rows."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    products = np.einsum("ij,ij->i", vectors[first], vectors[second])
    return np.asarray(products / (lengths[first] * lengths[second]), np.float64)


def _scores(
    table: LesionTable,
    cosines: dict[str, dict[str, FloatArray]],
    background: dict[str, FloatArray],
    rows: tuple[IntArray, IntArray],
    drawing: tuple[Generator, int],
) -> list[Score]:
    scores = []
    for view, values in cosines.items():
        patients = table.patients[rows[0]]
        scores += _percentiles(f"{STABILITY}: {view}", values, patients, drawing)
        parted = {
            method: _estimate(_Separation(own, background[method]), patients, drawing)
            for method, own in values.items()
        }
        scores.append(Score(f"{STABILITY}: {view}", f"AUC against {BACKGROUND}", True, parted))
    patients = table.patients[rows[1]]
    scores += _percentiles(f"{STABILITY}: {BACKGROUND}", background, patients, drawing)
    return scores


def _percentiles(
    section: str,
    values: dict[str, FloatArray],
    patients: IntArray,
    drawing: tuple[Generator, int],
) -> list[Score]:
    names = {5: "cosine, 5th percentile", 50: MEDIAN, 95: "cosine, 95th percentile"}
    return [
        Score(
            section,
            name,
            # Cosines of unlike methods are no contest: a constant vector has 1 everywhere.
            None,
            {
                method: _estimate(_Percentile(cosine, percent), patients, drawing)
                for method, cosine in values.items()
            },
        )
        for percent, name in names.items()
    ]


@dataclass(frozen=True)
class _Percentile:
    values: FloatArray
    percent: int

    def __call__(self, rows: IntArray) -> float:
        return float(np.percentile(self.values[rows], self.percent))


@dataclass(frozen=True)
class _Separation:
    own: FloatArray
    others: FloatArray

    def __call__(self, rows: IntArray) -> float:
        scores = np.concatenate([self.own[rows], self.others])
        return auc(scores, np.arange(len(scores)) < len(rows))


def _estimate(
    statistic: _Percentile | _Separation, patients: IntArray, drawing: tuple[Generator, int]
) -> Estimate:
    generator, resamples = drawing
    return statistic_estimate(statistic, patients, generator, resamples=resamples)
