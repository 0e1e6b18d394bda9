"""The retrieval protocol: an archive and an encoder in, every score beside its baselines out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.baselines import MethodVectors, Vectors, metadata_baselines
from retrieval.evaluation.retrieval.classification import knn_correct, linear_correct
from retrieval.evaluation.retrieval.pixels import (
    EmbedPatches,
    EncoderMethod,
    LesionImages,
    PixelMethod,
    named_vectors,
)
from retrieval.evaluation.retrieval.ranking import (
    LOCATION_ERROR,
    SIZE_ERROR,
    MatchTask,
    RankingTask,
    matches_per_query,
    other_study_task,
    same_lesion_task,
    same_patient_task,
    scores_per_query,
    similar_lesion_measure,
)
from retrieval.evaluation.retrieval.relations import same_lesion_without_study, same_type_elsewhere
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.retrieval.splits import SplitProtocol, SplitRows, split_rows
from retrieval.evaluation.retrieval.stability import StabilityOptions, stability_scores
from retrieval.evaluation.stats.intervals import Estimate, mean_estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import (
    FloatArray,
    IntArray,
    normalised_mutual_information,
    purity,
)
from retrieval.patch import PatchSpec
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.sources.lesion_table import LesionTable

SIMILAR = "similar lesions by type, other patients"
CLUSTERS = "clusters against types"
CLASSIFIED = "type accuracy from seeds"
SAME_PATIENT = "same patient among all lesions"
SAME_LESION = "same lesion in other studies among all lesions"
OWN_STUDY_LEFT_OUT = ", the query's own study left out"

_LOWER_IS_BETTER = (LOCATION_ERROR, SIZE_ERROR)


@dataclass(frozen=True)
class RetrievalOptions:
    """How an evaluation is run.

    Attributes:
        split: who asks and who may be found.
        seed: of every draw: splits, the random baseline, jitter, intervals.
        resamples: of patients, for the 95 % intervals.
        stability_lesions: how many lesions are cut again under each view; 0 leaves stability out.
        encoder_name: as printed in tables.
        pixel_baselines: methods that look at pixels, such as RawPixels and FrozenFeatures.
        progress: told about lesions cut and embedded.
    """

    split: SplitProtocol = SplitProtocol.ALL
    seed: int = 0
    resamples: int = 1000
    stability_lesions: int = 200
    encoder_name: str = "encoder"
    pixel_baselines: Sequence[PixelMethod] = ()
    progress: ReportProgress | None = None


def evaluate_retrieval(
    archive: Archive,
    embed: EmbedPatches | None,
    spec: PatchSpec,
    options: RetrievalOptions | None = None,
) -> RetrievalReport:
    """Every retrieval score of the archive's lesions.

    Without ``embed`` and without pixel baselines no image is opened: the archive may be a bare
    table. Scores that the archive has no labels for (types, tracks, several lesions a patient)
    are absent.

    Args:
        archive: lesions with their images; the encoder must never have seen its patients.
        embed: the encoder, for patches cut with ``spec``; None for the baselines alone.
        spec: how the encoder's patches are cut; baselines have their own.
        options: None for the defaults.

    Raises:
        EvaluationError: no lesions, or a split that is empty or shares a patient.
        ArchiveError: an image that is needed cannot be read.
    """
    if not archive.lesions:
        raise EvaluationError("the archive holds 0 lesions: nothing can be evaluated")
    options = RetrievalOptions() if options is None else options
    started = time.perf_counter()
    generator = np.random.default_rng(options.seed)
    table = LesionTable.of(archive)
    methods = metadata_baselines(table, generator)
    pixel_methods = list(options.pixel_baselines)
    if embed is not None:
        pixel_methods.append(EncoderMethod(options.encoder_name, embed, spec))
    images = LesionImages(archive, options.progress)
    described = _described(table, images, pixel_methods)
    methods += named_vectors(list(described), list(described.values()))
    scorer = _Scorer(table, methods, generator, options)
    scores = scorer.type_scores() + scorer.match_scores()
    if described and options.stability_lesions > 0:
        limits = StabilityOptions(options.stability_lesions, options.resamples)
        scores += stability_scores(table, images, described, generator, limits)
    return RetrievalReport(
        archive=archive.root.name,
        encoder=None if embed is None else options.encoder_name,
        split=options.split.value,
        lesions=len(table),
        typed_lesions=len(table.typed_rows),
        patients=len(np.unique(table.patients)),
        scores=tuple(score for score in scores if score.estimates),
        settings={
            "seed": options.seed,
            "resamples": options.resamples,
            "patch_spec": spec.to_dict(),
            "seconds": round(time.perf_counter() - started, 2),
        },
    )


def _described(
    table: LesionTable, images: LesionImages, methods: Sequence[PixelMethod]
) -> dict[PixelMethod, NDArray[np.float32]]:
    if not methods:
        return {}
    return dict(zip(methods, images.describe(table.lesions, methods), strict=True))


@dataclass(frozen=True)
class _Scorer:
    """The sections of the report, each for every method."""

    table: LesionTable
    methods: Sequence[MethodVectors]
    generator: Generator
    options: RetrievalOptions

    def type_scores(self) -> list[Score]:
        """Similar lesions, clusters, and for the paper's split the accuracy of its seeds."""
        if len(self.table.typed_rows) == 0:
            return []
        parts = split_rows(self.table, self.options.split, seed=self.options.seed)
        task = RankingTask(parts.queries, parts.gallery, same_type_elsewhere)
        values = {
            method.name: scores_per_query(self.table, method, task, similar_lesion_measure)
            for method in self.methods
            if len(task.queries)
        }
        scores = self._ranking(SIMILAR, task, values)
        scores += self._cluster_scores(parts.queries)
        if self.options.split is SplitProtocol.PAPER:
            scores += self._accuracy_scores(parts)
        return scores

    def match_scores(self) -> list[Score]:
        """The same patient, and where tracks are known the same lesion, among all lesions.

        Both are asked twice: of all lesions, and without the query's own study, for a scan is
        easier to recognise than a lesion.
        """
        lesion_task = same_lesion_task(self.table)
        tasks: dict[str, MatchTask] = {
            SAME_PATIENT: same_patient_task(self.table),
            SAME_PATIENT + OWN_STUDY_LEFT_OUT: other_study_task(self.table),
            SAME_LESION: lesion_task,
            SAME_LESION + OWN_STUDY_LEFT_OUT: replace(
                lesion_task, relation=same_lesion_without_study
            ),
        }
        values = {
            method.name: matches_per_query(self.table, method, list(tasks.values()))
            for method in self.methods
        }
        return [
            score
            for place, (section, task) in enumerate(tasks.items())
            for score in self._ranking(
                section, task, {name: found[place] for name, found in values.items()}
            )
        ]

    def _ranking(
        self, section: str, task: RankingTask, values: Mapping[str, Mapping[str, FloatArray]]
    ) -> list[Score]:
        """One score a name; mAP also as the mean over types.

        ``values`` are each method's scores, (queries,) a name.
        """
        if len(task.queries) == 0:
            return []
        found: dict[str, dict[str, Estimate]] = {}
        types = self.table.types[task.queries]
        for method, named in values.items():
            for name, per_query in named.items():
                found.setdefault(name, {})[method] = self._mean(per_query, task.queries)
                if name == "mAP":
                    macro = self._mean(per_query, task.queries, classes=types)
                    found.setdefault("mAP, mean over types", {})[method] = macro
        return [
            Score(section, name, name not in _LOWER_IS_BETTER, estimates)
            for name, estimates in found.items()
        ]

    def _cluster_scores(self, rows: IntArray) -> list[Score]:
        purities: dict[str, Estimate] = {}
        information: dict[str, Estimate] = {}
        for method in self.methods:
            vectors = method.draws[0]
            known = rows[~np.isnan(vectors[rows]).any(axis=1)]
            names, types = np.unique(self.table.types[known], return_inverse=True)
            wanted = len(names)
            if wanted < 2 or len(known) < 2 * wanted:
                continue
            clusters = _clusters(vectors[known], wanted, self.generator)
            for found, statistic in (
                (purities, purity),
                (information, normalised_mutual_information),
            ):
                found[method.name] = statistic_estimate(
                    _Agreement(statistic, clusters, types),
                    self.table.patients[known],
                    self.generator,
                    resamples=min(self.options.resamples, 200),
                    correct_bias=True,
                )
        return [
            Score(CLUSTERS, "purity", True, purities),
            Score(CLUSTERS, "NMI", True, information),
        ]

    def _accuracy_scores(self, parts: SplitRows) -> list[Score]:
        scores = []
        for name, correct in (("k nearest seeds", knn_correct), ("linear", linear_correct)):
            estimates = {
                method.name: self._mean(correct(self.table, method, parts), parts.queries)
                for method in self.methods
            }
            scores.append(Score(CLASSIFIED, name, True, estimates))
        return scores

    def _mean(
        self, values: FloatArray, rows: IntArray, *, classes: IntArray | None = None
    ) -> Estimate:
        return mean_estimate(
            values,
            self.table.patients[rows],
            self.generator,
            resamples=self.options.resamples,
            classes=classes,
        )


def _clusters(vectors: Vectors, count: int, generator: Generator) -> IntArray:
    seed = int(generator.integers(2**31))
    with warnings.catch_warnings():
        # Vectors that hardly differ give fewer clusters than asked for; purity and NMI show that.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = KMeans(count, n_init=3, random_state=seed).fit_predict(vectors)
    return np.asarray(labels, np.int64)


@dataclass(frozen=True)
class _Agreement:
    """A clustering score of the drawn rows."""

    statistic: Callable[[IntArray, IntArray], float]
    clusters: IntArray
    types: IntArray

    def __call__(self, rows: IntArray) -> float:
        return self.statistic(self.clusters[rows], self.types[rows])
