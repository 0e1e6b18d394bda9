"""The short form of benchmarks/crash_http.py: kills amid additions, removals and a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_nothing_is_lost_resurrected_or_orphaned_by_kills_and_a_full_disk(tmp_path):
    out = tmp_path / "crash.json"
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.crash_http",
            *("--kills", "3", "--seed", "4", "--out", str(out)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    result = json.loads(out.read_text())
    assert (result["kills"], result["full_disks"]) == (3, 1)
    assert result["lost"] == result["resurrected"] == result["orphaned_after_start"] == []
    assert result["other_failures"] == []
    assert result["answers"]["add 201"] > 0
