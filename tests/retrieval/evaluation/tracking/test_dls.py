"""The DLS benchmark's two protocols, against a script that shares no line with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.evaluation.tracking.dls import (
    PREDICTION,
    DlsError,
    DlsScores,
    load_pairs,
    load_predictions,
    score_predictions,
)


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "target": "000004_03_01_002-014.nii.gz",
        "target center": [50.0, 60.0, 10.0],
        "target box": [40.0, 50.0, 8.0, 20.0, 20.0, 4.0],
        "target spacing": [0.5, 0.5, 5.0],
        "target recist diameter": [20.0, 12.0],
        PREDICTION: [50.0, 60.0, 10.0],
        **changes,
    }


def scored(folder: Path, truth: Any, predictions: Any) -> DlsScores:
    for name, content in (("truth.json", truth), ("predictions.json", predictions)):
        (folder / name).write_text(json.dumps(content))
    pairs = load_pairs(folder / "truth.json")
    centers = load_predictions(folder / "predictions.json", pairs)
    return score_predictions(pairs, centers, np.random.default_rng(0), resamples=50)


def rates(scores: DlsScores) -> tuple[float, ...]:
    return (
        scores.strict_radius.value,
        scores.strict_10mm.value,
        scores.loose_radius.value,
        scores.loose_10mm.value,
    )


@pytest.mark.parametrize(
    ("center", "expected"),
    [
        # Radius: 20 px * 0.5 mm/px / 2 = 5 mm. Were the diameter millimetres it would be 10 mm.
        ([50.0, 60.0, 10.0], (1, 1, 1, 1)),
        ([59.0, 60.0, 10.0], (1, 1, 1, 1)),
        ([60.0, 60.0, 10.0], (0, 1, 1, 1)),
        ([61.0, 60.0, 10.0], (0, 0, 0, 1)),
        ([50.0, 60.0, 12.0], (0, 0, 1, 1)),
        ([50.0, 60.0, 12.1], (0, 0, 0, 0)),
    ],
)
def test_each_protocol_counts_by_its_own_rule(
    tmp_path: Path, center: list[float], expected: tuple[int, ...]
) -> None:
    scores = scored(tmp_path, {"0001": pair()}, {"0001": {PREDICTION: center}})
    assert rates(scores) == expected


def test_a_null_prediction_is_a_miss_and_is_counted(tmp_path: Path) -> None:
    truth = {"a": pair(), "b": pair(target="000005_01")}
    scores = scored(tmp_path, truth, {"b": {PREDICTION: None}, "a": pair()})
    assert rates(scores) == (0.5, 0.5, 0.5, 0.5)
    assert (scores.not_predicted, scores.offset_mm.value) == (1, 0.0)


def test_results_in_a_list_are_read_in_the_order_of_the_truth(tmp_path: Path) -> None:
    truth = [pair(), pair(target="000005_01")]
    far = pair(**{PREDICTION: [0.0, 0.0, 0.0]})
    assert rates(scored(tmp_path, truth, {"results": [pair(), far]})) == (0.5, 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"0002": pair()}, "lack 1 of 1"),
        ({"0001": pair(), "0002": pair()}, "1 others"),
        ({"0001": {PREDICTION: [1.0, 2.0]}}, "3 numbers"),
        ({"0001": {PREDICTION: [1.0, 2.0, math.nan]}}, "3 numbers"),
        ({"0001": {}}, "3 numbers"),
        ({"0001": 5}, "not an object"),
        ([], "no pairs"),
    ],
)
def test_wrong_predictions_are_named(tmp_path: Path, predictions: Any, message: str) -> None:
    with pytest.raises(DlsError, match=message):
        scored(tmp_path, {"0001": pair()}, predictions)
    with pytest.raises(DlsError, match=r"absent\.json"):
        load_pairs(tmp_path / "absent.json")


def independent_scores(path: Path) -> list[float]:
    """The ten-line script: MED, strict CPM@R, CPM@10, loose CPM@R, CPM@10 of the initialisation."""
    sums = [0.0] * 5
    entries = list(json.loads(path.read_text()).values())
    for e in entries:
        p, t, s, b = (e[k] for k in (PREDICTION, "target center", "target spacing", "target box"))
        off = math.dist([p[i] * s[i] for i in range(3)], [t[i] * s[i] for i in range(3)])
        r = max(e["target recist diameter"]) * s[0] / 2
        inside = all(b[i] <= p[i] <= b[i] + b[i + 3] for i in range(3))
        for i, v in enumerate((off, off < r, off <= min(10, r), inside, off <= 10)):
            sums[i] += v
    return [total / len(entries) for total in sums]


def test_the_affine_initialisation_scores_what_ten_lines_compute(real_data: Path) -> None:
    path = real_data / "dls_valid.json"
    pairs = load_pairs(path)
    assert (len(pairs.keys), int(pairs.patients.max()) + 1) == (906, 105)
    scores = score_predictions(
        pairs, load_predictions(path, pairs), np.random.default_rng(0), resamples=200
    )
    assert [scores.offset_mm.value, *rates(scores)] == pytest.approx(independent_scores(path))
    low, high = scores.strict_radius.low, scores.strict_radius.high
    assert low is not None
    assert high is not None
    assert low < scores.strict_radius.value < high


def test_the_truth_as_predictions_is_perfect(real_data: Path) -> None:
    pairs = load_pairs(real_data / "dls_valid.json")
    scores = score_predictions(pairs, pairs.centers, np.random.default_rng(0), resamples=20)
    assert rates(scores) == (1.0, 1.0, 1.0, 1.0)
    assert scores.offset_mm.value == 0.0
