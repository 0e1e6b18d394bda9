"""The comparison of engines runs, at a tiny size, with what needs no server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "search.py"


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import search  # type: ignore[import-not-found]

    return search


def test_every_engine_without_a_server_finds_the_right_lesions(tmp_path: Path) -> None:
    out = tmp_path / "search.json"
    engines = ["lesion-search", "FAISS flat", "NumPy", "Milvus server", "pgvector"]
    subprocess.run(
        [
            sys.executable,
            SCRIPT,
            "--size=500",
            "--queries=25",
            f"--out={out}",
            "--engines",
            *engines,
        ],
        check=True,
        timeout=180,
        capture_output=True,
    )
    (run,) = json.loads(out.read_text())["runs"]
    for name in engines[:3]:
        for row in ("plain", "one patient", "one type"):
            cell = run["engines"][name][row]
            assert cell["recall_at_10"] == 1.0, (name, row)
            assert cell["queries"] == 25
            assert 0 < cell["p50_ms"] <= cell["p99_ms"]
            assert cell["cpu_p50_ms"] > 0
    assert "--milvus" in run["engines"]["Milvus server"]["lacking"]
    assert "--peers-python" in run["engines"]["pgvector"]["lacking"]


def test_right_answers_and_recall_are_those_of_a_plain_loop(
    search: ModuleType, tmp_path: Path
) -> None:
    options = search.options_of(["--queries", "12"])
    work = search.make_work(tmp_path / "work", 300, options)
    assert np.allclose(np.linalg.norm(work.vectors, axis=1), 1, atol=1e-6)
    for row in search.ROWS:
        right = search.nearest(work, row, 12)
        for query, found in enumerate(right):
            only = work.only(row, query)
            allowed = [
                number
                for number in range(300)
                if only.patient in (None, number // 8) and only.lesion_type in (None, number % 9)
            ]
            allowed.sort(key=lambda number: -float(work.vectors[number] @ work.queries[query]))
            assert found == set(allowed[:10])
    half = {"ms": [1.0, 3.0], "cpu_ms": [1.0, 1.0], "hits": [[1, 2], [5]]}
    cell = search.summary(half, [{1, 2}, {6}])
    assert (cell["recall_at_10"], cell["queries_a_second"]) == (0.5, 500.0)


def test_the_page_keeps_its_text_and_names_what_is_lacking(
    search: ModuleType, tmp_path: Path
) -> None:
    import search_page  # type: ignore[import-not-found]

    page = tmp_path / "page.md"
    page.write_text(f"before\n{search_page.BEGIN}\nold\n{search_page.END}\nafter\n")
    times = {"p50_ms": 2.0, "p99_ms": 4.0, "cpu_p50_ms": 1.5}
    cell = times | {"queries_a_second": 400.0, "recall_at_10": 1.0}
    rows = {row: cell for row in search.ROWS}
    engines = {"FAISS flat": rows, "NumPy": rows, "pgvector": {"lacking": "no room"}}
    run = {"size": 1000, "engines": engines, "load_average_before_and_after": [0.5, 0.7]}
    search.write_page(page, [run])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| NumPy | 2 / 4 / 400 | 1.00, in processor time 1.00 |" in text
    assert "| pgvector | no room |" in text
