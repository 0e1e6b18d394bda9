"""What the page asks of an index at DeepLesion's true size: time and memory of the service.

    python benchmarks/rehearsal.py index --out big --drawn
    python benchmarks/rehearsal_page.py --out big

Starts ``lesion-search serve`` on the drawn index of a rehearsal and asks what the page asks: its
lesions, the map, the scale of similarities, a patient's timeline, similar lesions of one. Processor
time is the service's own between request and answer. Adds ``page`` to the rehearsal's results.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import psutil
from rehearsal import RESULT
from service_process import Client, Served

from index.lesion_index import LesionIndex

ASKED = {
    "page": "/",
    "list of lesions": "/v1/lesions?limit=100",
    "map, first": "/v1/map",
    "map, again": "/v1/map",
    "similarity, first": "/v1/similarity",
    "similarity, again": "/v1/similarity",
    "patient's timeline": "/v1/patients/{patient}/tracks",
    "similar lesions": "/v1/lesions/{lesion}/similar",
}


def main() -> None:
    """Asks and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the archive of the rehearsal")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    folder = options.out.with_name(options.out.name + "-index")
    with LesionIndex.open(folder) as held:
        count, lesion = held.count(), held.page(limit=1)[0]
    names = {"patient": lesion.patient_id, "lesion": lesion.lesion_id}
    start = time.perf_counter()
    with Served(folder) as served:
        process = psutil.Process(served.process.pid)
        measured: dict[str, object] = {
            "lesions": count,
            "ready_seconds": round(time.perf_counter() - start, 1),
            "ready_processor_seconds": _processor(process),
        }
        client = Client(served.port)
        for name, path in ASKED.items():
            measured[name] = _asked(client, process, path.format(**names))
        measured["memory_mb"] = round(process.memory_info().rss / 1e6)
    measured["load_average"] = round(os.getloadavg()[0], 1)
    kept = json.loads(options.result.read_text()) if options.result.is_file() else {}
    options.result.write_text(json.dumps({**kept, "page": measured}, indent=1) + "\n", "utf-8")
    print(json.dumps(measured, indent=1))


def _asked(client: Client, process: psutil.Process, path: str) -> dict[str, float]:
    start, before = time.perf_counter(), _processor(process)
    status, content = client.ask("GET", path)
    if status != 200:
        raise SystemExit(f"GET {path} answered {status}: {content[:200]!r}")
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "processor_seconds": round(_processor(process) - before, 2),
        "kb": round(len(content) / 1000),
    }


def _processor(process: psutil.Process) -> float:
    """Seconds of the service and of the processes that it started."""
    every = [process, *process.children(recursive=True)]
    return round(sum(sum(one.cpu_times()[:2]) for one in every), 2)


if __name__ == "__main__":
    main()
