"""Writes score tables of README.md and of cards from the saved reports: none is typed by hand.

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


SEGMENTED = {
    "nodule": "lung nodules",
    "sarcoma": "soft-tissue sarcomas",
    "DeepLesion": "DeepLesion lesions with masks, looked at while choosing",
}
JITTERED = "two lines, 0.6 mm"


def segmentation_table() -> str:
    """Masks from marks with 0.6 mm of jitter, beside the mark's ellipse and ellipsoid."""
    lines = [
        "| lesions (patients) | from | Dice, key slice | ellipse | volume Dice | ellipsoid "
        "| long diameter off by, mm |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for source, label in SEGMENTED.items():
        scores, counts = _segmented(source)
        beside = scores[JITTERED, "ellipse"]["dice"], scores[JITTERED, "ellipsoid"]["volume dice"]
        for prompt in (JITTERED, "box, 0.6 mm"):
            own = scores[prompt, "network"]
            cells = [f"{label}, {counts}", prompt.removesuffix(", 0.6 mm")]
            cells += [_text(own["dice"]), _text(beside[0])]
            cells += [_text(own["volume dice"]), _text(beside[1]), _text(own["long error mm"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def segmentation_scores_table() -> str:
    """Every prompt and baseline of every source."""
    names = ("dice", "boundary mm", "long error mm", "short error mm", "volume dice")
    lines = [
        "| lesions | method, from | Dice, key slice | boundary mm | long off by, mm "
        "| short off by, mm | volume Dice | ULS23 score |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for source in SEGMENTED:
        scores, counts = _segmented(source)
        for (prompt, method), own in scores.items():
            shown = [_text(own[name]) if name in own else "" for name in (*names, "ULS23 score")]
            if any(shown):
                cells = [f"{source}, {counts}", f"{method}, {prompt}", *shown]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def segmentation_coverage_table() -> str:
    """How many lesions lie within their 50 and 90 % intervals."""
    measures = ("long_mm", "short_mm", "volume_mm3")
    heads = [f"{name} {share} %" for name in measures for share in (50, 90)]
    lines = [f"| lesions, from | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for source in SEGMENTED:
        scores, counts = _segmented(source)
        for (prompt, method), own in scores.items():
            if method != "network" or prompt == "boxes":
                continue
            shown = [
                f"{own[f'{name} within {share} %']['value']:.2f}"
                for name in measures
                for share in (50, 90)
            ]
            lines.append(f"| {source}, {counts}: {prompt} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _segmented(source: str) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
    """(prompt, method) -> score -> estimate of a source, and "lesions (patients)"."""
    found = _report("segmentation", "test")["sources"][source]
    scores = {(row["prompt"], row["method"]): row["all"] for row in found["scores"]}
    return scores, f"{found['lesions']} ({found['patients']})"


TABLES = {
    "encoder": encoder_table,
    "detector": detector_table,
    "segmentation": segmentation_table,
    "segmentation_scores": segmentation_scores_table,
    "segmentation_coverage": segmentation_coverage_table,
}
PAGES = (ROOT / "README.md", ROOT / "retrieval" / "weights" / "segmentation.md")


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
    """Rewrites the pages, or with --check compares them."""
    status = 0
    for path in PAGES:
        page = path.read_text()
        now = written(page)
        if "--check" in sys.argv[1:]:
            agrees = now == page
            print(f"{path.name} {'agrees with the reports' if agrees else 'is out of date'}")
            status |= int(not agrees)
        else:
            path.write_text(now)
    return status


if __name__ == "__main__":
    sys.exit(main())
