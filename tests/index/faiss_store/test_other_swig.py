"""FAISS beside another program wrapped by SWIG: both share one table of C++ types."""

from __future__ import annotations

import subprocess
import sys

from index.lesion_index import LesionIndex

PROGRAM = """
import sys
import faiss
import SimpleITK
from pathlib import Path
from index.lesion_index import LesionIndex
with LesionIndex.open(Path(sys.argv[1])) as index:
    print(index.count(), index.build_approximate()["kind"])
with LesionIndex.open(Path(sys.argv[1])) as index:
    print(index.count())
"""


def test_a_snapshot_is_read_where_simpleitk_is_loaded_too(samples, tmp_path) -> None:
    folder = tmp_path / "index"
    with LesionIndex.create(folder, samples.binding) as made:
        made.add(samples.records(60))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["60", "hnsw", "60"]
