"""Fits the weights of following a lesion, and says by folds of patients what they are worth.

    python benchmarks/follow_fit.py EVIDENCE --out retrieval/weights/follow.json

``EVIDENCE`` is a folder of ``benchmarks/follow_evidence.py --part fit``. The errors that an
expected place is taken to have (expected.py, registration.py) are printed beside: what they were
on these cases.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.tracking.following.fitting import KnownSearch, fit_follow_model
from retrieval.tracking.following.model import EVIDENCE_NAMES, FollowModel

FOLDS = 5


def read(folder: Path) -> list[tuple[KnownSearch, dict[str, Any]]]:
    """Every case with what else is known of it."""
    found = []
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as held:
            row = {name: held[name] for name in held.files}
        truth = None if np.isnan(row["truth"]).any() else row["truth"]
        search = KnownSearch(
            str(row["patient"]), row["evidence"], row["points"], truth, float(row["extent_mm"])
        )
        found.append((search, row))
    return found


def left_out(searches: list[KnownSearch]) -> list[FollowModel]:
    """For each search the weights fitted without its patient's fold."""
    patients = sorted({one.patient for one in searches})
    order = np.random.default_rng(0).permutation(len(patients))
    fold_of = {patients[int(at)]: place % FOLDS for place, at in enumerate(order)}
    models = {
        fold: fit_follow_model([one for one in searches if fold_of[one.patient] != fold])
        for fold in set(fold_of.values())
    }
    return [models[fold_of[one.patient]] for one in searches]


def outcomes(searches: list[KnownSearch], models: list[FollowModel]) -> list[dict[str, Any]]:
    """Best score, whether it is right, and how likely the lesion is at any of the places."""
    rows = []
    for search, model in zip(searches, models, strict=True):
        chosen, scores = search.places(model)
        best = int(np.argmax(scores)) if len(chosen) else None
        there = min(float(scores.sum()), 1.0)
        score = 0.0 if best is None else float(scores[best])
        right = best is not None and bool(search.right([chosen[best]])[0])
        state = "found" if score >= model.found else "not found" if there <= model.gone else "-"
        rows.append(
            {
                "present": search.truth is not None,
                "score": score,
                "right": right,
                "there": there,
                "state": state,
                "reachable": bool(search.right(chosen).any()) if chosen else False,
                "offset_mm": None
                if best is None or search.truth is None
                else float(np.linalg.norm(search.points[chosen[best]] - search.truth)),
            }
        )
    return rows


def main() -> None:
    """Fits, prints what was found, writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    cases = read(asked.evidence)
    searches = [search for search, _ in cases]
    encoders = {str(row["encoder"]) for _, row in cases}
    if len(encoders) != 1:
        raise SystemExit(f"evidence of {len(encoders)} encoders: collect it again")
    kinds = [str(row["kind"]) for _, row in cases]
    words = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    gone = sum(search.truth is None for search in searches)
    model = fit_follow_model(
        searches,
        encoder=encoders.pop(),
        fitted_on=f"{len(cases)} searches ({words}), {gone} of them for a lesion that has gone",
    )
    rows = outcomes(searches, left_out(searches))
    print(json.dumps({"weights": dict(zip(EVIDENCE_NAMES, model.weights, strict=True))}, indent=1))
    print("intercept", model.intercept)
    print(json.dumps(_summary(rows), indent=1))
    _print_errors(cases)
    if asked.out is not None:
        asked.out.write_text(json.dumps(model.to_json(), indent=1) + "\n")


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    present = [row for row in rows if row["present"]]
    gone = [row for row in rows if not row["present"]]
    named = [row for row in rows if row["state"] == "found"]
    return {
        "reachable": [sum(row["reachable"] for row in present), len(present)],
        "best is right": [sum(row["right"] for row in present), len(present)],
        "found": [sum(row["right"] for row in named), len(named)],
        "not found where gone": [sum(row["state"] == "not found" for row in gone), len(gone)],
        "not found where present": sum(row["state"] == "not found" for row in present),
    }


def _print_errors(cases: list[tuple[KnownSearch, dict[str, Any]]]) -> None:
    for kind in ("phantom", "planted"):
        for name in ("position", "expected"):
            offsets = [
                row[name] - search.truth
                for search, row in cases
                if search.truth is not None
                and row["kind"] == kind
                and (name == "position" or row["source"] == "registration")
            ]
            if offsets:
                spread = np.nanmedian(np.abs(offsets), axis=0) / 0.6745
                print(kind, name, len(offsets), "robust sd mm x y z", spread.round(1).tolist())


if __name__ == "__main__":
    main()
