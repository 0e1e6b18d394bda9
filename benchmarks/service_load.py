"""The HTTP service under load, against the bare engine in the same run.

    python benchmarks/service_load.py                phantoms, index and both measurements
    python benchmarks/service_load.py --soak 1800    then mixed reading and writing for half an hour

Starts `lesion-search serve` on loopback over an index of phantoms whose vectors are filled up to
`--lesions` with random unit vectors, and asks it three kinds of query: a bare vector, an indexed
lesion, and an image with its box. With one client each query is put to the bare engine in this
process and to the service in turn; then 4 and 16 clients ask at once. Prints and writes p50, p95
and p99 in ms and the queries a second. Limits: at most 3 ms more than the engine at p50 with one
client, and an image under 100 ms at p50 on two cores. What micro-batching brings is measured by two
services, with and without it, that the same crowds ask for images in turn.

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
from service_workload import Workload, prepare, workloads

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import open_engine

OVERHEAD_LIMIT_MS = 3.0
IMAGE_LIMIT_MS = 100.0
CROWDS = (4, 16)
WARM_UP = 5
BATCH_PATCHES = 16
BATCHING_ROUNDS = 4

Requests = Sequence[tuple[str, str, bytes]]


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
            "processors": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
            "machine": platform.machine(),
            "overhead_limit_ms": OVERHEAD_LIMIT_MS,
            "image_limit_ms": IMAGE_LIMIT_MS,
        }
        if not arguments.soak_only:
            result |= _measure(root, archive, arguments)
        if arguments.soak:
            with Served(root / "index") as served:
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
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of mixed load")
    parser.add_argument("--soak-only", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/service.json"))
    return parser.parse_args()


def _measure(root: Path, archive: DeepLesionArchive, arguments: argparse.Namespace) -> Any:
    engine = open_engine(root / "index")
    engine.index.preload()
    with (
        engine.index,
        Served(root / "index", batch_patches=BATCH_PATCHES) as together,
        Served(root / "index", batch_patches=1) as alone,
    ):
        asked_of = workloads(engine, archive, arguments.queries + WARM_UP)
        bare, one = {}, {}
        for name, work in asked_of.items():
            bare[name], one[name] = _side_by_side(work, together.port)
        crowd = {
            name: {str(clients): _crowd(alone.port, work.requests, clients) for clients in CROWDS}
            for name, work in asked_of.items()
        }
        images = asked_of["image"].requests
        batching = _batching({"together": together.port, "alone": alone.port}, images)
    overhead = {name: round(one[name]["p50_ms"] - bare[name]["p50_ms"], 2) for name in asked_of}
    return {
        "engine": bare,
        "one_client": one,
        "overhead_p50_ms": overhead,
        "clients": crowd,
        "batching_image_queries_a_second": batching,
    }


def _side_by_side(work: Workload, port: int) -> tuple[dict[str, float], dict[str, float]]:
    """Each query by the bare engine and over HTTP in turn, so that both see the same machine."""
    client = Client(port)
    bare, asked = [], []
    for call, request in zip(work.calls, work.requests, strict=True):
        bare.append(_timed(call))
        asked.append(_timed(lambda request=request: _answered(client, request)))
    return _percentiles(bare[WARM_UP:]), _percentiles(asked[WARM_UP:])


def _batching(ports: dict[str, int], images: Requests) -> Any:
    """Image queries a second with micro-batching and without, in turn; medians of the rounds."""
    seconds: dict[str, dict[str, list[float]]] = {
        str(clients): {name: [] for name in ports} for clients in CROWDS
    }
    for _ in range(BATCHING_ROUNDS):
        for clients in CROWDS:
            for name, port in ports.items():
                found = _crowd(port, images, clients)
                seconds[str(clients)][name].append(found["queries_a_second"])
    return {
        clients: {name: float(np.median(rates)) for name, rates in of.items()}
        for clients, of in seconds.items()
    }


def _crowd(port: int, requests: Requests, clients: int) -> dict[str, float]:
    """Every request once, by that many clients at once."""
    local = threading.local()

    def ask(request: tuple[str, str, bytes]) -> float:
        if not hasattr(local, "client"):
            local.client = Client(port)
        return _timed(lambda: _answered(local.client, request))

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, requests[:clients]))
        start = time.perf_counter()
        times = list(pool.map(ask, requests))
        seconds = time.perf_counter() - start
    return {**_percentiles(times), "queries_a_second": round(len(times) / seconds, 1)}


def _answered(client: Client, request: tuple[str, str, bytes]) -> None:
    status, content = client.ask(*request)
    assert status == 200, content


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": round(float(np.percentile(times, share)), 2) for share in (50, 95, 99)}


if __name__ == "__main__":
    main()
