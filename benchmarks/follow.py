"""Lesions followed into series that nobody has marked, beside baselines, with intervals.

    python benchmarks/follow_evidence.py --draw phantoms --seed 90516
    python benchmarks/follow_evidence.py --part test --phantoms phantoms --data REAL_DATA --out E
    python benchmarks/follow.py E --out benchmarks/results/follow.json

Unseen phantom patients, and lesions planted in a real series that no case of the fit shows. The
bundled weights judge; whoever has other weights names them (``--model``). Intervals are 95 %
bootstraps over patients. Baselines: the point that registration predicts (body position where it
fails), the point of body position alone, and the detector's best proposal in the searched area;
they never say that a lesion has gone, but for the detector where it proposes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.follow_fit import outcomes, read
from retrieval.tracking.following.fitting import NEAR_MM
from retrieval.tracking.following.model import FollowModel, bundled_follow_model

RESAMPLES = 1000
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
Row = dict[str, Any]


def rows_of(folder: Path, model: FollowModel) -> list[Row]:
    """One row a case: the outcome, and how far each baseline is off."""
    cases = read(folder)
    fingerprints = {str(row["encoder"]) for _, row in cases}
    if fingerprints != {model.encoder}:
        raise SystemExit(f"evidence of {fingerprints}, weights of {model.encoder}: collect it anew")
    found = outcomes([search for search, _ in cases], [model] * len(cases))
    for row, (search, held) in zip(found, cases, strict=True):
        row |= {
            "name": str(held["name"]),
            "patient": search.patient,
            "kind": str(held["kind"]),
            "with_pixels": bool(held["with_pixels"]),
            "source": str(held["source"]),
            "share": round(float(held["share"]), 4),
            "slices": int(held["slices"]),
            "cpu_s": round(float(held["seconds"][1]), 2),
        }
        if search.truth is not None:
            for name in ("position", "expected", "detector"):
                away = float(np.linalg.norm(held[name] - search.truth))
                row[f"{name}_mm"] = away if np.isfinite(away) else 1e9
            row["offset_mm"] = 1e9 if row["offset_mm"] is None else row["offset_mm"]
    return found


def summary(rows: list[Row]) -> dict[str, Any]:
    """Shares and medians with their intervals."""
    present = [row for row in rows if row["present"]]
    gone = [row for row in rows if not row["present"]]
    told: dict[str, Any] = {"present": len(present), "gone": len(gone)}
    for name in ("offset_mm", "expected_mm", "position_mm", "detector_mm"):
        told[name] = {
            "within_10_mm": _interval(present, lambda some, n=name: _share(some, n, NEAR_MM)),
            "median_mm": _interval(
                present, lambda some, n=name: float(np.median([row[n] for row in some]))
            ),
        }
    told["found_of_present"] = _interval(present, lambda some: _state(some, "found"))
    told["not_found_of_present"] = _interval(present, lambda some: _state(some, "not found"))
    told["found_of_gone"] = _interval(gone, lambda some: _state(some, "found"))
    told["not_found_of_gone"] = _interval(gone, lambda some: _state(some, "not found"))
    named = [row for row in rows if row["state"] == "found"]
    told["found"] = len(named)
    told["found_is_right"] = _interval(
        named, lambda some: float(np.mean([row["right"] for row in some]))
    )
    named = [row for row in rows if row["state"] == "not found"]
    told["not_found"] = len(named)
    told["not_found_is_right"] = _interval(
        named, lambda some: float(np.mean([not row["present"] for row in some]))
    )
    told["calibration"] = calibration(rows)
    told["median_cpu_s"] = round(float(np.median([row["cpu_s"] for row in rows])), 2)
    told["cpu_s_100_slices"] = round(
        100 * sum(row["cpu_s"] for row in rows) / sum(row["slices"] for row in rows), 2
    )
    return told


def calibration(rows: list[Row]) -> list[dict[str, Any]]:
    """Of best candidates by their score: how many, the mean score, the share that is right."""
    found = []
    for low, high in pairwise(BINS):
        some = [row for row in rows if low <= row["score"] < high or row["score"] == high == 1]
        if some:
            found.append(
                {
                    "scores": [low, high],
                    "cases": len(some),
                    "mean_score": round(float(np.mean([row["score"] for row in some])), 3),
                    "right": round(float(np.mean([row["right"] for row in some])), 3),
                }
            )
    return found


def _share(rows: list[Row], name: str, most: float) -> float:
    return float(np.mean([row[name] <= most for row in rows]))


def _state(rows: list[Row], state: str) -> float:
    return float(np.mean([row["state"] == state for row in rows]))


def _interval(rows: list[Row], measure: Callable[[list[Row]], float]) -> list[float] | None:
    """The measure and its 95 % interval over patients; None of no rows."""
    if not rows:
        return None
    by_patient: dict[str, list[Row]] = {}
    for row in rows:
        by_patient.setdefault(row["patient"], []).append(row)
    groups = list(by_patient.values())
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(0, len(groups), len(groups))
        drawn.append(measure([row for at in chosen for row in groups[at]]))
    return [round(float(v), 3) for v in (measure(rows), *np.quantile(drawn, (0.025, 0.975)))]


def main() -> None:
    """Judges the cases and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    model = bundled_follow_model() if asked.model is None else FollowModel.load(asked.model)
    rows = rows_of(asked.evidence, model)
    report: dict[str, Any] = {"encoder": model.encoder, "all": summary(rows)}
    for kind in ("phantom", "planted"):
        report[kind] = summary([row for row in rows if row["kind"] == kind])
    for name, has in (("with own slices", True), ("without", False)):
        some = [row for row in rows if row["kind"] == "phantom" and row["with_pixels"] is has]
        report[f"phantom, {name}"] = summary(some)
    print(json.dumps(report, indent=1))
    if asked.out is not None:
        asked.out.write_text(json.dumps({**report, "cases": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
