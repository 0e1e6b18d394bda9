"""Kills the service amid additions and removals over HTTP, with a full disk in between.

Two clients add lesions with their pixels and remove them, each its own lesions. The service is
killed (SIGKILL) at a random moment; in every third round the disk is full for a while before
that (no file of the service's process may grow beyond a random size). Then the index is opened,
as the next start does, and compared with what the clients were told:

* lost: a lesion that was acknowledged and is not there, or not as it was added last;
* resurrected: a lesion whose removal was acknowledged and that is there;
* orphaned: a folder of pixels that no lesion names; and lesions without their very pixels.

A request that was in flight may have happened or not; one that was refused must not have.

    python -m benchmarks.crash_http --kills 100 --out benchmarks/results/crash_http.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crash_client import LESIONS, Client, Told, lesion_id
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import Embedding
from retrieval.patch import Patch, PatchSpec
from retrieval.pixel_hash import pixel_hash
from retrieval.sources.deeplesion.png import read_deeplesion_png
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards.connections import server_config
from service.http.settings import Settings

CLIENTS = 2
LONGEST_LIFE_S = 1.5
WARM_SHARE = 0.85
"""Of the kills come after the first addition; the others at any moment from the start on."""

FULL_EVERY = 3
LONGEST_FULL_S = 0.4
LARGEST_FILE = 300_000
READY_S = 120.0


class MeanEncoder:
    """The patch's middle plane, shrunk and centred: the pixels decide, and nothing is loaded."""

    name = "means"
    fingerprint = "means0"
    dimension = 64
    spec = PatchSpec(size_px=32, mm_px=1.5)

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:  # noqa: ARG002
        """Unit vectors (n, 64)."""
        planes = np.stack([patch.hu[1] for patch in patches])
        means = planes.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(len(patches), 64)
        centred = means - means.mean(axis=1, keepdims=True)
        vectors = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        places = np.full((len(patches), 3), 0.5, np.float32)
        return Embedding(vectors.astype(np.float32), places)


def serve(folder: str, port: int) -> None:
    """The process to be killed."""
    import uvicorn

    encoder = MeanEncoder()
    with LesionIndex.open(folder, binding=binding_of(encoder)) as index:
        settings = Settings(
            index=Path(folder), port=port, workers=1, requests_per_s=0, log_level="error"
        )
        app = create_app(settings, engine=SearchEngine(encoder, index))
        uvicorn.Server(server_config(app, settings)).run()


@dataclass
class Tally:
    """What the rounds showed."""

    kills: int = 0
    full_disks: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    killed_during: Counter[str] = field(default_factory=Counter)
    in_flight_kept: int = 0
    in_flight_undone: int = 0
    left_before_start: int = 0
    lost: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether any promise was broken."""
        return bool(self.lost or self.resurrected or self.orphaned or self.other)


def folders_of(index: Path) -> set[str]:
    """The folders of pixels in an index."""
    images = index / "added" / "Images_png"
    return {path.name for path in images.iterdir()} if images.is_dir() else set()


def check(folder: Path, clients: Sequence[Client], tally: Tally) -> Told:
    """Opens the index as the next start does, compares; returns what it really holds."""
    before = folders_of(folder)
    held: Told = {}
    with LesionIndex.open(folder, binding=binding_of(MeanEncoder())) as index:
        tally.left_before_start += len(before) - len(folders_of(folder))
        tally.other += [f"verify: {one.what}" for one in index.verify().problems]
        records = {one.lesion.lesion_id: one for one in index.records(index.vectors()[0])}
        for client in clients:
            for number in range(client.number * LESIONS, (client.number + 1) * LESIONS):
                record = records.pop(lesion_id(number), None)
                tag = None if record is None else record.lesion.tags[0].term
                _compare(client, number, tag, tally)
                held[number] = tag
        tally.other += [f"lesion {name} was never added" for name in records]
        _compare_pixels(index, tally)
    return held


def _compare(client: Client, number: int, tag: str | None, tally: Tally) -> None:
    told = client.told.get(number)
    if client.in_flight is not None and client.in_flight[0] == number:
        wanted = client.in_flight[1]
        if tag == wanted and tag != told:
            tally.in_flight_kept += 1
            return
        tally.in_flight_undone += tag == told
    if tag == told:
        return
    what = f"kill {tally.kills}: lesion {number} is {tag}, {told} was acknowledged"
    (tally.resurrected if told is None else tally.lost).append(what)


def _compare_pixels(index: LesionIndex, tally: Tally) -> None:
    named = set()
    for record in index.records(index.vectors()[0]):
        path = index.images.path_of(record.source)
        named.add(path.parent.name)
        if not path.is_file():
            tally.lost.append(f"kill {tally.kills}: a lesion without its pixels")
            continue
        plane = read_deeplesion_png(path)
        if pixel_hash(plane) != record.source.pixel_hash:
            tally.lost.append(f"kill {tally.kills}: a lesion with other pixels")
    left = folders_of(index.path) - named
    tally.orphaned += [f"kill {tally.kills}: folder {name} is nobody's" for name in sorted(left)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_ready(port: int, service: BaseProcess) -> None:
    """Returns when the service can answer."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and service.is_alive():
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.02)
    raise SystemExit("the service did not become ready")


def wait_for_an_addition(clients: Sequence[Client]) -> None:
    """Returns when the first decoder has come up: until then additions wait for it."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if any(client.answers["add 201"] for client in clients):
            return
        time.sleep(0.005)


def fill_disk(service: BaseProcess, *, size: int, seconds: float) -> None:
    """No file of the service grows beyond a size for a while: what a full disk does to it."""
    assert service.pid is not None
    unlimited = resource.RLIM_INFINITY
    try:
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, unlimited))
        time.sleep(seconds)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    except ProcessLookupError:
        return


def round_of(
    folder: Path, told: Told, tally: Tally, *, rng: np.random.Generator, context: Any
) -> Told:
    """One life of the service; returns what the index holds after it."""
    port = free_port()
    service = context.Process(target=serve, args=(str(folder), port))
    service.start()
    wait_until_ready(port, service)
    own = [{n: told.get(n) for n in range(c * LESIONS, (c + 1) * LESIONS)} for c in range(CLIENTS)]
    clients = [
        Client(number, port, own[number], np.random.default_rng(rng.integers(1 << 62)))
        for number in range(CLIENTS)
    ]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    if rng.random() < WARM_SHARE:
        wait_for_an_addition(clients)
    if tally.kills % FULL_EVERY == 1:
        time.sleep(float(rng.uniform(0, 0.5)))
        size, seconds = int(rng.integers(LARGEST_FILE)), float(rng.uniform(0.1, LONGEST_FULL_S))
        fill_disk(service, size=size, seconds=seconds)
        tally.full_disks += 1
    time.sleep(float(rng.uniform(0, LONGEST_LIFE_S)))
    service.kill()
    service.join()
    for client, thread in zip(clients, threads, strict=True):
        client.is_stopped = True
        thread.join()
        tally.answers += client.answers
        tally.other += client.unexpected
        doing = client.in_flight
        tally.killed_during["nothing" if doing is None else "add" if doing[1] else "remove"] += 1
    tally.kills += 1
    return check(folder, clients, tally)


def run(kills: int, seed: int) -> Tally:
    """``kills`` lives of the service on one index."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["service.http.app", "service.engine.search_engine", "cv2"])
    rng = np.random.default_rng(seed)
    tally, told = Tally(), Told()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        LesionIndex.create(folder, binding_of(MeanEncoder())).close()
        for _ in range(kills):
            told = round_of(folder, told, tally, rng=rng, context=context)
    return tally


def main() -> int:
    """Runs the rounds, writes the JSON; 1 if any promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    started = time.perf_counter()
    tally = run(options.kills, options.seed)
    result = {
        "kills": tally.kills,
        "full_disks": tally.full_disks,
        "lost": tally.lost,
        "resurrected": tally.resurrected,
        "orphaned_after_start": tally.orphaned,
        "other_failures": tally.other,
        "folders_left_before_start": tally.left_before_start,
        "killed_during": dict(sorted(tally.killed_during.items())),
        "in_flight_kept_whole": tally.in_flight_kept,
        "in_flight_undone_whole": tally.in_flight_undone,
        "answers": dict(sorted(tally.answers.items())),
        "seconds": round(time.perf_counter() - started, 1),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
