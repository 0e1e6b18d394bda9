"""Kills a writer at random moments and checks that the index it leaves is sound.

A process adds, replaces and removes lesions and saves snapshots without pause, noting in a
journal what it is about to do and what the index has acknowledged. It is killed (SIGKILL) at a
random moment; then the index is opened and compared with the journal: what was acknowledged is
there, the change in flight is there whole or not at all, and ``verify`` finds nothing. The next
process goes on with the same index.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from index.catalog import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion

DIMENSION = 64
LESIONS = 3_000
"""How many different lesions there are to add and remove."""

BATCH = 300
LONGEST_LIFE_S = 0.4

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
            if kind == "add":
                index.add(records)
            elif kind == "remove":
                index.remove([one.lesion.lesion_id for one in records])
            else:
                index.snapshot()
            note(done=kind)


@dataclass
class Tally:
    """What the rounds showed."""

    kills: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    killed_during: Counter[str] = field(default_factory=Counter)
    in_flight_kept: int = 0
    in_flight_undone: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_open_s: float = 0.0


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
    for line in journal.read_text().splitlines():
        words = json.loads(line)
        if "begin" in words:
            in_flight = words
        elif "done" in words and in_flight is not None:
            held = applied(held, in_flight)
            tally.acknowledged[words["done"]] += 1
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
            # Every fourth is killed while it may still be opening the index.
            while turn % 4 and not journal.exists() and writer.is_alive():
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0, LONGEST_LIFE_S)))
            writer.kill()
            writer.join()
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
        "slowest_open_s": round(tally.slowest_open_s, 3),
        "seconds": round(time.perf_counter() - started, 1),
    }
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
