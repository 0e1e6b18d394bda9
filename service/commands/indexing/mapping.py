"""``lesion-search index map``: the map of an index, made once and kept with it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from service.commands.options import IndexOption, JsonFlag, SeedOption
from service.console import answer_fields, answer_json, say


def map_(
    index: IndexOption,
    method: Annotated[str, typer.Option(help="umap or pca.")] = "umap",
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make the page's map of an index; lesions that come later find their place on it."""
    from index.lesion_index import LesionIndex
    from service.jobs.mapping import map_index

    with LesionIndex.open(index) as opened:
        start = time.perf_counter()
        say(f"mapping {opened.count()} lesions by {method}")
        made = map_index(opened, method=method, seed=seed)
    facts = {
        "index": str(index),
        "method": made.method.value,
        "lesions": len(made.points),
        "seconds": round(time.perf_counter() - start, 1),
        "note": made.note or None,
    }
    if as_json:
        answer_json(facts)
    else:
        answer_fields(facts, title="Map")
