"""The HTTP service under load, against the bare engine in the same run.

    python benchmarks/service_load.py                phantoms, index and both measurements
    python benchmarks/service_load.py --soak 1800    then mixed reading and writing for half an hour

Starts `lesion-search serve` on loopback over an index of phantoms whose vectors are filled up to
`--lesions` with random unit vectors, and asks it with 1, 4 and 16 clients for three kinds of
query: a bare vector, an indexed lesion, and an image with its box. Prints and writes p50, p95 and
p99 in ms and the queries a second of each; the bare engine answers the same queries in this
process before. Limits: at most 3 ms more than the engine at p50 with one client for vector and
indexed lesion, and an image under 100 ms at p50 on two cores. `--batch-patches 1` turns
micro-batching off, so that two runs say what it brings.

The soak adds, searches, reads and removes lesions by four clients and fails on any answer that is
not the expected one, or if the service's memory at the end is 10 % and 50 MB above that after a
warm-up of a tenth of the time, at least 20 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from service_process import Client, Served
from service_soak import soak
from service_workload import prepare, workloads

from retrieval.sources.deeplesion import DeepLesionArchive
from service.engine import open_engine

OVERHEAD_LIMIT_MS = 3.0
IMAGE_LIMIT_MS = 100.0
CLIENTS = (1, 4, 16)
WARM_UP = 5


def main() -> None:
    """Measures and writes the result; ends with 1 where the soak failed."""
    arguments = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = prepare(root, patients=arguments.patients, lesions=arguments.lesions)
        result = {
            "lesions": arguments.lesions,
            "queries": arguments.queries,
            "batch_patches": arguments.batch_patches,
            "processors": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
            "machine": platform.machine(),
            "overhead_limit_ms": OVERHEAD_LIMIT_MS,
            "image_limit_ms": IMAGE_LIMIT_MS,
        }
        if not arguments.soak_only:
            result |= _measure(root, archive, arguments)
        if arguments.soak:
            with Served(root / "index", arguments.batch_patches) as served:
                result["soak"] = soak(served, archive, arguments.soak)
    kept = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**kept, **result}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    if arguments.soak and result["soak"]["errors"] + result["soak"]["grown"]:
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=20, help="phantom patients")
    parser.add_argument("--lesions", type=int, default=30_000, help="size of the index")
    parser.add_argument("--queries", type=int, default=200, help="of each kind and client number")
    parser.add_argument("--batch-patches", type=int, default=16)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of mixed load")
    parser.add_argument("--soak-only", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/service.json"))
    return parser.parse_args()


def _measure(root: Path, archive: DeepLesionArchive, arguments: argparse.Namespace) -> Any:
    engine = open_engine(root / "index")
    with engine.index:
        asked_of = workloads(engine, archive, arguments.queries + WARM_UP)
        bare = {
            name: _percentiles([_timed(call) for call in work.calls][WARM_UP:])
            for name, work in asked_of.items()
        }
    with Served(root / "index", arguments.batch_patches) as served:
        asked = {
            name: {str(clients): _asked(served.port, work.requests, clients) for clients in CLIENTS}
            for name, work in asked_of.items()
        }
    overhead = {
        name: round(asked[name]["1"]["p50_ms"] - bare[name]["p50_ms"], 2) for name in asked_of
    }
    return {"engine": bare, "service": asked, "overhead_p50_ms": overhead}


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _asked(port: int, requests: Sequence[tuple[str, str, bytes]], clients: int) -> Any:
    """Every request once, by that many clients at once."""
    local = threading.local()

    def ask(request: tuple[str, str, bytes]) -> float:
        if not hasattr(local, "client"):
            local.client = Client(port)
        start = time.perf_counter()
        status, content = local.client.ask(*request)
        assert status == 200, content
        return (time.perf_counter() - start) * 1000

    for request in requests[:WARM_UP]:
        ask(request)
    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        times = list(pool.map(ask, requests[WARM_UP:]))
        seconds = time.perf_counter() - start
    return {**_percentiles(times), "queries_a_second": round(len(times) / seconds, 1)}


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": round(float(np.percentile(times, share)), 2) for share in (50, 95, 99)}


if __name__ == "__main__":
    main()
