"""A real cluster of several nodes, one of which is killed on the way."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from index.lesion_index import LesionIndex
from tests.service.cluster.samples import assert_same
from tests.service.cluster.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[3]
TRIES = 5


@dataclass
class Nodes:
    """A running cluster: its address and the raylets of its nodes, the head's first."""

    address: str
    raylets: list[psutil.Process]
    environment: dict[str, str]

    def build(self, archive: Path, out: Path, encoder: Path) -> subprocess.Popen[str]:
        options = {"archive": archive, "out": out, "encoder": encoder, "ray": self.address}
        given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", "index", "build", *given, "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # Ray puts sockets below this folder: their path must be short.
    scratch = tempfile.mkdtemp(prefix="ls-", dir="/tmp")
    (Path(scratch) / "ray").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_TMPDIR": scratch,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Ray's own switch for listening on the loopback address alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "OMP_NUM_THREADS": "1",
        # By default workers run at nice 15 and starve beside whatever else the machine does.
        "RAY_worker_niceness": "0",
    }
    keeper, started = start_nodes(environment)
    family = psutil.Process(keeper.pid).children(recursive=True)
    try:
        raylets = [psutil.Process(pid) for pid in started["raylets"]]
        yield Nodes(started["address"], raylets, environment)
    finally:
        keeper.communicate(timeout=PATIENCE_S)
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=10)
        shutil.rmtree(scratch, ignore_errors=True)


def start_nodes(environment: dict[str, str]) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Two nodes and what holds them. Ray gives a node 30 s to start: a busy machine needs tries."""
    for _ in range(TRIES):
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.service.ray_nodes", "2"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert keeper.stdout is not None
        if said := keeper.stdout.readline():
            return keeper, json.loads(said)
        keeper.communicate(timeout=PATIENCE_S)
    raise AssertionError(f"no Ray cluster came up in {TRIES} tries")


def suspended_over_a_shard(raylet: psutil.Process) -> psutil.Process | None:
    """The node's worker, stopped while it works on a shard; None if none does at this moment."""
    for worker in raylet.children():
        if is_embedding(worker):
            worker.suspend()
            if is_embedding(worker):
                return worker
            worker.resume()
    return None


def is_embedding(process: psutil.Process) -> bool:
    """Ray writes the method an actor works on into the title of its process."""
    try:
        return "EmbeddingWorker.embed" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def kill_node(raylet: psutil.Process) -> None:
    """What a machine does that loses its power: raylet and workers at once."""
    for process in [raylet, *raylet.children(recursive=True)]:
        process.send_signal(signal.SIGKILL)


def test_a_node_is_killed_on_the_way(
    nodes, archive_folder, archive, encoder_file, tmp_path, built_index
):
    """The second node is killed while its worker is over a shard."""
    out, victim = tmp_path / "index", nodes.raylets[1]
    job = nodes.build(archive_folder, out, encoder_file)

    held: dict[int, psutil.Process] = {}

    def both_are_held() -> bool:
        assert job.poll() is None, job.communicate()[1]
        for raylet in nodes.raylets:
            if raylet.pid not in held and (worker := suspended_over_a_shard(raylet)):
                held[raylet.pid] = worker
        return len(held) == 2

    def count() -> int:
        try:
            with LesionIndex.open(out, read_only=True) as index:
                return index.count()
        except ValueError:
            return 0

    try:
        # The first worker would else be through with all before the second is there.
        wait_until(both_are_held, "a shard on each node")
        held[nodes.raylets[0].pid].resume()
        wait_until(lambda: count() > 0, "shards of the first node")
        assert count() < len(archive.lesions)
        kill_node(victim)
        stdout, stderr = job.communicate(timeout=PATIENCE_S)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0, stderr
    report = json.loads(stdout)
    assert report["added"] == len(archive.lesions)
    assert report["retried_shards"] >= 1
    assert report["lost_workers"] >= 1
    assert report["failed"] == []
    with LesionIndex.open(out) as index:
        assert_same(index, built_index)
