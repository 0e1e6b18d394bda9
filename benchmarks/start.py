"""How long a command takes from nothing, beside ``import torch``: whole processes, in turn.

    lesion-search phantom archive --patients 2 --seed 0
    lesion-search index build --archive archive --out index
    python benchmarks/start.py --archive archive --index index

Every round runs each command once, so that a ratio compares moments of one machine. Medians over
the rounds of the wall's time and of the processor's, which other jobs on the machine disturb less
(with one thread: waiting threads spin); memory is the process's largest. Writes
benchmarks/results/start.json.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.archive import open_archive

RESULT = Path(__file__).parent / "results" / "start.json"
TORCH = "import torch"
SEARCH = [sys.executable, "-m", "service.cli"]


def commands(archive: Path, index: Path) -> dict[str, list[str]]:
    """What is run, by name; the query is for the archive's first lesion, by its box."""
    opened = open_archive(archive)
    lesion = opened.lesions[0]
    image = opened.root / opened.source(lesion).image
    box = ",".join(map(str, lesion.box.to_list()))
    asked = ["query", str(image), "--index", str(index), "--box", box, "--json"]
    return {
        TORCH: [sys.executable, "-c", TORCH],
        "--version": [*SEARCH, "--version"],
        "index info": [*SEARCH, "index", "info", "--index", str(index)],
        "query, box given": [*SEARCH, *asked],
        "query by lesion": [
            *SEARCH, "query", "--lesion", lesion.lesion_id, "--index", str(index), "--json"
        ],
    }  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall and of the processor, and the largest memory in MB of one process."""

    wall_s: float
    processor_s: float
    memory_mb: float


def run(command: list[str]) -> Cost:
    """What one process costs; raises RuntimeError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    processor_s = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - start, processor_s, usage.ru_maxrss / 1024)


def first_line_of_serve(index: Path) -> float:
    """Seconds until ``serve`` has said where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    told = [*SEARCH, "serve", "--index", str(index), "--port", str(port)]
    process = subprocess.Popen(told, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    process.stderr.readline()
    seconds = time.perf_counter() - start
    process.terminate()
    process.communicate(timeout=60)
    return seconds


def measure(archive: Path, index: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Medians by command: seconds, memory, and the ratio to importing torch in the same round."""
    asked = commands(archive, index)
    for command in asked.values():
        run(command)
    found: dict[str, list[Cost]] = {name: [] for name in asked}
    serve = []
    for _ in range(rounds):
        for name, command in asked.items():
            found[name].append(run(command))
        serve.append(first_line_of_serve(index))
    torch = found[TORCH]
    answer = {
        name: {
            "seconds": statistics.median(one.wall_s for one in runs),
            "processor_seconds": statistics.median(one.processor_s for one in runs),
            "memory_mb": statistics.median(one.memory_mb for one in runs),
            "of_import_torch": statistics.median(
                one.wall_s / base.wall_s for one, base in zip(runs, torch, strict=True)
            ),
            "of_import_torch_by_processor": statistics.median(
                one.processor_s / base.processor_s for one, base in zip(runs, torch, strict=True)
            ),
        }
        for name, runs in found.items()
    }
    answer["serve, first line"] = {"seconds": statistics.median(serve)}
    return answer


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found = measure(asked.archive, asked.index, asked.rounds)
    load = os.getloadavg()[0]
    RESULT.write_text(json.dumps({"load": load, "rounds": asked.rounds, "median": found}, indent=2))
    for name, values in found.items():
        print(f"{name:20} " + "  ".join(f"{key} {value:.2f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
