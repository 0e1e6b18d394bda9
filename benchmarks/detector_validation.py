"""What the detector's close look brings, and what its scores are worth, on validation patients.

    python benchmarks/detector_validation.py --archive pasted --archive sarcoma --archive phantom \
        --archive deeplesion_windowed --calibrate

Every key slice of the archives' validation split (of an archive without one: all) is detected with
one pass alone and with a close look. Printed are the mean sensitivity at 0.5, 1, 2 and 4 false
positives and the share of lesions among the best four boxes, by size, beside the processor time of
one thread.
``--calibrate`` fits score to probability, every slice weighing the same, and writes it beside the
bundled detector. Never give it the archives that the card's scores are from. Writes
benchmarks/results/detector_validation.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.detection.calibration import ScoreCalibration, calibration_path
from retrieval.detection.close_look import CloseLook
from retrieval.detection.detector import BUNDLED_DETECTOR, EVERYTHING, LesionDetector
from retrieval.evaluation.detection.key_slices import (
    DetectionOptions,
    KeySlice,
    key_slices,
    score_key_slices,
    scored_boxes,
)
from retrieval.evaluation.detection.matching import iou
from retrieval.lesion import Split
from retrieval.sources.archive import Archive, open_archive

RESULT = Path(__file__).parent / "results" / "detector_validation.json"
PASSES: dict[str, CloseLook | None] = {"one pass": None, "and a close look": CloseLook()}
LESION_IOU = 0.3
"""A box that overlaps a lesion this far points at it: what a reader asks of a probability."""

Boxes = NDArray[np.float64]
Detected = tuple[list[Boxes], float]


def main() -> None:
    """Measures, fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--most", type=int, default=150, help="key slices of an archive")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fingerprint = LesionDetector.load().fingerprint
    results: dict[str, object] = {}
    fitted: list[tuple[Boxes, NDArray[np.bool_]]] = []
    for folder in arguments.archive:
        archive = open_archive(folder)
        slices = _slices(archive, arguments.most)
        detected = {name: _detected(archive, slices, look) for name, look in PASSES.items()}
        results[folder.name] = {name: _scores(slices, one) for name, one in detected.items()}
        fitted.append(_judged(slices, detected["and a close look"][0]))
    document = {"detector": fingerprint, "archives": results}
    if arguments.calibrate:
        document["calibration"] = _calibrate(
            fingerprint, fitted, [a.name for a in arguments.archive]
        )
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def _slices(archive: Archive, most: int) -> tuple[KeySlice, ...]:
    has_validation = any(x.split is Split.VALIDATION for x in archive.lesions)
    found = key_slices(archive, (Split.VALIDATION,) if has_validation else ())
    return found[:: max(1, len(found) // most)][:most]


def _detected(archive: Archive, slices: Sequence[KeySlice], look: CloseLook | None) -> Detected:
    """(n, 5) boxes of every key slice under raw scores, and milliseconds a slice."""
    detector = LesionDetector.load(cut=replace(EVERYTHING, close_look=look))
    detector.calibration = None
    boxes, spent = [], 0.0
    for image in slices:
        slab = archive.slab(image.lesions[0], half_depth_mm=detector.half_depth_mm)
        start = time.process_time()
        boxes.append(scored_boxes(detector.detect(slab)))
        spent += time.process_time() - start
    return boxes, spent / len(slices) * 1000


def _scores(slices: Sequence[KeySlice], detected: Detected) -> dict[str, object]:
    scored = score_key_slices(slices, detected[0], DetectionOptions(resamples=200))
    names = ("mean of 0.5, 1, 2, 4", "best 4", "best 8")
    groups = {
        group: {name: estimates[name].to_json() for name in names}
        for group, estimates in scored.groups.items()
    }
    return {"groups": groups, "processor_ms": round(detected[1])}


def _judged(slices: Sequence[KeySlice], boxes: Sequence[Boxes]) -> tuple[Boxes, NDArray[np.bool_]]:
    """Scores of all boxes of an archive, and whether each points at a lesion."""
    truth = [np.array([x.box.to_list() for x in one.lesions], np.float64) for one in slices]
    hits = [
        np.array([any(iou(row[None, :4], known)[0] >= LESION_IOU) for row in rows], bool)
        for rows, known in zip(boxes, truth, strict=True)
    ]
    return np.concatenate([rows[:, 4] for rows in boxes]), np.concatenate(hits)


def _calibrate(
    fingerprint: str, fitted: Sequence[tuple[Boxes, NDArray[np.bool_]]], names: list[str]
) -> dict[str, object]:
    scores = np.concatenate([part[0] for part in fitted])
    hits = np.concatenate([part[1] for part in fitted])
    calibration = ScoreCalibration.fit(
        scores,
        hits,
        detector=fingerprint,
        fitted_on=f"validation patients of {', '.join(names)}",
    )
    calibration.save(calibration_path(BUNDLED_DETECTOR))
    return {
        "slope": calibration.slope,
        "intercept": calibration.intercept,
        "reliability": {
            name: _reliability(calibration, *part) for name, part in zip(names, fitted, strict=True)
        },
    }


def _reliability(
    calibration: ScoreCalibration, scores: Boxes, hits: NDArray[np.bool_]
) -> list[dict[str, float]]:
    probability = np.array([calibration.probability(score) for score in scores])
    edges = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
    rows = []
    for low, high in pairwise(edges):
        held = (probability >= low) & (probability < high)
        if held.any():
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "boxes": int(held.sum()),
                    "said": round(float(probability[held].mean()), 3),
                    "seen": round(float(hits[held].mean()), 3),
                }
            )
    return rows


if __name__ == "__main__":
    main()
