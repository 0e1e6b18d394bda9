"""Protocol B: hand-made sub-volumes, and the released validation annotations as their own boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.evaluation.detection.boxes_3d import RATES, evaluate_boxes_3d
from retrieval.evaluation.detection.files import BoxRows, DetectionFileError, read_boxes

LESION = [10, 10, 5, 19, 19, 8]


def _evaluate(folder: Path, truth, predictions, **options):
    paths = []
    for name, content in (("truth.json", truth), ("mine.json", predictions)):
        paths.append(folder / name)
        paths[-1].write_text(json.dumps(content))
    report = evaluate_boxes_3d(*paths, resamples=10, **options)
    return report, {name: one.value for name, one in report.methods["mine.json"].overall.items()}


def test_a_case_that_can_be_counted_by_hand(tmp_path):
    """Eight sub-volumes: half of the lesions before any miss, the rest after two of them."""
    truth = {f"00000{n}_01_01_001-030": [LESION] for n in range(8)}
    predictions = {
        name: [[*LESION, 0.9]] if n < 4 else [[10, 10, 20, 19, 19, 23, 0.8], [*LESION, 0.7]]
        for n, name in enumerate(truth)
    }
    _, scores = _evaluate(tmp_path, truth, predictions)
    # Four misses at 0.8 precede the four late hits: 0.5 false positives a sub-volume.
    expected = [0.5, 0.5, 1, 1, 1, 1, 1]
    assert [scores[name] for name in RATES.names[:7]] == expected
    assert scores[RATES.mean_name] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        ([10, 10, 5, 19, 19, 5], True),  # one slice of the lesion lies wholly in it
        ([10, 10, 6, 19, 19, 17], False),  # 3 of 12 slices
        ([10, 10, 6, 19, 19, 15], True),  # 3 of 10
        ([10, 10, 9, 19, 19, 9], False),  # the slice after the last
    ],
)
def test_iobb_divides_by_the_detected_box_in_whole_slices(tmp_path, box, hit):
    name = "000001_01_01_001-030"
    _, scores = _evaluate(tmp_path, {name: [LESION]}, {name: [[*box, 1.0]]})
    assert scores["at 8 FP"] == float(hit)


def test_sub_volumes_must_be_those_of_the_truth(tmp_path):
    truth = {"a_001-003": [LESION], "b_001-003": []}
    with pytest.raises(DetectionFileError, match="lacks 1 of 2"):
        _evaluate(tmp_path, truth, {"a_001-003": []})
    with pytest.raises(DetectionFileError, match=r"names 1 .*c_001-003"):
        _evaluate(tmp_path, truth, {**truth, "a_001-003": [], "c_001-003": []})
    with pytest.raises(DetectionFileError, match="7 numbers"):
        _evaluate(tmp_path, truth, truth)
    with pytest.raises(DetectionFileError, match="no lesion"):
        _evaluate(tmp_path, {"a_001-003": []}, {"a_001-003": []})


def _as_predictions(folder: Path, boxes: dict[str, np.ndarray]) -> Path:
    path = folder / "predictions.json"
    path.write_text(json.dumps({name: rows.tolist() for name, rows in boxes.items()}))
    return path


def test_the_released_boxes_find_themselves_and_jitter_costs(real_data: Path, tmp_path):
    truth = real_data / "manual_1k_valid.json"
    annotated = read_boxes(truth, BoxRows(dimensions=3, scored=False))
    own = {name: np.c_[rows, np.ones(len(rows))] for name, rows in annotated.items()}
    report = evaluate_boxes_3d(truth, _as_predictions(tmp_path, own), resamples=20)
    assert (report.images, report.lesions, report.patients) == (200, 1292, 99)
    exact = report.methods["predictions.json"].overall
    assert {estimate.value for estimate in exact.values()} == {1.0}
    assert exact[RATES.mean_name].low == 1.0
    means = []
    for share in (0.2, 0.3, 1.0):
        moved = _as_predictions(tmp_path, jittered(own, share))
        overall = evaluate_boxes_3d(truth, moved, resamples=2).methods["predictions.json"].overall
        means.append(overall[RATES.mean_name].value)
    assert means[0] > 0.9 > means[1] > means[2] > 0.0
    assert report.methods["random boxes"].overall[RATES.mean_name].value < 0.2


def jittered(boxes: dict[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Every box moved by normal steps of ``share`` of its sides; scores drawn evenly."""
    rng = np.random.default_rng(0)
    moved = {}
    for name, rows in boxes.items():
        step = rng.normal(0, share, (len(rows), 3)) * (rows[:, 3:6] - rows[:, :3])
        moved[name] = np.c_[rows[:, :6] + np.c_[step, step], rng.random(len(rows))]
    return moved
