"""Speed of tracking: one patient against 50 ms, ten thousand patients against a minute.

    OMP_NUM_THREADS=1 python benchmarks/tracking.py

Patients are simulated (no images): 2 to 4 studies, 1 to 8 lesions at the start; and, for one
patient, a heavy burden of 40 lesions in 6 studies. Ten thousand are shared by two processes.
Writes benchmarks/results/tracking.json.
"""

from __future__ import annotations

import json
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from retrieval.tracking.fitting.fit import LabelledPatient
from retrieval.tracking.fitting.simulated_patients import (
    SimulationSettings,
    simulate_patient,
    simulate_patients,
)
from retrieval.tracking.tracks import follow_ups, track_patient

PATIENTS = 10_000
PROCESSES = 2
DISTINCT = 1_000
RESULT = Path(__file__).parent / "results" / "tracking.json"


def track_all(seed_and_count: tuple[int, int]) -> int:
    """Tracks so many patients, a thousand distinct ones over and over; returns their lesions."""
    seed, count = seed_and_count
    patients = simulate_patients(min(DISTINCT, count), np.random.default_rng(seed))
    start = time.perf_counter()
    lesions = 0
    for number in range(count):
        nodes = patients[number % len(patients)].nodes
        track_patient(nodes)
        lesions += len(nodes)
    print(f"{count} patients in {time.perf_counter() - start:.1f} s")
    return lesions


def milliseconds(patients: list[LabelledPatient]) -> list[float]:
    """Of each patient: all tracks, then the follow-ups of one query."""
    spent = []
    for patient in patients:
        start = time.perf_counter()
        track_patient(patient.nodes)
        follow_ups(patient.nodes[0], patient.nodes)
        spent.append((time.perf_counter() - start) * 1000)
    return spent


def main() -> None:
    """Measures and writes the result."""
    generator = np.random.default_rng(0)
    usual = milliseconds(simulate_patients(200, generator))
    burden = SimulationSettings(studies=(6, 6), lesions=(40, 40))
    heavy = milliseconds([simulate_patient(generator, f"H{n}", burden) for n in range(5)])
    start = time.perf_counter()
    shares = [(seed, PATIENTS // PROCESSES) for seed in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        lesions = sum(pool.map(track_all, shares))
    seconds = time.perf_counter() - start
    result = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "one_patient_tracks_and_follow_ups_ms": {
            "p50": round(float(np.median(usual)), 2),
            "p95": round(float(np.quantile(usual, 0.95)), 2),
            "limit": 50,
        },
        "patient_with_40_lesions_in_6_studies_ms": round(float(np.median(heavy)), 1),
        "ten_thousand_patients": {
            "processes": PROCESSES,
            "lesions": lesions,
            "seconds_with_process_start_and_simulation": round(seconds, 1),
            "limit": 60,
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
