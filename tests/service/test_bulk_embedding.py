from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.sources.deeplesion import DeepLesionArchive
from service.bulk_embedding import BulkEmbeddingError, BulkOptions, index_archive_on_cluster
from service.cli import main
from service.engine import binding_of
from service.ray_cluster import RayClusterError, WorkerLostError, connected
from tests.service.samples import write_archive

ROOT = Path(__file__).parents[2]
PATIENCE_S = 400
"""For a machine that is busy with much else; on a quiet one each step takes seconds."""

TRIES = 5


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"waited {PATIENCE_S} s in vain: {what}")


# --- the scheduling, with workers in this very process -------------------------------------------


@dataclass(eq=False)
class Call:
    actor: int
    method: str
    arguments: tuple[Any, ...]


class Calls:
    """A cluster whose workers run here; ``fate`` says before each call whether its worker dies."""

    def __init__(self, fate: Callable[[int, str, tuple[Any, ...]], bool], room: int = 2) -> None:
        self.fate, self._room = fate, room
        self.workers: list[Any] = []
        self.stopped: set[int] = set()
        self.embedded: list[str] = []
        self.shared: list[Any] = []
        self.turn = 0

    def room(self, *, gpus_per_worker: float) -> int:
        return self._room

    def share(self, content):
        self.shared.append(content)
        return content

    def start(self, worker, *arguments, gpus=0.0):
        self.workers.append(worker(*arguments))
        return len(self.workers) - 1

    def call(self, actor, method, *arguments):
        return Call(actor, method, arguments)

    def first_done(self, asked, *, timeout_s):
        assert len(asked) == len({call.actor for call in asked})
        self.turn += 1
        return asked[self.turn % len(asked)] if asked else None

    def result(self, asked):
        actor, method, arguments = asked.actor, asked.method, asked.arguments
        assert actor not in self.stopped
        if self.fate(actor, method, arguments):
            raise WorkerLostError(f"actor {actor} was killed")
        answer = getattr(self.workers[actor], method)(*arguments)
        if method == "embed":
            self.embedded += arguments[0]
        return answer

    def stop(self, actor) -> None:
        self.stopped.add(actor)


def never(actor, method, arguments) -> bool:
    return False


@pytest.fixture
def index(tmp_path, encoder_file):
    encoder = LesionEncoder.load(encoder_file)
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as opened:
        yield opened


def assert_same(index: LesionIndex, built_index: Path) -> None:
    """The lesions of the plain build, each once, with its own vector, field for field."""
    with LesionIndex.open(built_index, read_only=True) as plain:
        wanted = {one.lesion.lesion_id: one for one in plain.records(plain.vectors()[0])}
    ids, _ = index.vectors()
    assert sorted(ids) == sorted(wanted)
    for record in index.records(ids):
        same = wanted[record.lesion.lesion_id]
        assert (record.lesion, record.source) == (same.lesion, same.source)
        assert np.allclose(record.vector, same.vector, atol=1e-5)
    assert index.verify().sound


def test_shards_hold_each_lesion_once(archive, index, encoder_file, built_index):
    cluster, seen = Calls(never), []
    report = index_archive_on_cluster(
        archive, index, encoder_file, cluster=cluster, progress=lambda *step: seen.append(step)
    )
    total = len(archive.lesions)
    assert sorted(cluster.embedded) == sorted(lesion.lesion_id for lesion in archive.lesions)
    assert report.to_json() == {
        "added": total,
        "already_there": 0,
        "with_repeated_slices": 0,
        "failed": [],
        "workers": 2,
        "lost_workers": 0,
        "shards": 8,
        "retried_shards": 0,
    }
    assert seen[-1] == (total, total)
    assert len(cluster.shared) == 1
    assert cluster.stopped == {0, 1}
    assert_same(index, built_index)


def test_what_dead_workers_held_goes_to_others(archive, index, encoder_file, built_index):
    deaths = iter([False, True, False, True, True])
    cluster = Calls(lambda actor, method, _: method == "embed" and next(deaths, False))
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    assert report.lost_workers == 3
    assert 3 <= report.retried_shards <= 6
    assert report.indexing.added == len(archive.lesions)
    assert len(cluster.embedded) == len(set(cluster.embedded)) == len(archive.lesions)
    assert len(cluster.workers) == 5
    assert cluster.stopped == set(range(5))
    assert_same(index, built_index)


def test_a_lesion_that_kills_every_worker_is_named(archive, index, encoder_file):
    """Its shard is left out after three workers; the shards that waited behind it are not."""
    deadly = archive.lesions[4].lesion_id
    cluster = Calls(lambda actor, method, given: method == "embed" and deadly in given[0])
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    failed = {failure.lesion_id for failure in report.indexing.failed}
    assert deadly in failed
    assert len(failed) == 2
    assert "3 workers died" in report.indexing.failed[0].reason
    assert report.lost_workers == 3
    assert report.indexing.added == index.count() == len(archive.lesions) - 2
    again = index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(never))
    assert (again.indexing.added, again.indexing.already_there) == (2, len(archive.lesions) - 2)


def test_a_second_run_asks_no_worker(archive, index, encoder_file):
    index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(never))
    idle = Calls(never)
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=idle)
    assert (report.indexing.added, report.indexing.already_there) == (0, len(archive.lesions))
    assert not idle.workers


def test_workers_that_die_before_they_are_ready_end_the_job(archive, index, encoder_file):
    cluster = Calls(lambda actor, method, _: method == "prepare")
    with pytest.raises(BulkEmbeddingError, match=r"die before they are ready.*actor \d was killed"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    assert index.count() == 0
    assert cluster.stopped == set(range(len(cluster.workers)))


def test_a_cluster_without_a_worker_is_not_waited_for_without_end(archive, index, encoder_file):
    cluster = Calls(never)
    cluster.first_done = lambda asked, *, timeout_s: None
    with pytest.raises(BulkEmbeddingError, match="no worker of the cluster was ready for 600 s"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)


def test_a_worker_that_sees_another_archive_or_encoder_is_refused(tmp_path, index, encoder_file):
    write_archive(tmp_path / "archive", patients=2)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    table = tmp_path / "archive" / "DL_info.csv"

    def rewrite(actor, method, arguments) -> bool:
        table.write_text(table.read_text().replace("000002", "000003"))
        return False

    with pytest.raises(BulkEmbeddingError, match="is not the one the job was started with"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(rewrite))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(encoder_file.read_bytes()[:-8])
    with pytest.raises(BulkEmbeddingError, match="cannot be read"):
        index_archive_on_cluster(archive, index, cut, cluster=Calls(never))
    assert index.count() == 0


def test_a_lesion_without_its_image_keeps_nobody_out(tmp_path, index, encoder_file):
    write_archive(tmp_path / "archive", patients=2)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    lost = archive.lesions[1]
    (archive.root / archive.source(lost).image).unlink()
    options = BulkOptions(workers=1, largest_shard=4)
    report = index_archive_on_cluster(
        archive, index, encoder_file, cluster=Calls(never), options=options
    )
    assert [failure.lesion_id for failure in report.indexing.failed] == [lost.lesion_id]
    assert "does not exist" in report.indexing.failed[0].reason
    assert index.count() == len(archive.lesions) - 1


# --- what can be wrong with the address ----------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("no-such-host.invalid:6379", "no Ray cluster answers"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        ("ray://127.0.0.1:10001", "no address of a cluster"),
        ("auto", "no address of a cluster"),
        ("", "no address of a cluster"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(
    archive_folder, encoder_file, tmp_path, capsys, address, said
):
    options = ["--archive", archive_folder, "--encoder", encoder_file, "--ray", address]
    out = tmp_path / "index"
    assert main(["index", "build", *map(str, options), "--out", str(out)]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not out.exists()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayClusterError, match=r"pip install 'lesion-search\[ray\]'"):
        connected("local").__enter__()


# --- a real cluster, one of whose nodes is killed ------------------------------------------------


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
