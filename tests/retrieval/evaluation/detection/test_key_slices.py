"""Protocol A: the truth scores 1.0, shifted truth what its overlap says, baselines stand beside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.detection.proposals import Proposal
from retrieval.evaluation.detection.files import DetectionFileError
from retrieval.evaluation.detection.key_slices import (
    RATES,
    DetectionOptions,
    evaluate_detector,
    evaluate_predictions,
    key_slices,
    score_key_slices,
    scored_boxes,
)
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.reporting.tables import markdown
from retrieval.image import Slab
from retrieval.lesion import Box, LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.errors import ArchiveError
from retrieval.tag import given_tags
from tests.retrieval.evaluation.toy_archive import ToyArchive, toy_lesion

ALL_SPLITS = DetectionOptions(splits=(), resamples=20)


def small_archive(**fields) -> ToyArchive:
    """Two patients; one key slice with two lesions, one doubtful mark, three sizes, two types."""
    liver, lung = LesionType.LIVER, LesionType.LUNG
    lesions = [
        toy_lesion(1, patient=1, kind=liver, long_mm=8.0, split=Split.TEST),
        toy_lesion(2, patient=1, kind=liver, x=50.0, long_mm=10.0, split=Split.TEST),
        toy_lesion(3, patient=2, kind=lung, long_mm=30.5, split=Split.TEST),
        toy_lesion(4, patient=2, kind=lung, split=Split.TEST, tags=given_tags("possibly_noisy")),
        toy_lesion(5, patient=3, kind=lung, split=Split.VALIDATION),
    ]
    lesions[1] = lesions[1].with_changes(key_slice_index=1)
    return ToyArchive(lesions, **fields)


def shifted(slices, dx: float) -> list[np.ndarray]:
    return [
        scored_boxes([Proposal(lesion.box.shifted(dx, 0), 0.5) for lesion in image.lesions])
        for image in slices
    ]


def test_key_slices_hold_all_their_lesions_and_leave_out_doubtful_marks():
    archive = small_archive()
    slices = key_slices(archive, (Split.TEST,))
    assert [[x.lesion_id for x in image.lesions] for image in slices] == [["1", "2"], ["3"]]
    assert [image.name for image in slices] == ["1_001.png", "1_003.png"]
    assert len(key_slices(archive, ())) == 3


def test_the_truth_scores_one_everywhere():
    slices = key_slices(small_archive(), ())
    scores = score_key_slices(slices, shifted(slices, 0.0), ALL_SPLITS)
    for group in scores.groups.values():
        rates = [estimate.value for name, estimate in group.items() if "best" not in name]
        assert rates == [1.0] * 7
    # Equal scores on one slice: its second box is among the best four, not the best one.
    assert scores.overall["best 4"].value == 1.0


@pytest.mark.parametrize(("dx", "sensitivity"), [(4, 1.0), (5, 0.0)])
def test_a_shift_beyond_half_the_overlap_scores_nothing(dx: float, sensitivity: float):
    """Boxes cover 13 pixels: shifted by 4, 9 are common of 17; by 5, 8 of 18."""
    slices = key_slices(small_archive(), ())
    overall = score_key_slices(slices, shifted(slices, dx), ALL_SPLITS).overall
    assert overall["at 16 FP"].value == sensitivity
    # Misses come first among equal scores, and here every box is a miss or none.
    assert overall[RATES.mean_name].value == sensitivity


def test_groups_are_by_size_and_type():
    slices = key_slices(small_archive(), (Split.TEST,))
    first_only = [scored_boxes([Proposal(slices[0].lesions[0].box, 0.9)]), np.empty((0, 5))]
    scores = score_key_slices(slices, first_only, ALL_SPLITS)
    at_one = {name: group["at 1 FP"].value for name, group in scores.groups.items()}
    assert at_one == {
        "all": pytest.approx(1 / 3),
        "under 10 mm": 1.0,
        "10 to 30 mm": 0.0,
        "over 30 mm": 0.0,
        "liver": 0.5,
        "lung": 0.0,
    }


class Finder:
    """Proposes what a table of boxes says for the slab's key slice, after some misses."""

    name = "finder"
    fingerprint = "finder0"
    half_depth_mm = 4.0

    def __init__(self, boxes: dict[int, list[Box]]) -> None:
        self.boxes = boxes
        self.depths: list[int] = []

    def detect(self, slab: Slab) -> Sequence[Proposal]:
        self.depths.append(len(slab.hu))
        # The toy archive's pixels know the patient: its square is brighter by 10 HU each.
        square = slab.hu[slab.key_slice, 28:36, 28:36].mean()
        patient = round((square - slab.hu[slab.key_slice, :20].mean()) / 10)
        return [Proposal(box, 0.9) for box in self.boxes[patient]]

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[Sequence[Proposal]]:
        return [self.detect(slab.with_key_slice(position)) for position in positions]


def test_a_detector_stands_beside_its_baselines_and_each_slab_is_read_once():
    archive = small_archive()
    first, second, third = archive.lesions[:3]
    finder = Finder({1: [first.box, second.box], 2: [third.box.shifted(40, 0)]})
    report = evaluate_detector(archive, finder, DetectionOptions(resamples=20))
    assert list(report.methods) == ["random boxes", "blobs", "finder"]
    assert report.methods["finder"].overall["at 0.5 FP"].value == pytest.approx(2 / 3)
    assert finder.depths == [5, 5]
    assert archive.readings == ["1", "3"]
    assert (report.images, report.lesions, report.patients) == (2, 3, 2)
    assert report.left_out == {"marked as possibly noisy": 1}
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["methods"]["finder"]["groups"]["all"]["best 8"]["value"] == pytest.approx(2 / 3)
    assert document["settings"]["detector_fingerprint"] == "finder0"
    page = markdown(report.text())
    assert "| finder | 0.667" in page
    assert "| under 10 mm (1) | mean of 0.5, 1, 2, 4 |" in page


def test_baselines_can_be_left_out_and_then_predictions_need_no_pixels(tmp_path):
    archive = small_archive(with_images=False)
    names = {image.name: image for image in key_slices(archive, ())}
    rows = {
        name: [[*lesion.box.to_list(), 0.7] for lesion in image.lesions]
        for name, image in names.items()
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(rows))
    options = DetectionOptions(resamples=10, with_baselines=False)
    report = evaluate_predictions(archive, path, options)
    assert list(report.methods) == ["mine.json"]
    assert report.methods["mine.json"].overall[RATES.mean_name].value == 1.0
    assert report.settings["predicted_images_of_other_splits"] == 1
    with pytest.raises(ArchiveError):
        evaluate_predictions(archive, path, DetectionOptions(resamples=10))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"1_001.png": []}', "lacks 1 of 2 images .*1_003.png"),
        ('{"1_001.png": [[1, 2, 3, 4]], "1_003.png": []}', "row 1 of 1_001.png is not 5 numbers"),
        ('{"1_001.png": [[9, 2, 3, 4, 1]], "1_003.png": []}', "wrong way round"),
        ('{"1_001.png": [[1, 2, 3, 4, NaN]], "1_003.png": []}', "not 5 numbers"),
        ('{"1_001.png": {"box": 1}}', "a list of rows"),
        ("[]", "JSON object"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, content, words):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(DetectionFileError, match=words):
        evaluate_predictions(small_archive(), path, DetectionOptions(with_baselines=False))


def test_a_split_without_lesions_is_an_error():
    with pytest.raises(EvaluationError, match="train"):
        key_slices(small_archive(), (Split.TRAIN,))


def test_the_official_test_split_has_the_published_number_of_images_and_boxes(real_data: Path):
    archive = DeepLesionArchive.open(real_data / "DL_info_val_test_9816.csv")
    slices = key_slices(archive, (Split.TEST,))
    assert (len(slices), sum(len(image.lesions) for image in slices)) == (4817, 4912)
    options = DetectionOptions(resamples=2)
    exact = score_key_slices(slices, shifted(slices, 0.0), options)
    assert {estimate.value for name, estimate in exact.overall.items() if "FP" in name} == {1.0}
    moved = score_key_slices(slices, shifted(slices, 8.0), options).overall
    # By hand: a box of w whole pixels moved by 8 has IoU (w - 8) / (w + 8), 0.5 from w = 24 on.
    wide = [x.box.width + 1 >= 24 - 1e-9 for image in slices for x in image.lesions]
    assert moved["at 16 FP"].value == pytest.approx(np.mean(wide), abs=0.002)
