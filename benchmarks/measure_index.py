r"""`index measure` on a large index: processor time a lesion, what a kill costs, the whole by it.

    python benchmarks/measure_index.py --index big-index --archive big --lesions 200 \
        --out benchmarks/results/measure_index.json

The index is measured in place: give a copy. The command is killed (SIGKILL) once as many lesions
are stored, started again, and killed once more after as many again. The time of all lesions is
extrapolated from the second run, its start included; it is no measurement of them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from index.lesion_index import LesionIndex
from index.measured import count_unmeasured

POLL_S = 4.0


def stored(folder: Path) -> tuple[int, int]:
    """(lesions with sizes, all lesions) of an index."""
    with LesionIndex.open(folder, read_only=True) as index:
        total = index.count()
        return total - count_unmeasured(index), total


def until(folder: Path, archive: Path, wanted: int) -> dict[str, Any]:
    """Runs the command until ``wanted`` lesions are stored, kills it, and says what it took."""
    before, total = stored(folder)
    command = [sys.executable, "-m", "service.cli", "index", "measure"]
    command += ["--index", str(folder), "--archive", str(archive)]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and stored(folder)[0] < min(wanted, total):
        time.sleep(POLL_S)
    if child.poll() is None:
        child.send_signal(signal.SIGKILL)
    _, _, used = os.wait4(child.pid, 0) if child.returncode is None else (0, 0, None)
    after, _ = stored(folder)
    processor = None if used is None else used.ru_utime + used.ru_stime
    return {
        "stored before": before,
        "stored after": after,
        "wall s": round(time.perf_counter() - start, 1),
        "processor s": None if processor is None else round(processor, 1),
        "processor s a lesion": None
        if processor is None or after == before
        else round(processor / (after - before), 3),
        "peak MB": None if used is None else round(used.ru_maxrss / 1024),
    }


def main() -> None:
    """Measures, kills, resumes, kills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--index", type=Path, required=True, help="a copy: it is measured in place")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--lesions", type=int, default=200, help="stored before each kill")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    before, total = stored(given.index)
    first = until(given.index, given.archive, before + given.lesions)
    second = until(given.index, given.archive, first["stored after"] + given.lesions)
    with LesionIndex.open(given.index, read_only=True) as index:
        sound = index.verify().sound
    each = second["processor s a lesion"]
    found = {
        "lesions": total,
        "first run, killed": first,
        "second run, killed": second,
        "kept by the second run": second["stored before"] == first["stored after"],
        "index sound after both": sound,
        "extrapolated hours of one processor": each and round(each * total / 3600, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
