"""Lung nodules with radiologists' ratings: the next slice, malignancy, texture, spiculation.

Nodules and their ratings come from ``rated_nodules``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.retrieval.baselines import MethodVectors, Vectors, metadata_baselines
from retrieval.evaluation.retrieval.pixels import (
    EmbedPatches,
    EncoderMethod,
    LesionImages,
    named_vectors,
)
from retrieval.evaluation.retrieval.protocol import RetrievalOptions
from retrieval.evaluation.retrieval.ranking import (
    RankingTask,
    match_measure,
    nearest_rows,
    scores_per_query,
)
from retrieval.evaluation.retrieval.rated_nodules import RATINGS, Nodules, rated_nodules
from retrieval.evaluation.retrieval.relations import same_patient
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.stats.intervals import Estimate, mean_estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import (
    BoolArray,
    FloatArray,
    IntArray,
    auc,
)
from retrieval.lesion import Split
from retrieval.patch import PatchSpec
from retrieval.sources.archive import Archive
from retrieval.sources.lesion_table import LesionTable

NEIGHBOURS = 10
BENIGN, MALIGNANT = 2.0, 4.0
"""Ratings up to the first are benign, from the second on malignant; between them undecided."""

NEXT_SLICE = "the same nodule on its next slice, among all nodules"
RATED = f"ratings from the {NEIGHBOURS} nearest nodules of other patients"


def evaluate_nodules(
    archive: Archive,
    embed: EmbedPatches | None,
    spec: PatchSpec,
    options: RetrievalOptions | None = None,
    *,
    splits: Sequence[Split] = (),
) -> RetrievalReport:
    """Scores on rated lung nodules beside their baselines; ``options.split`` is not used.

    Args:
        archive: nodules with their ratings as attributes; a lesion with the attribute
            ``next_slice`` = 1 is its track's nodule once more, on the neighbouring slice.
        embed: the encoder, for patches cut with ``spec``; None for the baselines alone.
        spec: how the encoder's patches are cut.
        options: None for the defaults.
        splits: only patients of these; none named means all patients.

    Raises:
        EvaluationError: no lesion has a malignancy rating.
        ArchiveError: an image that is needed cannot be read.
    """
    options = RetrievalOptions() if options is None else options
    generator = np.random.default_rng(options.seed)
    nodules = rated_nodules(archive, splits)
    table = nodules.table
    pixel_methods = list(options.pixel_baselines)
    if embed is not None:
        pixel_methods.append(EncoderMethod(options.encoder_name, embed, spec))
    methods = [
        *(
            baseline
            for baseline in metadata_baselines(table, generator)
            if baseline.name == "random"
        ),
        MethodVectors("diameter, k nearest", (np.log(nodules.diameters_mm)[:, None],)),
    ]
    drawing = (generator, options.resamples)
    scores: list[Score] = []
    if pixel_methods:
        images = LesionImages(archive, options.progress)
        features = images.describe([*table.lesions, *nodules.next_slices], pixel_methods)
        here = [part[: len(table)] for part in features]
        scores += _next_slice_scores(nodules, named_vectors(pixel_methods, features), drawing)
        methods += named_vectors(pixel_methods, here)
    scores += _rating_scores(nodules, methods, drawing)
    return RetrievalReport(
        archive=archive.root.name,
        encoder=None if embed is None else options.encoder_name,
        split="+".join(split.value for split in splits) or "all",
        lesions=len(table),
        typed_lesions=len(table.typed_rows),
        patients=len(np.unique(table.patients)),
        scores=tuple(scores),
        settings={
            "seed": options.seed,
            "resamples": options.resamples,
            "neighbours": NEIGHBOURS,
            "nodules_with_next_slice": len(nodules.next_slices),
        },
    )


def neighbour_ratings(
    table: LesionTable, vectors: Vectors, ratings: FloatArray, *, k: int = NEIGHBOURS
) -> FloatArray:
    """(n,) mean rating of the k nearest rated lesions of other patients; NaN if there are none."""
    rated = np.flatnonzero(~np.isnan(ratings))
    task = RankingTask(np.arange(len(table)), rated, _other_patients)
    rows = nearest_rows(table, vectors, task, k)
    near = np.where(rows < 0, np.nan, ratings[rows])
    found = ~np.isnan(near)
    return np.where(
        found.any(axis=1),
        np.where(found, near, 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1),
        np.nan,
    )


def _other_patients(
    table: LesionTable, queries: IntArray, gallery: IntArray
) -> tuple[BoolArray, BoolArray]:
    relevant, itself = same_patient(table, queries, gallery)
    return ~(relevant | itself), relevant | itself


@dataclass(frozen=True)
class _OwnNextSlice:
    """Relevant: the next slice of the query's own nodule; nothing is excluded."""

    next_slice_of: IntArray

    def __call__(
        self, table: LesionTable, queries: IntArray, gallery: IntArray
    ) -> tuple[BoolArray, BoolArray]:
        own = np.asarray(queries[:, None] == self.next_slice_of[gallery - len(table)][None, :])
        return own, np.zeros_like(own)


def _next_slice_scores(
    nodules: Nodules, methods: Sequence[MethodVectors], drawing: tuple[Generator, int]
) -> list[Score]:
    """Methods hold the key slices' vectors in rows 0 to n - 1 and the next slices' behind them."""
    table, rows = nodules.table, nodules.next_slice_of
    if len(rows) == 0:
        return []
    gallery = len(table) + np.arange(len(rows))
    task = RankingTask(rows, gallery, _OwnNextSlice(rows))
    found: dict[str, dict[str, Estimate]] = {}
    for method in methods:
        for name, values in scores_per_query(table, method, task, match_measure).items():
            found.setdefault(name, {})[method.name] = mean_estimate(
                values, table.patients[rows], drawing[0], resamples=drawing[1]
            )
    return [Score(NEXT_SLICE, name, True, estimates) for name, estimates in found.items()]


def _rating_scores(
    nodules: Nodules, methods: Sequence[MethodVectors], drawing: tuple[Generator, int]
) -> list[Score]:
    generator, resamples = drawing
    table, malignancy = nodules.table, nodules.ratings["malignancy"]
    decided = np.flatnonzero((malignancy <= BENIGN) | (malignancy >= MALIGNANT))
    malignant = malignancy[decided] >= MALIGNANT

    def area(predicted: FloatArray) -> Estimate:
        known = ~np.isnan(predicted[decided])
        rows, positive = decided[known], malignant[known]
        return statistic_estimate(
            lambda drawn: auc(predicted[rows][drawn], positive[drawn]),
            table.patients[rows],
            generator,
            resamples=resamples,
        )

    areas = {"diameter itself": area(nodules.diameters_mm)}
    errors: dict[str, dict[str, Estimate]] = {name: {} for name in RATINGS[1:]}
    for method in methods:
        areas[method.name] = area(_first_draw_ratings(table, method, malignancy))
        for name, found in errors.items():
            ratings = nodules.ratings[name]
            off = np.abs(_first_draw_ratings(table, method, ratings) - ratings)
            found[method.name] = mean_estimate(off, table.patients, generator, resamples=resamples)
    return [
        Score(RATED, "malignancy AUC, 1-2 against 4-5", True, areas),
        *(
            Score(RATED, f"{name} mean absolute error", False, found)
            for name, found in errors.items()
        ),
    ]


def _first_draw_ratings(
    table: LesionTable, method: MethodVectors, ratings: FloatArray
) -> FloatArray:
    # Only the first draw: the average of random predictions would be the mean rating.
    return neighbour_ratings(table, method.draws[0], ratings)
