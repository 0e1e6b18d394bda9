"""Exact search beside other engines: the same vectors, the same queries, one run.

    python benchmarks/search.py --size 32735 1000000 --milvus http://127.0.0.1:19530 \
        --peers-python PEERS/bin/python

Vectors of 256 numbers, made from a seed: a centre for each hundred vectors, drawn from a Gaussian
of 32 dimensions; around it a Gaussian of ``SPREAD`` of that width; both turned into the 256
dimensions, with a little noise in all of them, then of unit norm. Queries are further draws around
the same centres. Trained embeddings cluster like this; that flatters inverted files, whose cells
are clusters, and graphs less. Exact search does not care. Lesion i is of patient i // 8 and of type
i % 9; each query of the row "one patient" names another patient.

Every engine runs in a process of its own (benchmarks/search_worker.py) and is asked one query at a
time, in blocks of 20 that alternate between the engines, so that all see the same disturbances.
Times are those of the engine's caller; the processor time of its process is taken too, which other
programs lengthen less. Recall@10 is against NumPy, within the filter.

The peers are no dependencies of this program. Their environment, and the server:

    python -m venv PEERS
    PEERS/bin/pip install pgserver==0.1.4 'psycopg[binary]==3.3.9' pgvector==0.5.1 \
        qdrant-client==1.20.0 milvus-lite==3.2.2 pymilvus==3.0.2
    python -m venv SERVER && SERVER/bin/pip install milvus==2.3.5
    SERVER/bin/milvus-server --data DIR --proxy-port 19530

An engine that cannot be had or takes longer to fill than ``--fill-limit``, is named in the result
with the reason. Writes benchmarks/results/search.json and the tables of docs/benchmarks.md; a size
measured before stays in both.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_page import table, write, write_page
from search_task import DIMENSION, HITS, LESIONS_A_PATIENT, ROWS, TYPES, Only, Work, numbers
from search_worker import ENGINES

INNER_DIMENSION = 32
VECTORS_A_CENTRE = 100
SPREAD = 0.6
NOISE = 0.05
BLOCK = 20
WARM_UP = 5
CHUNK = 50_000
FROM_PEERS = frozenset({"milvus-lite", "pgvector", "qdrant-client local"})
HERE = Path(__file__).parent
RESULT = HERE / "results" / "search.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, nargs="+", default=[32_735, 1_000_000])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--milvus", help="the server's address, http://HOST:PORT")
    parser.add_argument("--peers-python", type=Path, help="Python of the peers' environment")
    parser.add_argument("--fill-limit", type=float, default=900.0, help="seconds to fill an engine")
    parser.add_argument("--row-limit", type=float, default=40.0, help="seconds of queries a row")
    parser.add_argument("--folder", type=Path, help="keeps vectors and our index; else deleted")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args(arguments)


def make_work(folder: Path, size: int, options: argparse.Namespace) -> Work:
    """Writes what the workers read; vectors that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    count = options.queries + WARM_UP
    rng = np.random.default_rng(7)
    turn = rng.standard_normal((INNER_DIMENSION, DIMENSION), dtype=np.float32)
    turn /= np.sqrt(INNER_DIMENSION, dtype=np.float32)
    centres = rng.standard_normal((-(-size // VECTORS_A_CENTRE), INNER_DIMENSION), dtype=np.float32)
    if not (folder / "vectors.npy").exists():
        building = folder / "building.npy"
        shape = (size, DIMENSION)
        file = np.lib.format.open_memmap(building, mode="w+", dtype=np.float32, shape=shape)
        for first in range(0, size, CHUNK):
            last = min(first + CHUNK, size)
            file[first:last] = _drawn(last - first, centres, turn, seed=(1, first))
        file.flush()
        building.rename(folder / "vectors.npy")
    np.save(folder / "queries.npy", _drawn(count, centres, turn, seed=(2, 0)))
    asked = np.random.default_rng(3)
    patients = asked.choice(-(-size // LESIONS_A_PATIENT), size=count, replace=count * 8 > size)
    table = {
        "patients": patients.tolist(),
        "types": asked.integers(0, TYPES, count).tolist(),
        "time_box_s": options.fill_limit,
        "milvus": options.milvus,
    }
    (folder / "table.json").write_text(json.dumps(table))
    return Work(folder)


def _drawn(
    count: int,
    centres: NDArray[np.float32],
    turn: NDArray[np.float32],
    *,
    seed: tuple[int, int],
) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    inner = centres[rng.integers(0, len(centres), count)]
    inner = inner + SPREAD * rng.standard_normal(inner.shape, dtype=np.float32)
    drawn: NDArray[np.float32] = inner @ turn
    drawn += NOISE * rng.standard_normal(drawn.shape, dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


class Worker:
    """An engine's process."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        python = options.peers_python if name in FROM_PEERS else Path(sys.executable)
        self.facts: dict[str, Any] = {"lacking": "no environment for it: give --peers-python"}
        if python is None:
            return
        script = str(HERE / "search_worker.py")
        self._process = subprocess.Popen(
            [str(python), script, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(name),
        )
        self.facts = self._answer(2 * options.fill_limit + 60)

    @property
    def is_ready(self) -> bool:
        """Whether it can be asked."""
        return "lacking" not in self.facts

    def ask(self, row: str, first: int, last: int) -> dict[str, Any]:
        """Milliseconds and hits of these queries."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"row": row, "first": first, "last": last}) + "\n")
        self._process.stdin.flush()
        answer = self._answer(600.0)
        if "lacking" in answer:
            self.facts = answer
        return answer

    def close(self) -> None:
        """Ends the process, by force if it does not end."""
        if not hasattr(self, "_process"):
            return
        try:
            self._process.communicate("\n", timeout=120)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            self._process.kill()
            return {"lacking": f"no answer within {limit_s:.0f} s"}
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"lacking": "its process ended"}
        return answer


def _environment(name: str) -> dict[str, str]:
    """This program sets its threads itself; NumPy is told by its environment."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if name == "NumPy" else {}
    return {**os.environ, **one_thread, "PYTHONPATH": str(HERE.parent)}


def nearest(work: Work, row: str, count: int) -> list[set[int]]:
    """The right answers of the first ``count`` queries."""
    groups: dict[Only, list[int]] = {}
    for query in range(count):
        groups.setdefault(work.only(row, query), []).append(query)
    right: list[set[int]] = [set()] * count
    for only, members in groups.items():
        wanted = numbers(only, len(work.vectors))
        for query, best in zip(members, _best(work, members, wanted), strict=True):
            right[query] = set(best.tolist())
    return right


def _best(work: Work, members: list[int], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    queries = work.queries[members]
    labels = np.empty((len(members), 0), dtype=np.int64)
    similarities = np.empty((len(members), 0), dtype=np.float32)
    for first in range(0, len(wanted), CHUNK):
        chunk = wanted[first : first + CHUNK]
        likeness = queries @ work.vectors[chunk].T
        labels = np.hstack([labels, np.broadcast_to(chunk, likeness.shape)])
        similarities = np.hstack([similarities, likeness])
        order = np.argsort(-similarities, axis=1)[:, :HITS]
        labels = np.take_along_axis(labels, order, axis=1)
        similarities = np.take_along_axis(similarities, order, axis=1)
    return labels


def ask_all(
    workers: dict[str, Worker], row: str, *, queries: int, limit_s: float
) -> dict[str, dict[str, list[Any]]]:
    """Every engine's times and hits in a row, block by block, each block another engine first."""
    names = [name for name, worker in workers.items() if worker.is_ready]
    got: dict[str, dict[str, list[Any]]] = {
        name: {"ms": [], "cpu_ms": [], "hits": []} for name in names
    }
    for name in names:
        workers[name].ask(row, queries, queries + WARM_UP)
    for block, first in enumerate(range(0, queries, BLOCK)):
        turn = block % max(1, len(names))
        for name in names[turn:] + names[:turn]:
            mine = got[name]
            if sum(mine["ms"]) > 1000 * limit_s or not workers[name].is_ready:
                continue
            answer = workers[name].ask(row, first, min(first + BLOCK, queries))
            for field in mine:
                mine[field] += answer.get(field, [])
    return got


def summary(got: dict[str, list[Any]], right: list[set[int]]) -> dict[str, Any]:
    """One cell of the table."""
    taken = np.array(got["ms"])
    p50, p99 = np.percentile(taken, (50, 99))
    shares = [
        len(wanted & set(hits)) / len(wanted)
        for wanted, hits in zip(right, got["hits"], strict=False)
    ]
    return {
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "cpu_p50_ms": round(float(np.median(got["cpu_ms"])), 3),
        "queries_a_second": round(1000 / float(taken.mean()), 1),
        "recall_at_10": round(float(np.mean(shares)), 4),
        "queries": len(taken),
    }


def measured(folder: Path, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Every engine and row at one size."""
    work = make_work(folder, size, options)
    right = {row: nearest(work, row, options.queries) for row in ROWS}
    before = os.getloadavg()[0]
    workers: dict[str, Worker] = {}
    try:
        for name in options.engines:
            started = time.perf_counter()
            workers[name] = Worker(name, folder, options)
            seconds = time.perf_counter() - started
            print(f"{size:,} {name}: {workers[name].facts} in {seconds:.0f} s", flush=True)
        engines: dict[str, Any] = {}
        for row in ROWS:
            rows = ask_all(workers, row, queries=options.queries, limit_s=options.row_limit)
            for name, got in rows.items():
                if got["ms"]:
                    engines.setdefault(name, {})[row] = summary(got, right[row])
                    print(f"{size:,} {row} {name}: {engines[name][row]}", flush=True)
        for name, worker in workers.items():
            engines[name] = {**worker.facts, **engines.get(name, {})}
    finally:
        for worker in workers.values():
            worker.close()
    load = [round(before, 2), round(os.getloadavg()[0], 2)]
    return {"size": size, "load_average_before_and_after": load, "engines": engines}


def main() -> None:
    """Measures each size and writes the results."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = options_of()
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.size:
            folder = (options.folder or Path(scratch)) / f"search-{size}"
            run = measured(folder.absolute(), size, options)
            runs = write(options.out, run)
            if options.out == RESULT:
                write_page(PAGE, runs)
            print(table(run), flush=True)


if __name__ == "__main__":
    main()
