"""10,000 fuzzed requests to a service in a process of its own; run from the project's root.

    python -m benchmarks.fuzz [--requests 10000] [--seconds S] [--seed 0] [--out REPORT.json]

Of ten requests six carry mutated files of every accepted kind (with LESION_SEARCH_REAL_DATA also
real slices), three are what schemathesis makes of the OpenAPI document, and one is a filter of the
grammar's pieces or half a character in JSON or a form. All the while 12 clients ask and do not read
and 12 send a byte now and then; another process asks for ``/healthz`` every 50 ms. It fails on any
5xx but 503 that says when to come back, a process or descriptor too many, memory that does not come
back, a 99th percentile of ``/healthz`` of 100 ms or more, or an honest query that answers otherwise
than before. With ``--seconds`` it ends early; the report has the number that was sent.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_service import FuzzedService
from service.http.app import create_app
from service.http.settings import Settings
from tests.service import hostile
from tests.service.http.fuzzing import (
    FuzzReport,
    OverTheWire,
    fuzz_files,
    fuzz_schema,
    honest_files,
)
from tests.service.http.fuzzing_text import fuzz_characters, fuzz_filters
from tests.service.http.slow_clients import SlowClients

ALLOWED_GROWTH_MB = 100
ALLOWED_HEALTH_MS = 100.0
WARM_UP = 300
SLOW = 12


def main() -> int:
    """Runs the fuzz and writes its report; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        document = run(Path(folder), arguments)
    text = json.dumps(document, indent=2) + "\n"
    if arguments.out is not None:
        arguments.out.write_text(text)
    sys.stdout.write(text)
    return 1 if document["failures"] else 0


def run(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """The fuzz over a small index of phantoms; what was answered, and what was left behind."""
    report = FuzzReport()
    rng = np.random.default_rng(asked.seed)
    files = {**honest_files(), **real_files()}
    load = round(os.getloadavg()[0], 1)
    start = time.perf_counter()
    with FuzzedService(folder) as service:
        send = OverTheWire(service.port)
        before = honest_hits(send)
        fuzz_files(send, report, count=WARM_UP, rng=rng, files=files)
        level = service.usage()
        service.start_probing()
        with SlowClients(service.port, readers=SLOW, writers=SLOW) as slow:
            schema_requests(send, report, asked)
            while sent(report) < asked.requests and time.perf_counter() - start < asked.seconds:
                left = asked.requests - sent(report)
                fuzz_files(send, report, count=min(left, 80), rng=rng, files=files)
                fuzz_filters(send, report, count=min(left, 8), rng=rng)
                fuzz_characters(send, report, count=min(left, 8), rng=rng)
        health = service.health_ms()
        after = honest_hits(send)
        time.sleep(5)
        end = service.usage()
    failures = [*report.failures, *left_behind(level, end, service.left_behind)]
    if after != before:
        failures.append("the honest query answers otherwise than before")
    if health["p99"] >= ALLOWED_HEALTH_MS:
        failures.append(f"/healthz took {health['p99']} ms at the 99th percentile")
    return {
        "requests": sent(report),
        "seconds": round(time.perf_counter() - start, 1),
        "load_of_the_machine_before": load,
        "statuses": {str(status): n for status, n in sorted(report.statuses.items())},
        "slow_clients": {"readers": SLOW, "writers": SLOW, "connections": slow.reopened},
        "healthz_ms": health,
        "after_warm_up": level,
        "at_the_end": end,
        "failures": failures[:50],
    }


def sent(report: FuzzReport) -> int:
    """Requests so far."""
    return sum(report.statuses.values())


def schema_requests(
    send: Callable[..., Any], report: FuzzReport, asked: argparse.Namespace
) -> None:
    """The share that schemathesis makes: of three in ten, or less where the time is short."""
    document = create_app(Settings(index=Path("unused"))).openapi()
    operations = sum(len(methods) for methods in document["paths"].values())
    share = 0.3 if math.isinf(asked.seconds) else 0.05
    examples = max(1, round(share * asked.requests / operations))
    fuzz_schema(send, report, document=document, examples=examples, seeded=asked.seed)


def left_behind(level: dict[str, int], end: dict[str, int], processes: int) -> list[str]:
    """What the service uses at the end and did not after the warm-up."""
    found = []
    if (
        end["processes"] > end["other_processes"] + 2
        or end["other_processes"] > (level["other_processes"])
    ):
        found.append(f"{end['processes']} child processes")
    if end["descriptors"] > level["descriptors"] + 8:
        found.append(f"descriptors grew from {level['descriptors']} to {end['descriptors']}")
    if end["memory_mb"] > level["memory_mb"] + ALLOWED_GROWTH_MB:
        found.append(f"memory grew from {level['memory_mb']} to {end['memory_mb']} MB")
    if processes:
        found.append(f"{processes} processes live on after the service has ended")
    return found


def real_files() -> dict[str, bytes]:
    """A real slice, where real CT is at hand."""
    root = os.environ.get("LESION_SEARCH_REAL_DATA")
    if not root:
        return {}
    found = sorted((Path(root) / "deeplesion_sample").rglob("*.png"))
    found += sorted((Path(root) / "sarcoma_ct").rglob("*.dcm"))
    chosen = [found[0], found[-1]] if found else []
    return {f"real {path.suffix[1:]}": path.read_bytes() for path in chosen}


def honest_hits(send: Callable[..., Any]) -> object:
    """What the index holds of livers for an honest slice: the fuzz adds none."""
    fields = {"box": hostile.BOX, "spacing": hostile.SPACING, "where": "type=liver"}
    answer = send("POST", "/v1/search", files={"file": ("x", hostile.png())}, data=fields)
    answer.raise_for_status()
    return answer.json()["hits"]


if __name__ == "__main__":
    sys.exit(main())
