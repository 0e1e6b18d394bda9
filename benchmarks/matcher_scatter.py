"""Measures what the matcher takes for the scatter of real lesions, without pixels.

    python benchmarks/matcher_scatter.py DLS_VALID.json DL_INFO.csv

The same lesion in two studies: linked pairs of the calibration half of the Deep Longitudinal Study.
Different lesions of one patient: pairs within a series of DeepLesion's validation and test rows,
without the patients of the study and of the samples. Sizes of boxes and locations of types:
fitted on validation rows, sizes measured on test rows. The numbers stand in
``scatter.py`` and ``lesion_size.py`` of ``retrieval/tracking/terms``; types are written to
retrieval/weights/type_by_position.json, everything to benchmarks/results/matcher_scatter.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from dls_matching import EVALUATED_ELSEWHERE, Patients, halves, labelled
from numpy.typing import NDArray
from scipy import stats

from retrieval.lesion import BOX_PADDING_PX, Lesion, LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.tracking.edges import NOMINAL_BODY_MM
from retrieval.tracking.terms.lesion_size import measured_size
from retrieval.tracking.terms.type_by_position import TYPES

FloatArray = NDArray[np.float64]

RESULT = Path(__file__).parent / "results" / "matcher_scatter.json"
TYPES_FILE = Path(__file__).parents[1] / "retrieval" / "weights" / "type_by_position.json"
SAMPLES = {1, 2, 9, 10, 15, 47, 53, 78, 88, 2648, 3599, 3657, 4416}
"""Patients of the evaluation sample and of the development checks."""

BOX_JITTER = 0.1
"""Every edge of a box is moved by up to this share of it."""


def linked(patients: Patients) -> list[tuple[Lesion, Lesion]]:
    """Pairs of the same lesion in two studies."""
    return [
        (a.lesion, b.lesion)
        for patient in patients.values()
        for a, b in combinations(patient.nodes, 2)
        if a.lesion.study_id != b.lesion.study_id
        and patient.track_of[a.lesion.lesion_id] == patient.track_of[b.lesion.lesion_id]
    ]


def of_one_series(lesions: Iterable[Lesion]) -> list[tuple[Lesion, Lesion]]:
    """Pairs of different lesions: nobody marks one lesion twice in a series."""
    series: dict[str, list[Lesion]] = {}
    for lesion in lesions:
        series.setdefault(lesion.series_id, []).append(lesion)
    return [pair for some in series.values() for pair in combinations(some, 2)]


def scatter(pairs: Sequence[tuple[Lesion, Lesion]]) -> dict[str, Any]:
    """Student's t of offsets and size ratios, by maximum likelihood, and how often types agree."""
    placed = [(a, b) for a, b in pairs if a.location and b.location]
    offsets = np.array(
        [
            (np.array(b.location) - np.array(a.location)) * np.array(NOMINAL_BODY_MM)
            for a, b in placed
        ]
    )
    sizes = [(measured_size(a), measured_size(b)) for a, b in pairs]
    ratios = np.array([b.log_mm - a.log_mm for a, b in sizes if a and b])
    return {
        "pairs": len(pairs),
        "offset_mm": [_student(offsets[:, axis]) for axis in range(3)],
        "log_size_ratio": _student(ratios),
        "types_agree": float(np.mean([a.lesion_type is b.lesion_type for a, b in pairs])),
    }


def _student(values: FloatArray) -> dict[str, Any]:
    freedom, _, scale = stats.t.fit(values, floc=0)
    quantiles = np.quantile(np.abs(values), (0.5, 0.9, 0.95, 0.99)).round(3).tolist()
    return {"freedom": float(freedom), "scale": float(scale), "50_90_95_99": quantiles}


def box_sizes(archive: DeepLesionArchive) -> dict[str, Any]:
    """ln of the size by ln of the box's extents, larger and smaller, with careless edges."""
    lesions = [x for x in archive.lesions if x.short_mm and int(x.patient_id) not in SAMPLES]
    generator = np.random.default_rng(0)
    jitter = generator.uniform(-BOX_JITTER, BOX_JITTER, (len(lesions), 4))
    sides_px = np.array([(x.box.width, x.box.height) for x in lesions])
    sides_px *= 1 + jitter[:, :2] + jitter[:, 2:]
    spacing = np.array([archive.source(x).spacing_mm_px for x in lesions])
    extent_px = np.maximum(sides_px - 2 * BOX_PADDING_PX, 1.0)
    extent_mm = np.sort(extent_px * spacing, axis=1)[:, ::-1]
    known = np.array([size.log_mm for x in lesions if (size := measured_size(x))])
    design = np.column_stack([np.ones(len(lesions)), np.log(extent_mm)])
    fitting = np.array([x.split is Split.VALIDATION for x in lesions])
    coefficients, *_ = np.linalg.lstsq(design[fitting], known[fitting], rcond=None)
    off = (known - design @ coefficients)[~fitting]
    padded = np.sqrt(sides_px.prod(axis=1) / extent_px.prod(axis=1))[~fitting]
    bounds = (0.0, 1.3, 1.6, 2.0, np.inf)
    return {
        "coefficients": coefficients.round(3).tolist(),
        "standard_error": float(off.std()),
        "by_side_over_extent": {
            f"{low:g} to {high:g}": float(off[(padded >= low) & (padded < high)].std())
            for low, high in pairwise(bounds)
        },
    }


def type_positions(lesions: Iterable[Lesion]) -> dict[str, Any]:
    """Share, mean location and covariance of each lesion type on the validation rows."""
    by_type: dict[LesionType, list[tuple[float, float, float]]] = {}
    for lesion in lesions:
        if lesion.location is not None and lesion.split is Split.VALIDATION:
            by_type.setdefault(lesion.lesion_type, []).append(lesion.location)
    total = sum(len(some) for kind, some in by_type.items() if kind in TYPES)
    return {
        kind.value: {
            "share": len(by_type[kind]) / total,
            "mean": np.mean(by_type[kind], axis=0).round(5).tolist(),
            "cov": np.cov(np.array(by_type[kind]).T).round(7).tolist(),
        }
        for kind in TYPES
    }


def main(dls: Path, table: Path) -> None:
    """Measures, writes and prints."""
    patients = labelled(dls, table)
    patients.pop(EVALUATED_ELSEWHERE)
    calibration, _ = halves(patients)
    archive = DeepLesionArchive.open(table)
    others = [
        lesion
        for lesion in archive.lesions
        if lesion.patient_id not in patients and int(lesion.patient_id) not in SAMPLES
    ]
    document: Mapping[str, Any] = {
        "same_lesion": scatter(linked(calibration)),
        "different_lesions": scatter(of_one_series(others)),
        "size_of_a_box": box_sizes(archive),
    }
    types = {"fitted_on": "DeepLesion's validation rows", "types": type_positions(others)}
    TYPES_FILE.write_text(json.dumps(types, indent=1) + "\n", encoding="utf-8")
    RESULT.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
