"""Forecasts of growth: real patients in folds, populations of known laws, and the time they take.

    python benchmarks/growth.py --laws --dls DLS.json --table DL_INFO.csv --rows ALL_ROWS.csv.gz

* ``dls``: the Deep Longitudinal Study's validation file in ten folds of patients, with two seeds
  of the folds.
* ``known_laws``: simulated lesions under exponential growth, Gompertz growth and a random walk. Of
  laws: how often the true rate lies in its range, with the priors of the population (recovered),
  with priors fitted by empirical Bayes, and with a measurement error that is wrong. Of forecasts:
  coverage and the gain on climatology.
* ``time``: one lesion with 32,735 indexed, the library at hand; what making the library costs. The
  rows give patients, studies, places and sizes as DeepLesion has them; vectors are made up, alike
  for marks at one place of one patient.

Writes benchmarks/results/growth.json; parts that are not asked for stay as they were.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.evaluation.growth.dls_courses import dls_courses
from retrieval.evaluation.growth.protocol import ALL, FORECAST, GrowthOptions, evaluate_growth
from retrieval.evaluation.growth.simulated import (
    GrowthLaw,
    SimulatedCourse,
    SimulatedGrowth,
    simulate_courses,
)
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from retrieval.sources.archive import open_archive
from retrieval.tracking.growth.laws import LawPriors, fit_laws, fit_priors
from service.engine.growth import GrowthLibrary

RESULT = Path(__file__).parent / "results" / "growth.json"
SEEDS = (0, 1)
LEVELS = (0.5, 0.8, 0.95)
ASKED = 300
PATIENTS = 100
DIMENSION = 256


def real_patients(dls: Path, table: Path) -> dict[str, Any]:
    """The report of each seed."""
    courses = dls_courses(dls, open_archive(table).lesions)
    reports = {}
    for seed in SEEDS:
        report = evaluate_growth(courses, GrowthOptions(seed=seed), source=dls.name)
        reports[f"seed {seed}"] = report.to_json()
    return reports


def known_laws() -> dict[str, Any]:
    """Every population of known growth."""
    populations = {
        "exponential": SimulatedGrowth(GrowthLaw.EXPONENTIAL),
        "gompertz": SimulatedGrowth(GrowthLaw.GOMPERTZ),
        "random walk": SimulatedGrowth(GrowthLaw.WALK, wander_a_day=0.01),
    }
    return {name: _population(name, known) for name, known in populations.items()}


def _population(name: str, known: SimulatedGrowth) -> dict[str, Any]:
    simulated = simulate_courses(known, PATIENTS, np.random.default_rng(0))
    courses = [one.course for one in simulated]
    found: dict[str, Any] = {"lesions": len(courses)}
    if known.law is not GrowthLaw.WALK:
        share = 0.99 if known.law is GrowthLaw.EXPONENTIAL else 0.01
        true = LawPriors(known.measurement_error, known.rate_a_day, known.wander_a_day, share)
        fitted = fit_priors(courses)
        found["priors_of_the_population"] = true.to_json()
        found["priors_fitted"] = fitted.to_json()
        wrong = {
            "error too small": LawPriors(0.02, (0.0005, 0.02), 0.0, share),
            "error too large": LawPriors(0.4, (0.0005, 0.02), 0.0, share),
        }
        found["true_rates_in_their_ranges"] = {
            which: {f"{100 * level:.0f}": _within(simulated, priors, level) for level in LEVELS}
            for which, priors in {"true priors": true, "fitted priors": fitted, **wrong}.items()
        }
    report = evaluate_growth(courses, GrowthOptions(folds=3), source=f"simulated, {name}")
    found["forecast"] = report.to_json()["sections"][ALL]
    found["verdict"] = list(report.verdict)
    return found


def _within(simulated: list[SimulatedCourse], priors: LawPriors, level: float) -> float:
    below = []
    for one in simulated:
        days = one.course.days
        assert days is not None
        rate = fit_laws(days, one.course.log_sizes, priors).rate()
        below.append(float(rate.cdf(one.true_rate_a_day)))
    return round(float((np.abs(2 * np.array(below) - 1) <= level).mean()), 3)


def records(rows: Path) -> list[LesionRecord]:
    """All rows as lesions; those whose box or size is not known get the medians."""
    table = pd.read_csv(rows, low_memory=False)
    generator = np.random.default_rng(0)
    places: dict[Any, Any] = {}
    made = []
    numbers = table[["x1", "y1", "x2", "y2", "z_norm", "diam_long_mm", "diam_short_mm"]]
    filled = numbers.fillna(numbers.median()).to_numpy(dtype=np.float64)
    types = table["coarse_type"].fillna(-1).astype(int).to_numpy()
    for at, (_, row) in enumerate(table.iterrows()):
        x1, y1, x2, y2, z, long_mm, short_mm = filled[at]
        x2, y2 = max(x2, x1 + 4), max(y2, y1 + 4)
        patient, study = f"{int(row.patient):06d}", f"{int(row.patient):06d}_{int(row.study):02d}"
        key = (patient, round(x1 / 60), round(y1 / 60), round(z * 12))
        if key not in places:
            places[key] = generator.standard_normal(DIMENSION)
        vector = places[key] + 0.4 * generator.standard_normal(DIMENSION)
        lesion = Lesion(
            lesion_id=f"{row.file_name}_{at}",
            patient_id=patient,
            study_id=study,
            series_id=f"{study}_{int(row.series):02d}",
            key_slice_index=int(row.slice),
            box=Box(x1, y1, x2, y2 + 1e-4 * (at % 97)),
            long_mm=float(long_mm),
            short_mm=float(min(short_mm, long_mm)),
            location=((x1 + x2) / 1024, (y1 + y2) / 1024, float(z)),
            lesion_type=LesionType.from_code(int(types[at])),
        )
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        made.append(LesionRecord(lesion, unit, ImageSource("/rows", "none.png", (0.8, 0.8), 2.5)))
    return made


def timed(rows: Path) -> dict[str, Any]:
    """The time of one forecast with every row indexed."""
    with tempfile.TemporaryDirectory() as folder:
        binding = EncoderBinding("made-up", "made-up vectors", DIMENSION)
        with LesionIndex.create(Path(folder) / "index", binding) as index:
            index.add(records(rows))
            library = GrowthLibrary(index)
            wall, cpu = time.perf_counter(), time.process_time()
            forecaster = library.forecaster()
            made = (time.perf_counter() - wall, time.process_time() - cpu)
            ids, _ = index.vectors()
            asked = np.random.default_rng(1).choice(ids, ASKED, replace=False)
            spent, spent_cpu, states = [], [], []
            for lesion_id in asked:
                wall, cpu = time.perf_counter(), time.process_time()
                states.append(library.forecast(str(lesion_id)).to_json()["state"])
                spent.append(1000 * (time.perf_counter() - wall))
                spent_cpu.append(1000 * (time.process_time() - cpu))
            index.add(records(rows)[:1])
            wall, cpu = time.perf_counter(), time.process_time()
            index.remove([str(asked[0])])
            library.forecast(str(asked[1]))
            changed = (time.perf_counter() - wall, time.process_time() - cpu)
    return {
        "lesions": len(ids),
        "patients": len({one[:6] for one in ids}),
        "steps": len(forecaster.library.steps),
        "library_s": {"wall": round(made[0], 1), "processor": round(made[1], 1)},
        "one_lesion_ms": _percentiles(spent),
        "one_lesion_processor_ms": _percentiles(spent_cpu),
        "first_after_a_change_s": {"wall": round(changed[0], 2), "processor": round(changed[1], 2)},
        "asked": ASKED,
        "answered": states.count("forecast"),
        "machine": platform.machine(),
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95, 99)}


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dls", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--laws", action="store_true")
    given = parser.parse_args()
    made: dict[str, Any] = {}
    if given.dls and given.table:
        made["dls"] = real_patients(given.dls, given.table)
    if given.laws:
        made["known_laws"] = known_laws()
    if given.rows:
        made["time"] = timed(given.rows)
    result = (json.loads(RESULT.read_text()) if RESULT.exists() else {}) | made
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if "dls" in result:
        for seed, report in result["dls"].items():
            coverage = report["sections"][ALL]["methods"][FORECAST]
            print(seed, {n: round(v["value"], 3) for n, v in coverage.items()})
    print(json.dumps(result.get("time"), indent=1))


if __name__ == "__main__":
    main()
