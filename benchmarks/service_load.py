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
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from index.catalog import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import Box, ImageSource, Lesion
from retrieval.sources.deeplesion import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from service.cli import main as command
from service.engine import SearchEngine, binding_of, open_engine
from service.indexing import index_archive

OVERHEAD_LIMIT_MS = 3.0
IMAGE_LIMIT_MS = 100.0
CLIENTS = (1, 4, 16)
WARM_UP = 5
BOUNDARY = "lesion-search-benchmark"
SPACING = "{},{},{}"


@dataclass(frozen=True)
class Workload:
    """The queries of one run: HTTP request bodies, and the same by the bare engine."""

    requests: Sequence[tuple[str, str, bytes]]
    calls: Sequence[Callable[[], object]]


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and content of one request."""
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
        self._connection.request(method, path, body=body or None, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def main() -> None:
    """Measures and writes the result; ends with 1 where the soak failed."""
    arguments = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = _prepare(root, arguments)
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
            result["soak"] = _soak(root, archive, arguments)
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


def _prepare(root: Path, arguments: argparse.Namespace) -> DeepLesionArchive:
    """Phantoms, indexed by the bundled encoder, among random vectors."""
    words = ["phantom", root / "archive", "--patients", arguments.patients, "--seed", 0]
    assert command([str(word) for word in words]) == 0
    archive = DeepLesionArchive.open(root / "archive")
    encoder = LesionEncoder.load()
    rng = np.random.default_rng(0)
    with LesionIndex.create(root / "index", binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        missing = max(0, arguments.lesions - index.count())
        vectors = rng.normal(size=(missing, encoder.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index.add(_filler(number, vector) for number, vector in enumerate(vectors))
        index.snapshot()
    return archive


def _filler(number: int, vector: np.ndarray) -> LesionRecord:
    patient = f"filler{number // 7:05d}"
    lesion = Lesion(
        lesion_id=f"{patient}_{number:06d}",
        patient_id=patient,
        study_id=f"{patient}_01",
        series_id=f"{patient}_01_01",
        key_slice_index=number,
        box=Box(10, 10, 30, 30),
        long_mm=20.0,
        short_mm=12.0,
    )
    return LesionRecord(lesion, vector, ImageSource("none", "none.png", (1.0, 1.0), 2.0))


def _measure(root: Path, archive: DeepLesionArchive, arguments: argparse.Namespace) -> Any:
    engine = open_engine(root / "index")
    with engine.index:
        workloads = _workloads(engine, archive, arguments.queries)
        bare = {
            name: _percentiles([_timed(call) for call in work.calls][WARM_UP:])
            for name, work in workloads.items()
        }
    with Served(root / "index", arguments.batch_patches) as served:
        asked = {
            name: {str(clients): _asked(served.port, work.requests, clients) for clients in CLIENTS}
            for name, work in workloads.items()
        }
    overhead = {
        name: round(asked[name]["1"]["p50_ms"] - bare[name]["p50_ms"], 2) for name in workloads
    }
    return {"engine": bare, "service": asked, "overhead_p50_ms": overhead}


def _workloads(
    engine: SearchEngine, archive: DeepLesionArchive, queries: int
) -> dict[str, Workload]:
    rng = np.random.default_rng(1)
    chosen = [archive.lesions[n] for n in rng.choice(len(archive.lesions), queries + WARM_UP)]
    vectors = [engine.index.get(one.lesion_id).vector for one in chosen]
    texts = [",".join(f"{value:.6f}" for value in vector) for vector in vectors]
    depth = engine.encoder.spec.half_depth_mm
    images = [_image(archive, lesion) for lesion in chosen]

    def search_image(lesion: Lesion, path: Path) -> None:
        # The service gets the slice alone; so does the engine, read from its file.
        alone = root_of_one / path.parent.name / path.name
        source = archive.source(lesion)
        spacing = (*source.spacing_mm_px, source.slice_interval_mm)
        slab = open_query_image(alone, spacing_mm=spacing, half_depth_mm=depth)
        engine.search(slab, lesion.box, patient_id=lesion.patient_id, study_id=lesion.study_id)

    root_of_one = Path(tempfile.mkdtemp(dir=archive.root.parent))
    for _, path in images:
        (root_of_one / path.parent.name).mkdir(exist_ok=True)
        (root_of_one / path.parent.name / path.name).write_bytes(path.read_bytes())
    return {
        "vector": Workload(
            [("POST", "/v1/search", _form({"vector": text})) for text in texts],
            [lambda vector=vector: engine.search_vector(vector) for vector in vectors],
        ),
        "lesion": Workload(
            [("GET", f"/v1/lesions/{one.lesion_id}/similar", b"") for one in chosen],
            [lambda one=one: engine.search_lesion(one.lesion_id) for one in chosen],
        ),
        "image": Workload(
            [("POST", "/v1/search", _form(fields)) for fields, _ in images],
            [
                lambda one=one, path=path: search_image(one, path)
                for one, (_, path) in zip(chosen, images, strict=True)
            ],
        ),
    }


def _image(archive: DeepLesionArchive, lesion: Lesion) -> tuple[dict[str, str | bytes], Path]:
    source = archive.source(lesion)
    path = archive.root / source.image
    fields: dict[str, str | bytes] = {
        "file": path.read_bytes(),
        "box": ",".join(str(edge) for edge in lesion.box.to_list()),
        "spacing": SPACING.format(*source.spacing_mm_px, source.slice_interval_mm),
        "patient_id": lesion.patient_id,
        "study_id": lesion.study_id,
    }
    return fields, path


def _form(fields: dict[str, str | bytes]) -> bytes:
    parts = []
    for name, value in fields.items():
        named = f'form-data; name="{name}"' + ('; filename="x"' if name == "file" else "")
        content = value if isinstance(value, bytes) else value.encode()
        head = f"--{BOUNDARY}\r\nContent-Disposition: {named}\r\n\r\n".encode()
        parts.append(head + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


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


class Served:
    """The service as a process of its own, for as long as the context lasts."""

    def __init__(self, index: Path, batch_patches: int) -> None:
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        words = [sys.executable, "-m", "service.cli", "serve", "--index", str(index)]
        environment = {
            **os.environ,
            "LESION_SEARCH_BATCH_PATCHES": str(batch_patches),
            "LESION_SEARCH_LOG_LEVEL": "warning",
            "LESION_SEARCH_REQUESTS_PER_S": "0",
        }
        self.process = subprocess.Popen([*words, "--port", str(self.port)], env=environment)

    def __enter__(self) -> Served:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if Client(self.port).ask("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.2)
        self.__exit__()
        raise SystemExit("the service did not become ready")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory_mb(self) -> float:
        """Of the service and its decoders."""
        service = psutil.Process(self.process.pid)
        family = [service, *service.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 2**20


def _soak(root: Path, archive: DeepLesionArchive, arguments: argparse.Namespace) -> Any:
    """Mixed reading and writing by four clients, and memory from after the warm-up to the end."""
    errors: list[str] = []
    counts = [0] * 4
    with Served(root / "index", arguments.batch_patches) as served:
        before = json.loads(Client(served.port).ask("GET", "/readyz")[1])["lesions"]
        until = time.monotonic() + arguments.soak

        def work(number: int) -> None:
            client, rng = Client(served.port), np.random.default_rng(number)
            while time.monotonic() < until and len(errors) < 20:
                lesion = archive.lesions[rng.integers(len(archive.lesions))]
                counts[number] += _round(client, archive, lesion, number, errors)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(_warm_up_s(arguments.soak))
        memory = [served.memory_mb()]
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(5.0, arguments.soak / 20))
            memory.append(served.memory_mb())
        after = json.loads(Client(served.port).ask("GET", "/readyz")[1])["lesions"]
    if after != before:
        errors.append(f"{before} lesions before, {after} after")
    grown = memory[-1] - memory[0]
    return {
        "seconds": arguments.soak,
        "requests": sum(counts),
        "errors": len(errors),
        "first_errors": errors[:3],
        "memory_after_warm_up_mb": round(memory[0], 1),
        "memory_at_end_mb": round(memory[-1], 1),
        "grown": grown > max(50.0, 0.1 * memory[0]),
    }


def _warm_up_s(seconds: float) -> float:
    """A tenth, but long enough for every library to have its memory."""
    return min(max(20.0, seconds / 10), seconds / 2)


def _round(
    client: Client, archive: DeepLesionArchive, lesion: Lesion, number: int, errors: list[str]
) -> int:
    """Search, add, find, look at, and remove one lesion; returns the number of requests."""
    fields, _ = _image(archive, lesion)
    own = {"patient_id": f"soak{number}", "study_id": f"soak{number}_01"}
    added_fields = {name: fields[name] for name in ("file", "box", "spacing")} | own
    steps: list[tuple[int, str, str, bytes]] = [
        (200, "POST", "/v1/search", _form(fields)),
        (200, "GET", f"/v1/lesions/{lesion.lesion_id}/similar", b""),
        (200, "GET", f"/v1/lesions/{lesion.lesion_id}/image.png", b""),
        (200, "GET", f"/v1/patients/{lesion.patient_id}/tracks", b""),
        (201, "POST", "/v1/lesions", _form(added_fields)),
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


if __name__ == "__main__":
    main()
