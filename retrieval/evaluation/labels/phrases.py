"""Terms read from phrases against those that a radiologist gave them (LesaNet's test set).

The file is a list of ``{text, lesion_idx, expanded_terms}``; the terms are closed: what a term
implies is among them. Only terms of the evaluated list count, on both sides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.stats.intervals import Estimate, statistic_estimate
from retrieval.evaluation.stats.metrics import IntArray
from retrieval.labels.text.phrases import stems_of
from retrieval.labels.text.tokens import levelled, tokenise
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.lesion import LesionSearchError


class PhraseFileError(LesionSearchError):
    """A file that holds no labelled phrases."""


@dataclass(frozen=True)
class LabelledPhrase:
    """A phrase with the closed set of terms that a person gave it."""

    text: str
    terms: frozenset[str]


@dataclass(frozen=True)
class PhraseScores:
    """How well the terms of phrases were read, with 95 % intervals over phrases."""

    f1: Estimate
    precision: Estimate
    recall: Estimate
    exact: Estimate
    missed: dict[str, int]
    invented: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain values; the ten terms most often missed and invented."""
        named = {name: getattr(self, name).to_json() for name in ("f1", "precision", "recall")}
        return {
            **named,
            "exact": self.exact.to_json(),
            "missed": _most(self.missed),
            "invented": _most(self.invented),
        }


def load_phrases(file: Path) -> list[LabelledPhrase]:
    """The phrases of LesaNet's hand-labelled file; raises PhraseFileError."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return [
            # A plus marks a term that was added by hand.
            LabelledPhrase(
                str(entry["text"]),
                frozenset(str(term).removeprefix("+") for term in entry["expanded_terms"]),
            )
            for entry in entries
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PhraseFileError(
            f"{file} holds no labelled phrases ({error}): a JSON list of "
            "{text, lesion_idx, expanded_terms} is needed"
        ) from error


def score_phrases(
    phrases: Sequence[LabelledPhrase],
    found: Sequence[Collection[str]],
    counted: Collection[str],
    generator: Generator,
    *,
    resamples: int = 1000,
) -> PhraseScores:
    """Micro scores over all phrases and the share read exactly.

    Args:
        phrases: what a person said, n phrases.
        found: the terms read from each, n sets.
        counted: the terms that count.
        generator: draws the bootstrap resamples.
        resamples: how many.
    """
    kept = frozenset(counted)
    pairs = [
        (one.terms & kept, frozenset(terms) & kept)
        for one, terms in zip(phrases, found, strict=True)
    ]
    counts = np.array(
        [
            (len(true & read), len(read - true), len(true - read), true == read)
            for true, read in pairs
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    rows = np.arange(len(pairs))

    def estimate(statistic: Callable[[IntArray], float]) -> Estimate:
        return statistic_estimate(statistic, rows, generator, resamples=resamples)

    def share(own: int, *others: int) -> Callable[[IntArray], float]:
        return lambda picked: _ratio(counts[picked], own, others)

    return PhraseScores(
        f1=estimate(lambda picked: _f1(counts[picked].sum(axis=0))),
        precision=estimate(share(0, 1)),
        recall=estimate(share(0, 2)),
        exact=estimate(lambda picked: float(counts[picked, 3].mean())),
        missed=dict(Counter(term for true, read in pairs for term in true - read)),
        invented=dict(Counter(term for true, read in pairs for term in read - true)),
    )


def simple_readings(vocabulary: Vocabulary, text: str) -> dict[str, frozenset[str]]:
    """What simpler readers find, the baselines: names, synonyms too, and their closure."""
    words = [token.stem for token in tokenise(levelled(text)) if token.is_word]
    line = f" {' '.join(words)} "
    names, synonyms = set(), set()
    for term in vocabulary.terms.values():
        if f" {' '.join(stems_of(term.name))} " in line and term.synonyms:
            names.add(term.name)
        if any(f" {' '.join(stems_of(phrase))} " in line for phrase in term.synonyms):
            synonyms.add(term.name)
    return {
        "names": frozenset(names),
        "names and synonyms": frozenset(synonyms),
        "names, synonyms and what they imply": vocabulary.expand(synonyms),
    }


def _ratio(counts: np.ndarray[Any, Any], own: int, others: Sequence[int]) -> float:
    sums = counts.sum(axis=0)
    total = sums[own] + sum(sums[other] for other in others)
    return float(sums[own] / total) if total else float("nan")


def _f1(sums: np.ndarray[Any, Any]) -> float:
    right, invented, missed = sums[:3]
    total = 2 * right + invented + missed
    return float(2 * right / total) if total else float("nan")


def _most(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:10])
