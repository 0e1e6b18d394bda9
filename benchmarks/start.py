"""How long a command takes from nothing, beside ``import torch``: whole processes, in turn.

    lesion-search phantom archive --patients 2 --seed 0
    lesion-search index build --archive archive --out index
    python benchmarks/start.py --archive archive --index index

Every round runs each command once, so that a ratio compares moments of one machine. Times are the
wall's, medians over the rounds; memory is the process's largest. Writes
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


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and largest memory in MB of one process; raises RuntimeError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


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
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    serve = []
    for _ in range(rounds):
        for name, command in asked.items():
            found[name].append(run(command))
        serve.append(first_line_of_serve(index))
    torch_s = [seconds for seconds, _ in found[TORCH]]
    answer = {
        name: {
            "seconds": statistics.median(seconds for seconds, _ in runs),
            "memory_mb": statistics.median(memory for _, memory in runs),
            "of_import_torch": statistics.median(
                seconds / base for (seconds, _), base in zip(runs, torch_s, strict=True)
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
