"""Labels of 32,735 lesions taken over, and a search by words beside the same filter.

    python benchmarks/word_search.py --labels text_mined_labels_171_and_split.json

The lesions have random vectors: only the time is measured. Filter and words are asked on an index
of their own, opened anew, so that neither profits from what the other has read. ``first`` is the
first time on it, after other words have loaded the vocabulary. Later searches ask for another
number of hits each time; ``again`` is the very same search once more. Milliseconds of processor
time, with one thread, so that a busy machine does not tell.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
ROUNDS = 25
LEAST_HITS = 10


def main() -> None:
    """Prints the times as JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("--labels", type=Path, required=True)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        binding = EncoderBinding("random", "random vectors", DIMENSION)
        with LesionIndex.create(Path(folder) / "index", binding) as index:
            index.add(record(number, rng) for number in range(LESIONS))
            start, worked = time.perf_counter(), time.process_time()
            labels = load_labels(given.labels)
            known = vocabulary()
            changed = add_tags(index, {f"row-{one.row}": one.tags(known) for one in labels})
            seconds, worked = time.perf_counter() - start, time.process_time() - worked
        queries = times(Path(folder) / "index")
    found = {
        "labels_s": seconds,
        "labels_processor_s": worked,
        "lesions": changed,
        "queries": queries,
    }
    text = json.dumps(found, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


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


def times(folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds of the first search and the median of later ones, by words and by filter."""
    vector = np.random.default_rng(1).standard_normal(DIMENSION)
    found = {}
    for text, filter_text in QUERIES.items():
        where = LesionFilter.parse(filter_text)
        with LesionIndex.open(folder, read_only=True) as index:
            asked = timed(partial(_by_filter, index, vector, where))
        with LesionIndex.open(folder, read_only=True) as index:
            search = WordSearch(index)
            search.parse("bone")
            words = timed(partial(_by_words, search, text))
            again = timed(partial(_the_same, search, text))[1]
        found[text] = {
            "filter_first_ms": asked[0],
            "filter_ms": asked[1],
            "words_first_ms": words[0],
            "words_ms": words[1],
            "words_again_ms": again,
            "ratio_again": again / asked[1],
            "ratio_first": words[0] / asked[0],
            "ratio": words[1] / asked[1],
        }
    return found


def _by_filter(
    index: LesionIndex, vector: NDArray[np.float64], where: LesionFilter, k: int
) -> object:
    return index.search(vector, k=k, where=where)


def _by_words(search: WordSearch, text: str, k: int) -> object:
    return search.hits(search.parse(text), LesionFilter(), k)


def _the_same(search: WordSearch, text: str, _: int) -> object:
    return _by_words(search, text, LEAST_HITS)


def timed(ask: Callable[[int], object]) -> tuple[float, float]:
    """The first time and the median of the later ones, in ms."""
    taken = []
    for more in range(ROUNDS):
        start = time.process_time()
        ask(LEAST_HITS + more)
        taken.append(1e3 * (time.process_time() - start))
    return taken[0], float(np.median(taken[1:]))


if __name__ == "__main__":
    main()
