"""Terms of LesaNet's hand-labelled phrases: our reader, simpler ones, and what tuning is worth.

    python benchmarks/text_tags.py --phrases hand_labeled_test_set.json --terms labels.json

What was decided with the phrases in view is each entry of ``corrections.toml`` and each number of
``TextRules``. The cross-validation decides all of them again on four fifths of the phrases and
scores the fifth: an entry is kept only if it makes the reading of the four fifths better, and the
rules are the best of a grid there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.evaluation.labels.phrases import (
    LabelledPhrase,
    load_phrases,
    score_phrases,
    simple_readings,
)
from retrieval.labels.text.composing import TextRules
from retrieval.labels.text.reading import TextReader
from retrieval.labels.vocabulary.bundled import CORRECTIONS, corrected_terms, vocabulary
from retrieval.labels.vocabulary.terms import Vocabulary

FOLDS = 5
GRID = [
    TextRules(side_gap=side, lobe_gap=lobe, node_gap=node, pairs=pairs)
    for side, lobe, node, pairs in itertools.product(
        (-1, 1, 3, 5), (-1, 3), (-1, 4, 12), (False, True)
    )
]

Change = dict[str, Any]


def main() -> None:
    """Prints the scores as JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("--phrases", type=Path, required=True)
    options.add_argument("--terms", type=Path, required=True, help="a file with `term_list`")
    given = options.parse_args()
    phrases = load_phrases(given.phrases)
    lists = {
        "171 terms": json.loads(given.terms.read_text())["term_list"],
        "all terms": list(vocabulary().terms),
    }
    reader = TextReader(vocabulary())
    found = [reader.read(one.text).relevant for one in phrases]
    cross = cross_validated(phrases, lists["171 terms"])
    document: dict[str, Any] = {"phrases": len(phrases), "milliseconds": timing(reader, phrases)}
    for name, counted in lists.items():
        readings = {"reader": found, "reader, cross-validated": cross, **baselines(phrases)}
        document[name] = {
            method: score_phrases(phrases, terms, counted, np.random.default_rng(0)).to_json()
            for method, terms in readings.items()
        }
    print(json.dumps(document, indent=1))


def baselines(phrases: Sequence[LabelledPhrase]) -> dict[str, list[Collection[str]]]:
    """What simpler readers find in each phrase."""
    found: dict[str, list[Collection[str]]] = {}
    for one in phrases:
        for method, terms in simple_readings(vocabulary(), one.text).items():
            found.setdefault(method, []).append(terms)
    return found


def timing(reader: TextReader, phrases: Sequence[LabelledPhrase]) -> dict[str, float]:
    """How long a phrase takes."""
    taken = []
    for one in phrases:
        start = time.perf_counter()
        reader.read(one.text)
        taken.append(1e3 * (time.perf_counter() - start))
    return {"median": float(np.median(taken)), "p95": float(np.percentile(taken, 95))}


def cross_validated(
    phrases: Sequence[LabelledPhrase], counted: Collection[str]
) -> list[Collection[str]]:
    """The terms of each phrase, read by what the other folds decided."""
    # Equal phrases stand in one fold: a phrase must not vouch for itself.
    names = sorted({one.text.lower() for one in phrases})
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[place]: n % FOLDS for n, place in enumerate(order)}
    found: list[Collection[str]] = [()] * len(phrases)
    for fold in range(FOLDS):
        known = [one for one in phrases if fold_of[one.text.lower()] != fold]
        reader = tuned(known, counted)
        for place, one in enumerate(phrases):
            if fold_of[one.text.lower()] == fold:
                found[place] = reader.read(one.text).relevant
    return found


def tuned(phrases: Sequence[LabelledPhrase], counted: Collection[str]) -> TextReader:
    """The reader that some phrases decide on: first the rules, then each correction by itself."""
    changes = tomllib.loads(CORRECTIONS.read_text(encoding="utf-8"))["change"]
    rules = max(GRID, key=lambda one: f1(TextReader(corrected([]), one), phrases, counted))
    kept: list[Change] = []
    best = f1(TextReader(corrected([]), rules), phrases, counted)
    for change in changes:
        score = f1(TextReader(corrected([*kept, change]), rules), phrases, counted)
        if score > best:
            kept, best = [*kept, change], score
    return TextReader(corrected(kept), rules)


def corrected(changes: Sequence[Change]) -> Vocabulary:
    """LesaNet's terms with some of the corrections."""
    return Vocabulary(corrected_terms(changes))


def f1(reader: TextReader, phrases: Sequence[LabelledPhrase], counted: Collection[str]) -> float:
    """The micro F1 of a reader."""
    kept = frozenset(counted)
    right = invented = missed = 0
    for one in phrases:
        read = kept.intersection(reader.read(one.text).relevant)
        true = kept & one.terms
        right += len(true & read)
        invented += len(read - true)
        missed += len(true - read)
    return 2 * right / (2 * right + invented + missed)


if __name__ == "__main__":
    main()
