"""Mixed reading and writing on a running service: no error, nothing lost, no growth."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
from service_process import Client, Served, form
from service_workload import image_fields

from retrieval.lesion import Lesion
from retrieval.sources.deeplesion.archive import DeepLesionArchive

CLIENTS = 4


def soak(served: Served, archive: DeepLesionArchive, seconds: float) -> dict[str, Any]:
    """Mixed reading and writing by four clients, and memory from after the warm-up to the end."""
    errors: list[str] = []
    counts = [0] * CLIENTS
    before = json.loads(Client(served.port).ask("GET", "/readyz")[1])["lesions"]
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        client, rng = Client(served.port), np.random.default_rng(number)
        while time.monotonic() < until and len(errors) < 20:
            lesion = archive.lesions[rng.integers(len(archive.lesions))]
            counts[number] += _round(client, archive, lesion, number, errors)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(_warm_up_s(seconds))
    memory = [served.memory_mb()]
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(5.0, seconds / 20))
        memory.append(served.memory_mb())
    after = json.loads(Client(served.port).ask("GET", "/readyz")[1])["lesions"]
    if after != before:
        errors.append(f"{before} lesions before, {after} after")
    grown = memory[-1] - memory[0]
    return {
        "seconds": seconds,
        "requests": sum(counts),
        "errors": len(errors),
        "first_errors": errors[:3],
        "memory_after_warm_up_mb": round(memory[0], 1),
        "memory_at_end_mb": round(memory[-1], 1),
        "memory_on_the_way_mb": [round(one, 1) for one in memory[:: max(1, len(memory) // 30)]],
        "grown": grown > max(50.0, 0.1 * memory[0]),
    }


def _warm_up_s(seconds: float) -> float:
    """A tenth, but long enough for every library to have its memory."""
    return min(max(20.0, seconds / 10), seconds / 2)


def _round(
    client: Client, archive: DeepLesionArchive, lesion: Lesion, number: int, errors: list[str]
) -> int:
    """Search, add, find, look at, and remove one lesion; returns the number of requests."""
    fields, _ = image_fields(archive, lesion)
    own = {"patient_id": f"soak{number}", "study_id": f"soak{number}_01"}
    added_fields = {name: fields[name] for name in ("file", "box", "spacing")} | own
    steps: list[tuple[int, str, str, bytes]] = [
        (200, "POST", "/v1/search", form(fields)),
        (200, "GET", f"/v1/lesions/{lesion.lesion_id}/similar", b""),
        (200, "GET", f"/v1/lesions/{lesion.lesion_id}/image.png", b""),
        (200, "GET", f"/v1/patients/{lesion.patient_id}/tracks", b""),
        (201, "POST", "/v1/lesions", form(added_fields)),
    ]
    content = b"{}"
    for wanted, method, path, body in steps:
        status, content = client.ask(method, path, body)
        if status != wanted:
            errors.append(f"{method} {path}: {status} {content[:200]!r}")
            return len(steps)
    path = f"/v1/lesions/{json.loads(content)['lesion_id']}"
    for wanted, method, where in (
        (200, "GET", path),
        (200, "GET", f"{path}/similar"),
        (204, "DELETE", path),
        (404, "GET", path),
    ):
        status, content = client.ask(method, where)
        if status != wanted:
            errors.append(f"{method} of an added lesion: {status} {content[:200]!r}")
    return len(steps) + 4
