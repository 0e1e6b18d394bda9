"""Twenty searches typed as a radiologist types them: a sheet for each, and what came of it.

    python benchmarks/word_sheets.py --index I --out DIR

The searches stand in typed_searches.txt. Each is drawn as ``query --text --figure`` draws it, to be
looked at; ``sheets.json`` tells what was understood, what was not, and of the first hits their
types, sizes and where each term is known from.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from service.engine.query import LesionQuery
from service.engine.results import SearchResult
from service.engine.search_engine import open_engine
from service.figures.pictures import LesionPictures
from service.figures.query import save_figure
from service.figures.result_panels import draw_words_result

SEARCHES = Path(__file__).parent / "typed_searches.txt"
HITS = 8


def main() -> None:
    """Draws the sheets and writes what came of each search."""
    options = argparse.ArgumentParser()
    options.add_argument("--index", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    engine = open_engine(given.index)
    found = []
    with engine.index:
        pictures = LesionPictures(engine.index)
        for number, text in enumerate(SEARCHES.read_text(encoding="utf-8").splitlines(), start=1):
            result = engine.search(LesionQuery.parse(text=text, k=HITS))
            save_figure(draw_words_result(result, pictures), given.out / f"{number:02d}.png")
            found.append({"number": number, "text": text, **told(result)})
    written = json.dumps(found, indent=1)
    (given.out / "sheets.json").write_text(written + "\n", encoding="utf-8")
    print(written)


def told(result: SearchResult) -> dict[str, Any]:
    """What was understood, and what the hits are."""
    words = result.words
    assert words is not None, "a search by words has them"
    reasons = [reason for hit in result.hits for reason in hit.words or ()]
    sources: dict[str, Counter[str]] = {}
    for one in reasons:
        sources.setdefault(one.term, Counter())[one.source.value] += 1
    return {
        "chips": [f"{chip.role.value} {chip.label}" for chip in words.chips],
        "unknown": [one.word for one in words.unknown],
        "hits": len(result.hits),
        "types": dict(Counter(hit.lesion.lesion_type.value for hit in result.hits)),
        "long_mm": [hit.lesion.long_mm and round(hit.lesion.long_mm, 1) for hit in result.hits],
        "known_from": {term: dict(counts) for term, counts in sources.items()},
        "warnings": list(result.warnings),
    }


if __name__ == "__main__":
    main()
