"""Writes the score tables of README.md from the saved reports, so that no number is typed by hand.

    python benchmarks/readme_scores.py           # rewrite the tables
    python benchmarks/readme_scores.py --check   # say whether they agree, status 1 where not

The tables stand between ``<!-- scores: NAME -->`` and ``<!-- end -->``. A report's last method is
what was measured; the others are its baselines.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FROZEN = "efficientnet_lite0 frozen, multi-scale"


@dataclass(frozen=True)
class Row:
    """One line of the encoder's table: where its score stands, and the baseline without pixels."""

    label: str
    report: str
    section: str
    score: str
    without_pixels: str | None = None


ENCODER_ROWS = (
    Row(
        "real DeepLesion lesions: nearest of all lesions is the same patient's",
        "deeplesion_sample",
        "same patient among all lesions",
        "recall@1",
        "location and size",
    ),
    Row(
        "the same, with the lesion's own study left out",
        "deeplesion_sample",
        "same patient among all lesions, the query's own study left out",
        "recall@1",
        "location and size",
    ),
    Row(
        "real lung nodules: nearest is the nodule's own next slice",
        "lung_nodules_test",
        "the same nodule on its next slice, among all nodules",
        "recall@1",
    ),
    Row(
        "malignancy from the ten nearest, AUC",
        "lung_nodules_test",
        "ratings from the 10 nearest nodules of other patients",
        "malignancy AUC, 1-2 against 4-5",
        "diameter itself",
    ),
    Row(
        "texture rating from the ten nearest, mean absolute error",
        "lung_nodules_test",
        "ratings from the 10 nearest nodules of other patients",
        "texture mean absolute error",
        "diameter, k nearest",
    ),
    Row(
        "phantoms: nearest lesion of another patient has the type",
        "phantom_unseen",
        "similar lesions by type, other patients",
        "precision@1",
        "location only",
    ),
)

DETECTOR_ROWS = (
    (
        "real DeepLesion lesions, mean sensitivity at 0.5, 1, 2, 4 false positives a slice",
        "deeplesion_sample",
        "mean of 0.5, 1, 2, 4",
    ),
    ("the same, among the best four proposals", "deeplesion_sample", "best 4"),
    ("sarcomas held out, mean sensitivity", "sarcoma_heldout", "mean of 0.5, 1, 2, 4"),
    ("phantoms never seen, mean sensitivity", "phantom_test", "mean of 0.5, 1, 2, 4"),
)


def encoder_table() -> str:
    """The encoder beside frozen ImageNet features and what needs no pixels."""
    lines = [
        "| question | queries | encoder | frozen ImageNet, multi-scale | without its pixels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in ENCODER_ROWS:
        report = _report("encoder", row.report)
        (methods,) = (
            score["methods"]
            for score in report["scores"]
            if (score["section"], score["name"]) == (row.section, row.score)
        )
        own, bare = methods[report["encoder"]], methods.get(row.without_pixels or "")
        beside = f"{row.without_pixels} {bare['value']:.3f}" if bare else ""
        cells = [row.label, str(own["queries"]), _text(own), _text(methods[FROZEN]), beside]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def detector_table() -> str:
    """The detector beside random boxes and a blob filter."""
    lines = [
        "| question | lesions | detector | random boxes | blob filter |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, name, score in DETECTOR_ROWS:
        report = _report("detector", name)
        methods = {method: scores["groups"]["all"] for method, scores in report["methods"].items()}
        own = methods[report["detector"]][score]
        beside = [
            _text(methods[baseline][score]) if baseline in methods else ""
            for baseline in ("random boxes", "blobs")
        ]
        lines.append(f"| {' | '.join([label, str(own['queries']), _text(own), *beside])} |")
    return "\n".join(lines)


TABLES = {"encoder": encoder_table, "detector": detector_table}


def written(page: str) -> str:
    """The page with every table as the reports have it now."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- scores: (\w+) -->)\n.*?\n(<!-- end -->)", table, page, flags=re.DOTALL)


def _report(kind: str, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / kind / f"{name}.json").read_text())
    return document


def _text(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def main() -> int:
    """Rewrites README.md, or with --check compares it."""
    readme = ROOT / "README.md"
    page = readme.read_text()
    now = written(page)
    if "--check" in sys.argv[1:]:
        print("README.md agrees with the reports" if now == page else "README.md is out of date")
        return int(now != page)
    readme.write_text(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
