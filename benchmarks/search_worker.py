"""One engine of benchmarks/search.py in a process of its own, driven by JSON lines.

    python benchmarks/search_worker.py ENGINE FOLDER

FOLDER holds vectors.npy, queries.npy and table.json as benchmarks/search.py writes them. The first
line on standard output tells what the engine is, or why it cannot be had; then each line
``{"row": "plain", "first": 0, "last": 20}`` is answered by the milliseconds of each of these
queries, as the caller of the engine sees them, and by the numbers found. An empty line ends it.

It needs NumPy and the engine alone, so that an engine whose dependencies are not ours runs in an
environment of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from search_task import Engine, Work

ENGINES = {
    "lesion-search": "search_engines:LesionSearch",
    "lesion-search approximate": "search_engines:LesionSearchApproximate",
    "FAISS flat": "search_engines:FaissFlat",
    "NumPy": "search_engines:NumPy",
    "Milvus server": "search_peers:MilvusServer",
    "milvus-lite": "search_peers:MilvusLite",
    "pgvector": "search_peers:PgVector",
    "qdrant-client local": "search_peers:QdrantLocal",
}


def measured(engine: Engine, work: Work, request: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds, those of this process's processor time, and hits of some queries of a row."""
    taken, worked, found = [], [], []
    for number in range(request["first"], request["last"]):
        query, only = work.queries[number], work.only(request["row"], number)
        started, idle = time.perf_counter(), time.process_time()
        hits = engine.search(query, only)
        worked.append(round((time.process_time() - idle) * 1000, 4))
        taken.append(round((time.perf_counter() - started) * 1000, 4))
        found.append([int(hit) for hit in hits])
    return {"ms": taken, "cpu_ms": worked, "hits": found}


def serve(name: str, folder: Path, answer: Callable[[dict[str, Any]], None]) -> None:
    """Fills the engine and answers until the driver has had enough."""
    module, _, kind = ENGINES[name].partition(":")
    started = time.perf_counter()
    work = Work(folder)
    try:
        engine: Engine = getattr(importlib.import_module(module), kind)(work)
    except Exception as error:
        answer({"lacking": _said(error)})
        return
    with closing(engine):
        answer({"facts": engine.facts(), "fill_s": round(time.perf_counter() - started, 1)})
        for line in sys.stdin:
            if not line.strip():
                return
            try:
                answer(measured(engine, work, json.loads(line)))
            except Exception as error:
                answer({"lacking": _said(error)})
                return


def _said(error: Exception) -> str:
    """An engine's failure in a line."""
    lines = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}: {' '.join(lines)}"[:300]


def main() -> None:
    """Keeps standard output for the answers, whatever an engine prints."""
    # As an exception, so that an engine stops the server it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        serve(sys.argv[1], Path(sys.argv[2]), lambda said: print(json.dumps(said), file=answers))


if __name__ == "__main__":
    main()
