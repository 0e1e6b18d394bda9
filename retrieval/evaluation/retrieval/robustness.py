"""Does a lesion find itself again when the scan is worse? Recall@1 and cosine, step by step.

Each query is a lesion as seen through one degradation; the gallery is every lesion of the archive
as it is. A hit is the lesion's own vector on the first rank, ahead of all others; ties count
against the method. Degradations are drawn under a seed that no training uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.baselines import Vectors
from retrieval.evaluation.retrieval.degraded_views import (
    EXTRA_DEPTH_MM,
    careless_boxes,
    worse_scans,
)
from retrieval.evaluation.retrieval.pixels import (
    LesionImages,
    PixelMethod,
    View,
    named_vectors,
    same_view,
)
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.stats.intervals import Estimate, mean_estimate
from retrieval.evaluation.stats.metrics import IntArray
from retrieval.lesion import Lesion, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive

SEED_OF_SCANS = 90_000
"""Apart from the seeds of training, which count from 0."""


@dataclass(frozen=True, slots=True)
class RobustnessOptions:
    """How to evaluate.

    Attributes:
        splits: whose lesions are queries; empty for all. The gallery is always the whole archive.
        queries: the most lesions asked, drawn at random.
        seed: of the draw and of the degradations.
        resamples: of the patients, for the intervals.
        progress: called with (done, total) lesions shown.
    """

    splits: tuple[Split, ...] = ()
    queries: int = 120
    seed: int = 0
    resamples: int = 1000
    progress: ReportProgress | None = None


def evaluate_robustness(
    archive: Archive, methods: Sequence[PixelMethod], name: str, options: RobustnessOptions
) -> RetrievalReport:
    """The report of every method; ``name`` is the encoder's among them.

    A lesion that is its track's once more on the neighbouring slice (attribute ``next_slice``) is
    left out of queries and gallery: nobody could tell the two apart.

    Raises:
        EvaluationError: no lesion of the splits is there.
        ArchiveError: an image cannot be read.
    """
    gallery = [x for x in archive.lesions if not _is_repeated(archive, x)]
    rows = _drawn(gallery, options)
    queries = [gallery[row] for row in rows]
    images = LesionImages(archive, options.progress)
    known = images.describe(gallery, methods, view=same_view)
    scores: list[Score] = []
    for title, view, reach_mm in _views(options.seed):
        seen = images.describe(queries, methods, view=view, reach_mm=reach_mm)
        joined = [np.concatenate(pair) for pair in zip(known, seen, strict=True)]
        scores += _scores(title, methods, joined, rows, (queries, options))
    return RetrievalReport(
        archive=archive.root.name,
        encoder=name,
        split="+".join(split.value for split in options.splits) or "all",
        lesions=len(gallery),
        typed_lesions=sum(lesion.lesion_type.code > 0 for lesion in gallery),
        patients=len({lesion.patient_id for lesion in gallery}),
        scores=tuple(scores),
        settings={
            "seed": options.seed,
            "resamples": options.resamples,
            "queries": len(queries),
        },
    )


def first_rank(queries: Vectors, gallery: Vectors, own: IntArray) -> NDArray[np.float64]:
    """(n,) 1 where a query's own row of the gallery is nearer than every other row, else 0."""
    similar = queries @ gallery.T
    places = np.arange(len(queries))
    mine = similar[places, own].copy()
    similar[places, own] = -np.inf
    return np.asarray(mine > similar.max(axis=1), np.float64)


def _views(seed: int) -> list[tuple[str, View, float]]:
    scans: list[tuple[str, View, float]] = [
        (scan.name, scan, EXTRA_DEPTH_MM) for scan in worse_scans(SEED_OF_SCANS + seed)
    ]
    boxes: list[tuple[str, View, float]] = [
        (title, view, 0.0) for title, view in careless_boxes(SEED_OF_SCANS + seed)
    ]
    return [("as it is", same_view, 0.0), *scans, *boxes]


def _scores(
    title: str,
    methods: Sequence[PixelMethod],
    joined: Sequence[NDArray[np.float32]],
    rows: IntArray,
    asked: tuple[Sequence[Lesion], RobustnessOptions],
) -> list[Score]:
    queries, options = asked
    _, patients = np.unique([lesion.patient_id for lesion in queries], return_inverse=True)
    recall: dict[str, Estimate] = {}
    cosine: dict[str, Estimate] = {}
    for method in named_vectors(methods, joined):
        vectors = method.draws[0]
        known, seen = vectors[: -len(rows)], vectors[-len(rows) :]
        generator = np.random.default_rng(options.seed)
        values = {
            "recall": first_rank(seen, known, rows),
            "cosine": (seen * known[rows]).sum(axis=1).astype(np.float64),
        }
        found = {
            kind: mean_estimate(
                value, patients.astype(np.int64), generator, resamples=options.resamples
            )
            for kind, value in values.items()
        }
        recall[method.name], cosine[method.name] = found["recall"], found["cosine"]
    return [
        Score(title, "recall@1", True, recall),
        Score(title, "mean cosine to itself", None, cosine),
    ]


def _drawn(gallery: Sequence[Lesion], options: RobustnessOptions) -> IntArray:
    of_splits = np.array(
        [n for n, x in enumerate(gallery) if not options.splits or x.split in options.splits],
        np.int64,
    )
    if len(of_splits) == 0:
        names = ", ".join(split.value for split in options.splits)
        raise EvaluationError(
            f"0 of {len(gallery)} lesions are in the splits {names}: choose another with --split"
        )
    drawn = np.random.default_rng(options.seed).permutation(of_splits)[: options.queries]
    return np.sort(drawn)


def _is_repeated(archive: Archive, lesion: Lesion) -> bool:
    return archive.attributes.get(lesion.lesion_id, {}).get("next_slice", 0.0) == 1
