"""Detection on key slices (protocol A of DeepLesion): FROC of a detector beside its baselines.

Of the split's lesions without DeepLesion's noise mark, every key slice is scored once, with all
its lesions. A hit is an IoU of at least 0.5; ``detection_matching`` has the rules. The score is
the mean sensitivity at 0.5, 1, 2 and 4 false positives a key slice (Yan et al., 3DCE, MICCAI 2018;
MULAN, MICCAI 2019). About half of DeepLesion's lesions are not marked: many a false positive is a
lesion, so these numbers rank methods and are no promise of how often a detector is wrong.

One difference from the released code: boxes are not clipped to the image. That code clips lesions
and predictions; of the 4,912 test lesions one reaches over an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrieval.detection.proposals import Proposal, SliceDetector
from retrieval.evaluation.detection.baselines import BlobDetector, RandomBoxes
from retrieval.evaluation.detection.files import BoxRows, boxes_of, read_boxes
from retrieval.evaluation.detection.froc import FrocScores, Rates, score_froc
from retrieval.evaluation.detection.matching import iou, match
from retrieval.evaluation.detection.report import DetectionReport
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.stats.metrics import BoolArray, FloatArray
from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionType, Split
from retrieval.sources.archive import NOISY_TAG, Archive

PROTOCOL = "Key slices, a hit is IoU >= 0.5"
IOU_THRESHOLD = 0.5
RATES = Rates((0.5, 1.0, 2.0, 4.0, 8.0, 16.0), (0.5, 1.0, 2.0, 4.0), proposals=(1, 4, 8))
SMALL_MM, LARGE_MM = 10.0, 30.0

Detect = Callable[[Slab], Sequence[Proposal]]


@dataclass(frozen=True, slots=True)
class KeySlice:
    """One image of the protocol: ``name`` as in DeepLesion's table, and all its lesions."""

    name: str
    lesions: tuple[Lesion, ...]


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """How to evaluate.

    Attributes:
        splits: whose lesions; empty for all.
        seed: of the random baseline and of the resamples.
        resamples: of the patients, for the intervals.
        with_baselines: whether to measure the baselines too; they need the archive's pixels.
        progress: called with (done, total) key slices.
        categories: a mined category by lesion id, whose lesions are told as groups too.
    """

    splits: tuple[Split, ...] = (Split.TEST,)
    seed: int = 0
    resamples: int = 1000
    with_baselines: bool = True
    progress: Callable[[int, int], None] | None = None
    categories: Mapping[str, str] = field(default_factory=dict)


def evaluate_detector(
    archive: Archive, detector: SliceDetector, options: DetectionOptions
) -> DetectionReport:
    """Runs the detector over the archive's key slices and scores it beside the baselines.

    Raises:
        EvaluationError: the split holds no lesion.
        ArchiveError: an image is missing or damaged.
    """
    slices = key_slices(archive, options.splits)
    detects = {**_baselines(slices, options), detector.name: detector.detect}
    found = detect_all(archive, slices, detects, detector.half_depth_mm, options.progress)
    identity = {"detector_fingerprint": detector.fingerprint}
    return _report(archive, slices, found, options, identity)


def evaluate_predictions(
    archive: Archive, predictions: Path, options: DetectionOptions
) -> DetectionReport:
    """Scores a file of predicted boxes; only the baselines read pixels.

    The file has the form that ``detection_files`` describes, named by key slice, in 0-based
    pixels. Images of other splits in it are ignored and counted.

    Raises:
        EvaluationError: the split holds no lesion.
        DetectionFileError: the file is not in that form or lacks an image.
        ArchiveError: a baseline's image is missing or damaged.
    """
    slices = key_slices(archive, options.splits)
    predicted = read_boxes(predictions, BoxRows(dimensions=2, scored=True))
    names = [image.name for image in slices]
    boxes = boxes_of(predicted, names, predictions.name)
    found = detect_all(archive, slices, _baselines(slices, options), 0.0, options.progress)
    surplus = {"predicted_images_of_other_splits": len(predicted) - len(slices)}
    return _report(archive, slices, {**found, predictions.name: boxes}, options, surplus)


def key_slices(archive: Archive, splits: Sequence[Split]) -> tuple[KeySlice, ...]:
    """The key slices with sound lesions of the splits (all if empty), in the table's order.

    Raises EvaluationError if there is none.
    """
    grouped: dict[str, list[Lesion]] = {}
    for lesion in archive.lesions:
        if (not splits or lesion.split in splits) and NOISY_TAG not in lesion.terms:
            name = archive.image_name(lesion)
            grouped.setdefault(name, []).append(lesion)
    if not grouped:
        wanted = ", ".join(split.value for split in splits) or "any"
        raise EvaluationError(
            f"archive {archive.root.name} holds no lesion of split {wanted} to detect: choose "
            "another with --split, or all"
        )
    return tuple(KeySlice(name, tuple(lesions)) for name, lesions in grouped.items())


def detect_all(
    archive: Archive,
    slices: Sequence[KeySlice],
    detectors: Mapping[str, Detect],
    half_depth_mm: float,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[FloatArray]]:
    """Detector name to (n, 5) scored boxes of every key slice; each slab is read once."""
    found: dict[str, list[FloatArray]] = {name: [] for name in detectors}
    for done, image in enumerate(slices if detectors else (), start=1):
        slab = archive.slab(image.lesions[0], half_depth_mm=half_depth_mm)
        for name, detect in detectors.items():
            found[name].append(scored_boxes(detect(slab)))
        if progress is not None:
            progress(done, len(slices))
    return found


def scored_boxes(proposals: Sequence[Proposal]) -> FloatArray:
    """(n, 5): x1, y1, x2, y2, score."""
    rows = [[*proposal.box.to_list(), proposal.score] for proposal in proposals]
    return np.array(rows, np.float64).reshape(-1, 5)


def score_key_slices(
    slices: Sequence[KeySlice], detections: Sequence[FloatArray], options: DetectionOptions
) -> FrocScores:
    """The protocol's scores of (n, 5) boxes of each key slice, by size, type and category too."""
    truth = [
        np.array([lesion.box.to_list() for lesion in image.lesions], np.float64) for image in slices
    ]
    _, patients = np.unique([image.lesions[0].patient_id for image in slices], return_inverse=True)
    return score_froc(
        match(truth, detections, iou, threshold=IOU_THRESHOLD),
        patients.astype(np.int64),
        RATES,
        np.random.default_rng(options.seed),
        groups=_groups([x for image in slices for x in image.lesions], options.categories),
        resamples=options.resamples,
    )


def _groups(lesions: Sequence[Lesion], categories: Mapping[str, str]) -> dict[str, BoolArray]:
    """Lesions by size, type and category; those of unknown size or type are in no such group."""
    long_mm = np.array([np.nan if x.long_mm is None else x.long_mm for x in lesions], np.float64)
    groups: dict[str, BoolArray] = {
        f"under {SMALL_MM:g} mm": long_mm < SMALL_MM,
        f"{SMALL_MM:g} to {LARGE_MM:g} mm": (long_mm >= SMALL_MM) & (long_mm <= LARGE_MM),
        f"over {LARGE_MM:g} mm": long_mm > LARGE_MM,
    }
    for kind in LesionType:
        if kind is not LesionType.UNKNOWN:
            groups[kind.value] = np.array([lesion.lesion_type is kind for lesion in lesions])
    own = [categories.get(lesion.lesion_id) for lesion in lesions]
    for name in sorted({one for one in own if one is not None}):
        groups[name] = np.array([one == name for one in own])
    return groups


def _baselines(slices: Sequence[KeySlice], options: DetectionOptions) -> dict[str, Detect]:
    if not options.with_baselines:
        return {}
    sides = [(x.box.width, x.box.height) for image in slices for x in image.lesions]
    width, height = np.median(np.array(sides), axis=0)
    generator = np.random.default_rng(options.seed)
    return {
        "random boxes": RandomBoxes(float(width), float(height), generator).detect,
        "blobs": BlobDetector().detect,
    }


def _report(
    archive: Archive,
    slices: Sequence[KeySlice],
    found: Mapping[str, Sequence[FloatArray]],
    options: DetectionOptions,
    settings: Mapping[str, object],
) -> DetectionReport:
    noisy = sum(
        (not options.splits or lesion.split in options.splits) and NOISY_TAG in lesion.terms
        for lesion in archive.lesions
    )
    return DetectionReport(
        protocol=PROTOCOL,
        source=archive.root.resolve().name,
        detector=list(found)[-1],
        unit="key slice",
        images=len(slices),
        lesions=sum(len(image.lesions) for image in slices),
        patients=len({image.lesions[0].patient_id for image in slices}),
        left_out={"marked as possibly noisy": noisy} if noisy else {},
        rates=RATES,
        methods={name: score_key_slices(slices, boxes, options) for name, boxes in found.items()},
        settings={
            "splits": [split.value for split in options.splits] or ["all"],
            "seed": options.seed,
            "resamples": options.resamples,
            **settings,
        },
    )
