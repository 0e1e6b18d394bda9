"""Fits the bundled growth model on the Deep Longitudinal Study's validation file.

    python benchmarks/growth_model.py DLS_VALID.json DL_INFO.csv

Patients 9, 10 and 78 stand in evaluation samples and are left out. The file has no dates, so that
nothing of growth laws is fitted: their priors are assumptions, but for the measurement error, which
is that between marks of one lesion on two series of one study. Writes
retrieval/weights/growth.json; the card beside it says what stands in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from retrieval.evaluation.growth.dls_courses import dls_courses
from retrieval.sources.archive import open_archive
from retrieval.tracking.growth.fit import fit_growth
from retrieval.tracking.growth.steps import GrowthSteps

WEIGHTS = Path(__file__).parents[1] / "retrieval" / "weights" / "growth.json"
EVALUATED_ELSEWHERE = {"000009", "000010", "000078"}


def main(dls: Path, table: Path) -> None:
    """Fits and writes."""
    courses = [
        course
        for course in dls_courses(dls, open_archive(table).lesions)
        if course.patient_id not in EVALUATED_ELSEWHERE
    ]
    steps = GrowthSteps.of(courses)
    name = (
        f"{len(steps)} steps of {steps.patients} patients of the Deep Longitudinal Study's "
        "validation file (CC BY-SA 4.0)"
    )
    model = fit_growth(steps, np.random.default_rng(0), name=name)
    WEIGHTS.write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(model.to_json()["weights"]), model.fitted_on)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
