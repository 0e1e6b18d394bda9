"""Labels of 32,735 lesions taken over, and a search by words beside the same filter.

    python benchmarks/word_search.py --labels text_mined_labels_171_and_split.json

The lesions have random vectors: only the time is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from index.catalog.reader import EncoderBinding, LesionRecord
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.tags import add_tags
from retrieval.labels.lesanet_files import load_labels
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from service.engine.words.search import WordSearch

LESIONS, DIMENSION = 32_735, 256
QUERIES = {
    "calcified lung nodule": "tag=calcified and tag=lung nodule",
    "calcified lung nodule under 1 cm": "tag=calcified and tag=lung nodule and long_mm=..9.999",
    "left kidney cyst": "tag=left kidney and tag=kidney cyst",
    "liver mass larger than 3 cm": "tag=liver mass and long_mm=30.001..",
    "right hilar lymph node": "tag=right hilum lymph node",
}
ROUNDS = 15


def main() -> None:
    """Prints the times as JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("--labels", type=Path, required=True)
    given = options.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        binding = EncoderBinding("random", "random vectors", DIMENSION)
        with LesionIndex.create(Path(folder) / "index", binding) as index:
            index.add(record(number, rng) for number in range(LESIONS))
            start = time.perf_counter()
            labels = load_labels(given.labels)
            known = vocabulary()
            changed = add_tags(index, {f"row-{one.row}": one.tags(known) for one in labels})
            seconds = time.perf_counter() - start
            print(json.dumps({"labels_s": seconds, "lesions": changed, "queries": times(index)}))


def record(number: int, rng: np.random.Generator) -> LesionRecord:
    """A lesion in the row of that number."""
    vector = rng.standard_normal(DIMENSION).astype(np.float32)
    lesion = Lesion(
        f"row-{number}",
        f"{number // 7:06d}",
        "1",
        "1",
        number,
        Box(10, 10, 40, 40),
        long_mm=float(rng.uniform(4, 60)),
        location=(0.4, 0.5, 0.5),
        lesion_type=list(LesionType)[number % 9],
    )
    unit = vector / np.linalg.norm(vector)
    return LesionRecord(lesion, unit, ImageSource("a", f"{number}.png", (0.8, 0.8), 5.0))


def times(index: LesionIndex) -> dict[str, dict[str, float]]:
    """Milliseconds of the first search and the median of later ones, by words and by filter."""
    search = WordSearch(index)
    vector = np.random.default_rng(1).standard_normal(DIMENSION)
    found = {}
    for text, filter_text in QUERIES.items():
        where = LesionFilter.parse(filter_text)

        def by_words(text: str = text) -> object:
            return search.hits(search.parse(text), LesionFilter(), 10)

        def by_filter(where: LesionFilter = where) -> object:
            return index.search(vector, k=100, where=where)

        first_filter, later_filter = timed(by_filter)
        first_words, later_words = timed(by_words)
        found[text] = {
            "filter_first_ms": first_filter,
            "filter_ms": later_filter,
            "words_first_ms": first_words,
            "words_ms": later_words,
            "ratio": later_words / later_filter,
        }
    return found


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """The first time and the median of the later ones, in ms."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        taken.append(1e3 * (time.perf_counter() - start))
    return taken[0], float(np.median(taken[1:]))


if __name__ == "__main__":
    main()
