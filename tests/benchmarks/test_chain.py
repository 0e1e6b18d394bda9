"""The chain from marks in DICOM to detectors scored by category, at its tiniest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from retrieval.sources.archive import open_archive

ROOT = Path(__file__).parents[2]
TINY = ("--patients=8", "--size=160", "--steps=1", "--slices=2", "--count=2", "--kinds=categories")


def chain(out: Path) -> list[str]:
    """Runs it; the commands of the product that it called."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "chain.py", f"--out={out}", *TINY],
        check=True,
        timeout=600,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("lesion-search")]


def test_from_marks_to_scores_by_category(tmp_path: Path) -> None:
    assert len(chain(tmp_path)) == 5
    log = json.loads((tmp_path / "chain.json").read_text())
    lesions = {one.lesion_id: one for one in open_archive(tmp_path / "archive").lesions}
    assert log["mine"]["answer"]["verdicts"] == {"kept": len(lesions)}
    members = json.loads((tmp_path / "categories.json").read_text())["lesions"]
    assert set(members) == set(lesions)
    scored = [name for name in members if lesions[name].split.value != "train"]
    own = {members[name]["category"] for name in scored}
    for name, entry in log.items():
        if name.startswith("evaluate"):
            report = entry["answer"]
            groups = report["methods"][report["detector"]]["groups"]
            assert {key for key in groups if key.startswith("category")} == own
            assert groups["all"]["at 1 FP"]["queries"] == len(scored)
    assert (tmp_path / "chain.png").stat().st_size > 20_000
    # Nothing is done twice.
    before = (tmp_path / "chain.json").read_bytes()
    assert chain(tmp_path) == []
    assert (tmp_path / "chain.json").read_bytes() == before
