"""Time from a PNG on disk to the answer, with a warm engine and a given box.

    python benchmarks/query.py --archive demo/archive --index demo/index

Prints and writes the median and the 95th percentile of each step over the queries, in ms, each
query a lesion of the archive with its patient, so that follow-ups are searched too. The limit is
80 ms at the median on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from service.engine.model_files import ModelFiles
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine, open_engine

LIMIT_MS = 80.0
WARM_UP = 5
STEPS = ("read", "patch", "encode", "search", "total")


def main() -> None:
    """Runs the queries and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/query.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    engine = open_engine(arguments.index, ModelFiles(arguments.encoder))
    archive = DeepLesionArchive.open(arguments.archive)
    times = time_queries(engine, archive, queries=arguments.queries)
    measured = {
        "queries": arguments.queries,
        "lesions": engine.index.count(),
        "encoder": engine.encoder.name,
        "torch_threads": arguments.threads,
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "limit_ms": LIMIT_MS,
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


def time_queries(
    engine: SearchEngine, archive: DeepLesionArchive, *, queries: int
) -> list[dict[str, float]]:
    """The steps of each query in ms, after a few that are not counted."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(archive.lesions), size=queries + WARM_UP)
    depth = engine.encoder.spec.half_depth_mm
    times = []
    for number in chosen:
        lesion = archive.lesions[number]
        path = archive.root / archive.source(lesion).image
        start = time.perf_counter()
        slab = open_query_image(path, half_depth_mm=depth)
        read_ms = (time.perf_counter() - start) * 1000
        found = engine.search(
            LesionQuery(lesion.box, patient_id=lesion.patient_id, study_id=lesion.study_id), slab
        )
        times.append(found.with_read_time(read_ms).timing_ms.to_json())
    return times[WARM_UP:]


def percentile(times: list[dict[str, float]], share: float) -> dict[str, Any]:
    """Each step's percentile over the queries."""
    return {
        step: round(float(np.percentile([one[step] for one in times], share)), 2) for step in STEPS
    }


if __name__ == "__main__":
    main()
