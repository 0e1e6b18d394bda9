"""10,000 fuzzed requests to a service within this process; run from the project's root.

    python -m benchmarks.fuzz [--requests 10000] [--seconds S] [--seed 0] [--out REPORT.json]

The requests take the ASGI interface (no socket); uploads are decoded in processes of their own.
Seven of ten requests carry mutated files of every accepted kind (with LESION_SEARCH_REAL_DATA also
real slices), the others are what schemathesis makes of the OpenAPI document. It fails on any 5xx, a
process or descriptor too many, memory that does not come back, or an honest query that answers
otherwise than before. With ``--seconds`` it ends early; the report has the number that was sent.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service import hostile
from tests.service.http.fuzzing import (
    ForgetfulDetector,
    FuzzReport,
    fuzz_files,
    fuzz_schema,
    honest_files,
)
from tests.service.samples import ToyEncoder, write_archive

ALLOWED_GROWTH_MB = 100
WARM_UP = 300


def main() -> int:
    """Runs the fuzz and writes its report; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.environ["LESION_SEARCH_ALLOWED_HOSTS"] = '["testserver"]'
    with tempfile.TemporaryDirectory() as folder:
        document = run(Path(folder), arguments)
    text = json.dumps(document, indent=2) + "\n"
    if arguments.out is not None:
        arguments.out.write_text(text)
    sys.stdout.write(text)
    return 1 if document["failures"] else 0


def run(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """The fuzz over a small index of phantoms; what was answered, and what was left behind."""
    count, seed = asked.requests, asked.seed
    write_archive(folder / "archive")
    encoder = ToyEncoder()
    index = LesionIndex.create(folder / "index", binding_of(encoder))
    index_archive(DeepLesionArchive.open(folder / "archive"), index, encoder)
    settings = Settings(
        index=index.path,
        max_body_mb=4,
        max_volume_mb=64,
        max_uploads=4,
        decode_s=20,
        decode_memory_mb=1024,
    )
    app = create_app(settings, engine=SearchEngine(encoder, index, ForgetfulDetector()))
    report = FuzzReport()
    rng = np.random.default_rng(seed)
    files = {**honest_files(), **real_files()}
    start = time.perf_counter()
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        before = honest_hits(client)
        fuzz_files(client.request, report, count=WARM_UP, rng=rng, files=files)
        level = usage()
        document = app.openapi()
        operations = sum(len(methods) for methods in document["paths"].values())
        share = 0.3 if math.isinf(asked.seconds) else 0.05
        examples = max(1, round(share * count / operations))
        fuzz_schema(client.request, report, document=document, examples=examples, seeded=seed)
        left = max(0, count - sum(report.statuses.values()))
        while left > 0 and time.perf_counter() - start < asked.seconds:
            fuzz_files(client.request, report, count=min(left, 100), rng=rng, files=files)
            left -= 100
        after = honest_hits(client)
        gc.collect()
        end = usage()
        decoders = app.state.service.decoders.process_ids()
    index.close()
    failures = list(report.failures)
    if after != before:
        failures.append("the honest query answers otherwise than before")
    if end["processes"] > settings.workers + level["other_processes"]:
        failures.append(f"{end['processes']} child processes, {len(decoders)} of them decoders")
    if end["descriptors"] > level["descriptors"] + 8:
        failures.append(f"descriptors grew from {level['descriptors']} to {end['descriptors']}")
    if end["memory_mb"] > level["memory_mb"] + ALLOWED_GROWTH_MB:
        failures.append(f"memory grew from {level['memory_mb']} to {end['memory_mb']} MB")
    if remaining := [child.pid for child in psutil.Process().children(recursive=True)]:
        failures.append(f"{len(remaining)} processes live on after the service has ended")
    return {
        "requests": sum(report.statuses.values()),
        "seconds": round(time.perf_counter() - start, 1),
        "statuses": {str(status): n for status, n in sorted(report.statuses.items())},
        "after_warm_up": level,
        "at_the_end": end,
        "failures": failures[:50],
    }


def real_files() -> dict[str, bytes]:
    """A real slice, where real CT is at hand."""
    root = os.environ.get("LESION_SEARCH_REAL_DATA")
    if not root:
        return {}
    found = sorted((Path(root) / "deeplesion_sample").rglob("*.png"))
    found += sorted((Path(root) / "sarcoma_ct").rglob("*.dcm"))
    chosen = [found[0], found[-1]] if found else []
    return {f"real {path.suffix[1:]}": path.read_bytes() for path in chosen}


def honest_hits(client: TestClient) -> object:
    """What the index holds of livers for an honest slice: the fuzz adds none."""
    fields = {"box": hostile.BOX, "spacing": hostile.SPACING, "where": "type=liver"}
    files = {"file": ("x", hostile.png())}
    answer = client.post("/v1/search", files=files, data=fields)
    answer.raise_for_status()
    return answer.json()["hits"]


def usage() -> dict[str, int]:
    """Of this process: memory, descriptors, children."""
    process = psutil.Process()
    children = process.children(recursive=True)
    decoders = [child for child in children if "service.decoding.worker" in child.cmdline()]
    return {
        "memory_mb": process.memory_info().rss >> 20,
        "decoder_memory_mb": sum(child.memory_info().rss for child in decoders) >> 20,
        "descriptors": process.num_fds(),
        "processes": len(children),
        "other_processes": len(children) - len(decoders),
    }


if __name__ == "__main__":
    sys.exit(main())
