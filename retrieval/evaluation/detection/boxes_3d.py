"""Detection in fully annotated sub-volumes (protocol B of DeepLesion): FROC of boxes in 3D.

A hit is an IoBB (the share of the detected box that lies in the lesion's) of at least 0.3; the
score is the mean sensitivity at 0.125, 0.25, 0.5, 1, 2, 4 and 8 false positives a sub-volume (Yan
et al., IEEE TMI 2020, and the evaluation released with its annotations). IoBB forgives a box that
is too small: one slice of a lesion's box is a full hit.

Edges count whole pixels and whole slices; z is the slice's number in the whole volume, not in the
sub-volume that the name gives (``VOLUME_FIRST-LAST``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator

from retrieval.evaluation.detection.files import (
    BoxRows,
    DetectionFileError,
    boxes_of,
    read_boxes,
)
from retrieval.evaluation.detection.froc import Rates, score_froc
from retrieval.evaluation.detection.matching import iobb, match
from retrieval.evaluation.detection.report import DetectionReport
from retrieval.evaluation.stats.metrics import FloatArray

PROTOCOL = "Fully annotated sub-volumes, a hit is 3D IoBB >= 0.3"
IOBB_THRESHOLD = 0.3
_PUBLISHED = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
RATES = Rates(_PUBLISHED, _PUBLISHED)
RANDOM_BOXES = 50
"""Boxes of the random baseline in each sub-volume."""


def evaluate_boxes_3d(
    truth: Path, predictions: Path, *, seed: int = 0, resamples: int = 1000
) -> DetectionReport:
    """Scores a file of predicted 3D boxes against a file of annotated ones.

    Both have the form that ``detection_files`` describes; predictions have exactly the truth's
    sub-volumes. Patients are the names' first part.

    Raises:
        DetectionFileError: a file is not in that form, or sub-volumes are missing or unknown.
    """
    lesions = read_boxes(truth, BoxRows(dimensions=3, scored=False))
    predicted = read_boxes(predictions, BoxRows(dimensions=3, scored=True))
    names = list(lesions)
    boxes = boxes_of(predicted, names, predictions.name)
    if surplus := [name for name in predicted if name not in lesions]:
        raise DetectionFileError(
            f"{predictions.name} names {len(surplus)} sub-volumes that {truth.name} lacks "
            f"(first: {surplus[0]}): predict those of the truth alone"
        )
    annotated = [lesions[name] for name in names]
    if not any(len(rows) for rows in annotated):
        raise DetectionFileError(f"{truth.name} holds no lesion: nothing can be found")
    patients = [name.split("_")[0] for name in names]
    _, patient = np.unique(patients, return_inverse=True)
    generator = np.random.default_rng(seed)
    methods = {"random boxes": random_boxes_3d(annotated, generator), predictions.name: boxes}
    return DetectionReport(
        protocol=PROTOCOL,
        source=truth.name,
        detector=predictions.name,
        unit="sub-volume",
        images=len(names),
        lesions=sum(len(rows) for rows in annotated),
        patients=len(set(patients)),
        left_out={},
        rates=RATES,
        methods={
            method: score_froc(
                match(annotated, found, iobb, threshold=IOBB_THRESHOLD),
                patient.astype(np.int64),
                RATES,
                np.random.default_rng(seed),
                resamples=resamples,
            )
            for method, found in methods.items()
        },
        settings={"seed": seed, "resamples": resamples},
    )


def random_boxes_3d(annotated: list[FloatArray], generator: Generator) -> list[FloatArray]:
    """Of each sub-volume RANDOM_BOXES boxes of the lesions' median size, with random scores.

    There are no pixels to see a body in: centres are drawn from the range of the sub-volume's own
    lesions along z, and of all lesions along x and y, which flatters the baseline.
    """
    every = np.concatenate(annotated)
    size = np.median(every[:, 3:] - every[:, :3], axis=0)
    low, high = every[:, :3].min(axis=0), every[:, 3:].max(axis=0)
    drawn = []
    for rows in annotated:
        first, last = low.copy(), high.copy()
        if len(rows):
            first[2], last[2] = rows[:, 2].min(), rows[:, 5].max()
        centers = generator.uniform(first, last, (RANDOM_BOXES, 3))
        scores = generator.random((RANDOM_BOXES, 1))
        drawn.append(np.concatenate([centers - size / 2, centers + size / 2, scores], axis=1))
    return drawn
