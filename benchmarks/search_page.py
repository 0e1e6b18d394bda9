"""The results of benchmarks/search.py as a file and as the tables of its page."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from search_task import DIMENSION, ROWS

REFERENCE = "FAISS flat"
OWN = frozenset({"lesion-search", "lesion-search approximate", REFERENCE, "NumPy"})
"""Engines that do all their work in the process that asks."""

BEGIN = "<!-- search: written by benchmarks/search.py -->"
END = "<!-- end of search -->"


def table(run: dict[str, Any]) -> str:
    """One size as Markdown: p50 / p99 / queries a second, and how p50 stands to raw FAISS."""
    lines = [
        f"| {run['size']:,} vectors | plain | to raw FAISS | one patient | one type | recall@10 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    reference = run["engines"].get(REFERENCE, {}).get("plain")
    for name, engine in run["engines"].items():
        if "plain" not in engine:
            lines.append(f"| {name} | {engine.get('lacking', 'no answer')} | | | | |")
            continue
        cells = [_cell(engine.get(row)) for row in ROWS]
        ratio = _ratio(name, engine["plain"], reference) if reference else ""
        recalls = {engine[row]["recall_at_10"] for row in ROWS if row in engine}
        low, high = min(recalls), max(recalls)
        recall = f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
        lines.append(f"| {name} | {cells[0]} | {ratio} | {cells[1]} | {cells[2]} | {recall} |")
    load = run["load_average_before_and_after"]
    lines += ["", f"Load of the machine before and after: {load[0]} and {load[1]}."]
    return "\n".join(lines)


def _ratio(name: str, row: dict[str, Any], reference: dict[str, Any]) -> str:
    """In time passed; in processor time where all the work is done by the engine's process."""
    ratio = f"{row['p50_ms'] / reference['p50_ms']:.2f}"
    if name not in OWN or "cpu_p50_ms" not in row:
        return ratio
    return f"{ratio}, in processor time {row['cpu_p50_ms'] / reference['cpu_p50_ms']:.2f}"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row['p50_ms']:.3g} / {row['p99_ms']:.3g} / {row['queries_a_second']:,.0f}"


def write(out: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Puts a size's run in place of an earlier one; returns all."""
    runs = {run["size"]: run}
    if out.exists():
        runs = {one["size"]: one for one in json.loads(out.read_text())["runs"]} | runs
    document = {
        "dimension": DIMENSION,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "runs": [runs[size] for size in sorted(runs)],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    return [runs[size] for size in sorted(runs)]


def write_page(page: Path, runs: list[dict[str, Any]]) -> None:
    """Puts the tables between the page's two marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks its marks {BEGIN} and {END}")
    tables = "\n\n".join(table(run) for run in runs)
    page.write_text(f"{before}{begin}\n{tables}\n{end}{after}")
