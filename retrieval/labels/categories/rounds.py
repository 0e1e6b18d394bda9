"""The loop: cluster, train on the clusters, cluster what was learned, until nothing changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from retrieval.labels.categories.classifier import out_of_fold, patient_folds
from retrieval.labels.categories.clustering import (
    balanced_kmeans,
    choose_count,
    graph_clusters,
)
from retrieval.labels.categories.features import FloatArray, IntArray

COUNTS = (4, 5, 6, 7, 8, 9, 10, 12, 14, 16)
"""Numbers of categories that are tried where none is asked for."""

AGREEMENT, CHANGE = 0.9, 0.02
"""NMI and purity between rounds at which the loop may end, and how little they may still change."""

FLOOR = 1e-3
"""Least probability: below it, differences say nothing."""


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for small matrices: several wait for each other far longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How categories are looked for.

    Attributes:
        count: how many; None for the rule of ``choose_count``.
        rounds: most rounds.
        seed: of every draw.
    """

    count: int | None = None
    rounds: int = 8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round's clusters are those of the round before: NMI and purity."""

    number: int
    nmi: float
    purity: float


@dataclass(frozen=True)
class FoundCategories:
    """Categories of n lesions.

    Attributes:
        labels: (n,) category, 0 to k - 1.
        probabilities: (n, k) by heads that saw no lesion of the same patient.
        confusion: (k, k) mean probability of category j among the rows of category i.
        rounds: the convergence.
        settled: whether the loop ended by its rule and not by its last round.
        strengths: prediction strength by number of categories, where the number was chosen.
    """

    labels: IntArray
    probabilities: FloatArray
    confusion: FloatArray
    rounds: tuple[Round, ...]
    settled: bool
    strengths: dict[int, float]

    @property
    def count(self) -> int:
        """How many categories."""
        return int(self.probabilities.shape[1])


@one_thread()
def find_categories(
    features: FloatArray,
    patients: IntArray,
    options: LoopOptions,
    *,
    counts: Sequence[int] = COUNTS,
    report: Callable[[Round], None] | None = None,
) -> FoundCategories:
    """The loop of (n, d) rows of tracks with their (n,) patients.

    The features of a round are what heads that never saw the patient say of each row: their log
    probabilities. A head asked about its own training rows would only repeat the clusters.

    Raises:
        CategoryError: fewer distinct rows than categories.
    """
    generator = np.random.default_rng(options.seed)
    strengths: dict[int, float] = {}
    count = options.count
    if count is None:
        possible = [k for k in counts if k <= len(np.unique(patients)) // 2] or [2]
        count = choose_count(features, patients, possible, generator, report=strengths.__setitem__)
    labels = graph_clusters(features, count, generator)
    folds = patient_folds(patients, generator)
    done: list[Round] = []
    settled = False
    while len(done) < options.rounds and not settled:
        said = out_of_fold(features, labels, folds, generator)
        learned = np.log(said + FLOOR)
        found = matched(balanced_kmeans(learned, count, generator).labels, labels)
        step = Round(
            len(done) + 1,
            float(normalized_mutual_info_score(labels, found)),
            agreement(found, labels),
        )
        done.append(step)
        labels = found
        settled = has_settled(done)
        if report is not None:
            report(step)
    said = out_of_fold(features, labels, folds, generator)
    return FoundCategories(
        labels, said, confusion_of(said, labels), tuple(done), settled, strengths
    )


def has_settled(rounds: Sequence[Round]) -> bool:
    """Whether NMI and purity are high and have twice hardly changed."""
    if len(rounds) < 3 or min(rounds[-1].nmi, rounds[-1].purity) < AGREEMENT:
        return False
    last = rounds[-3:]
    return all(
        abs(later.nmi - earlier.nmi) < CHANGE and abs(later.purity - earlier.purity) < CHANGE
        for earlier, later in itertools.pairwise(last)
    )


def matched(labels: IntArray, before: IntArray) -> IntArray:
    """(n,) the labels renumbered so that each keeps the number it overlaps most in all.

    The assignment with the most shared rows (Hungarian method).
    """
    count = int(max(labels.max(), before.max())) + 1
    shared = np.zeros((count, count))
    np.add.at(shared, (labels, before), 1)
    rows, columns = linear_sum_assignment(-shared)
    renamed = np.empty(count, np.int64)
    renamed[rows] = columns
    return renamed[labels]


def agreement(labels: IntArray, before: IntArray) -> float:
    """Share of rows in the commonest earlier cluster of their cluster (purity)."""
    shared = np.zeros((int(labels.max()) + 1, int(before.max()) + 1))
    np.add.at(shared, (labels, before), 1)
    return float(shared.max(axis=1).sum() / shared.sum())


def confusion_of(probabilities: FloatArray, labels: IntArray) -> FloatArray:
    """(k, k) mean probability of each category among the rows of each."""
    count = probabilities.shape[1]
    sums = np.zeros((count, count))
    np.add.at(sums, labels, probabilities)
    held = np.bincount(labels, minlength=count)
    return sums / np.where(held > 0, held, 1)[:, None]
