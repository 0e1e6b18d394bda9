"""Kills a writer at random moments and checks that the index it leaves is sound.

A process adds, replaces and removes lesions and saves snapshots without pause, noting in a
journal what it is about to do and what the index has acknowledged. It is killed (SIGKILL) at a
random moment; then the index is opened and compared with the journal: what was acknowledged is
there, the change in flight is there whole or not at all, and ``verify`` finds nothing. The next
process goes on with the same index.

A moment drawn over the whole life of the writer mostly hits its slowest work. Therefore the
kills take turns: any moment from the start of the process on, then a moment drawn within one
addition, one removal, one snapshot, as long as these have been found to take.

    python benchmarks/crash.py --kills 100 --out benchmarks/results/crash.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion

DIMENSION = 64
LESIONS = 3_000
"""How many different lesions there are to add and remove."""

BATCH = 300
LONGEST_LIFE_S = 0.4
AIMS = (None, "add", "remove", "snapshot")
"""What the kills aim at in turn; None is any moment, the opening included."""

OVERSHOOT = 1.2
"""How far past the usual duration of a change a kill that aims at it may come."""

PATIENCE_S = 60.0
"""How long a writer may take to open the index or to begin the change that is aimed at."""

Held = dict[str, int]
"""Lesion id to the seed of the vector it was last given."""


def binding() -> EncoderBinding:
    """The encoder these made-up vectors claim."""
    return EncoderBinding("crash", "random vectors", DIMENSION)


def record(number: int, seed: int) -> LesionRecord:
    """Lesion ``number`` with the vector of ``seed``."""
    drawn = np.random.default_rng((number, seed)).standard_normal(DIMENSION)
    patient = f"{number // 5:06d}"
    lesion = Lesion(
        f"{patient}_{number:05d}", patient, "01", "01", number, Box(0, 0, 10 + number, 20)
    )
    vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return LesionRecord(lesion, vector, ImageSource("archive", "image.png", (1.0, 1.0), 1.0))


def write_without_pause(folder: str, journal: str, seed: int) -> None:
    """The process to be killed: random changes, each noted before and after."""
    rng = np.random.default_rng(seed)
    notes = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(**words: Any) -> None:
        os.write(notes, (json.dumps(words) + "\n").encode())

    with LesionIndex.open(folder, binding=binding()) as index:
        note(ready=True)
        for step in range(1_000_000):
            kind = str(rng.choice(["add", "add", "remove", "snapshot"]))
            size = int(rng.integers(1, BATCH))
            numbers = [int(n) for n in rng.choice(LESIONS, size=size, replace=False)]
            version = seed * 1_000_000 + step
            records = [record(number, version) for number in numbers]
            note(begin=kind, numbers=numbers, version=version)
            started = time.perf_counter()
            if kind == "add":
                index.add(records)
            elif kind == "remove":
                index.remove([one.lesion.lesion_id for one in records])
            else:
                index.snapshot()
            note(done=kind, seconds=time.perf_counter() - started)


@dataclass
class Tally:
    """What the rounds showed."""

    kills: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    killed_during: Counter[str] = field(default_factory=Counter)
    in_flight_kept: int = 0
    in_flight_undone: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_open_s: float = 0.0

    def usual_s(self, kind: str) -> float:
        """The mean duration of a kind of change so far, 20 ms before the first."""
        done = self.acknowledged[kind]
        return self.seconds[kind] / done if done else 0.02


def applied(held: Held, change: dict[str, Any]) -> Held:
    """What is held after a change."""
    after = dict(held)
    for number in change["numbers"]:
        lesion_id = record(number, 0).lesion.lesion_id
        if change["begin"] == "add":
            after[lesion_id] = change["version"]
        elif change["begin"] == "remove":
            after.pop(lesion_id, None)
    return after


def read_journal(journal: Path, held: Held, tally: Tally) -> tuple[Held, dict[str, Any] | None]:
    """What was acknowledged, and the change that was in flight."""
    in_flight: dict[str, Any] | None = None
    # A kill can cut the last line; what it was to announce had then not begun.
    for line in journal.read_text().split("\n")[:-1]:
        words = json.loads(line)
        if "begin" in words:
            in_flight = words
        elif "done" in words and in_flight is not None:
            held = applied(held, in_flight)
            tally.acknowledged[words["done"]] += 1
            tally.seconds[words["done"]] += words["seconds"]
            in_flight = None
    return held, in_flight


def matches(index: LesionIndex, held: Held) -> bool:
    """Whether the index holds exactly these lesions, each with its vector."""
    ids, matrix = index.vectors()
    if set(ids) != set(held) or len(ids) != len(held):
        return False
    numbers = [int(lesion_id.rsplit("_", 1)[1]) for lesion_id in ids]
    wanted = [record(n, held[one]).vector for n, one in zip(numbers, ids, strict=True)]
    return bool(np.array_equal(matrix, np.array(wanted, np.float32).reshape(matrix.shape)))


def check(folder: Path, before: Held, in_flight: dict[str, Any] | None, tally: Tally) -> Held:
    """Opens the index and compares; returns what it really holds."""
    after = before if in_flight is None else applied(before, in_flight)
    started = time.perf_counter()
    with LesionIndex.open(folder, binding=binding()) as index:
        tally.slowest_open_s = max(tally.slowest_open_s, time.perf_counter() - started)
        report = index.verify()
        if reason := index.info().store["rebuilt_because"]:
            tally.failures.append(f"a kill must not spoil the snapshot: {reason}")
        tally.failures += [f"verify: {problem.what}" for problem in report.problems]
        if matches(index, before):
            tally.in_flight_undone += after != before
            return before
        if matches(index, after):
            tally.in_flight_kept += 1
            return after
    tally.failures.append(f"kill {tally.kills}: neither the state before nor the one after")
    return after


def wait_for(aim: str, journal: Path, alive: Callable[[], bool]) -> None:
    """Returns when the newest line of the journal says that such a change has begun."""
    deadline = time.monotonic() + PATIENCE_S
    begun = f'{{"begin": "{aim}"'
    while alive() and time.monotonic() < deadline:
        if journal.exists() and journal.read_text().rsplit("\n", 2)[-2:][0].startswith(begun):
            return
        time.sleep(0.0005)


def strike(
    writer: BaseProcess, journal: Path, aim: str | None, *, life_s: float, into_s: float
) -> None:
    """Kills the writer after ``life_s``, and ``into_s`` after the next change aimed at began."""
    while aim is not None and not journal.exists() and writer.is_alive():
        time.sleep(0.001)
    time.sleep(life_s)
    if aim is not None:
        wait_for(aim, journal, writer.is_alive)
        time.sleep(into_s)
    writer.kill()
    writer.join()


def run(kills: int, seed: int) -> Tally:
    """``kills`` rounds on one index."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["index.lesion_index"])
    rng = np.random.default_rng(seed)
    tally, held = Tally(), Held()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        LesionIndex.create(folder, binding()).close()
        for turn in range(kills):
            journal = Path(scratch) / f"journal-{turn}"
            writer = context.Process(
                target=write_without_pause, args=(str(folder), str(journal), seed + turn)
            )
            writer.start()
            aim = AIMS[turn % len(AIMS)]
            life_s = float(rng.uniform(0, LONGEST_LIFE_S))
            into_s = float(rng.uniform(0, OVERSHOOT * tally.usual_s(aim or "add")))
            strike(writer, journal, aim, life_s=life_s, into_s=into_s)
            if writer.exitcode != -9:
                tally.failures.append(f"the writer ended by itself: {writer.exitcode}")
            tally.kills += 1
            in_flight = None
            if journal.exists():
                held, in_flight = read_journal(journal, held, tally)
            tally.killed_during["pause or opening" if not in_flight else in_flight["begin"]] += 1
            held = check(folder, held, in_flight, tally)
    return tally


def main() -> int:
    """Runs the rounds, writes the JSON; 1 if any round failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    started = time.perf_counter()
    tally = run(options.kills, options.seed)
    result = {
        "kills": tally.kills,
        "failures": tally.failures,
        "killed_during": dict(sorted(tally.killed_during.items())),
        "in_flight_kept_whole": tally.in_flight_kept,
        "in_flight_undone_whole": tally.in_flight_undone,
        "acknowledged": dict(sorted(tally.acknowledged.items())),
        "usual_ms": {kind: round(1e3 * tally.usual_s(kind), 1) for kind in AIMS if kind},
        "slowest_open_s": round(tally.slowest_open_s, 3),
        "seconds": round(time.perf_counter() - started, 1),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
