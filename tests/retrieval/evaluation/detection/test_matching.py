"""Matching and the FROC curve against hand-made cases and a walk through the boxes by score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.evaluation.detection.froc import (
    ALL,
    Rates,
    froc_curve,
    resampled_means,
    score_froc,
)
from retrieval.evaluation.detection.matching import iobb, iou, match

FloatArray = NDArray[np.float64]
RATES = Rates((0.5, 1, 2, 4), (0.5, 1, 2, 4), proposals=(1, 2))


def _array(rows: Sequence[Sequence[float]], width: int) -> FloatArray:
    return np.array(rows, np.float64).reshape(-1, width)


def _walked_overlap(box: Sequence[float], lesion: Sequence[float], over_box: bool) -> float:
    """Counts whole pixels, one by one."""
    half = len(box) // 2
    ranges = [
        (
            set(range(int(box[axis]), int(box[half + axis]) + 1)),
            set(range(int(lesion[axis]), int(lesion[half + axis]) + 1)),
        )
        for axis in range(half)
    ]
    common, own, other = 1, 1, 1
    for mine, theirs in ranges:
        common *= len(mine & theirs)
        own *= len(mine)
        other *= len(theirs)
    return common / own if over_box else common / (own + other - common)


def _walked_curve(
    lesions: Sequence[FloatArray], detections: Sequence[FloatArray], threshold: float
) -> tuple[list[float], list[float]]:
    """The released evaluation in plain words: boxes by falling score, a point after each."""
    boxes = [(row[-1], image, row[:-1]) for image, rows in enumerate(detections) for row in rows]
    boxes.sort(key=lambda one: -one[0])
    hit = [[False] * len(rows) for rows in lesions]
    rates, sensitivities, false = [], [], 0
    for _, image, box in boxes:
        overlaps = [_walked_overlap(box, lesion, over_box=False) for lesion in lesions[image]]
        if not overlaps or max(overlaps) < threshold:
            false += 1
        for place, overlap in enumerate(overlaps):
            hit[image][place] = hit[image][place] or overlap >= threshold
        rates.append(false / len(lesions))
        sensitivities.append(sum(map(sum, hit)) / sum(map(len, lesions)))
    return rates, sensitivities


@st.composite
def _scene(draw: st.DrawFn) -> tuple[list[FloatArray], list[FloatArray]]:
    """Some images with lesions and boxes of all-different scores; at least one lesion."""
    edge = st.integers(0, 9)

    def boxes(count: int) -> FloatArray:
        rows = []
        for _ in range(count):
            x, y, width, height = draw(edge), draw(edge), draw(edge), draw(edge)
            rows.append([x, y, x + width, y + height])
        return _array(rows, 4)

    images = draw(st.integers(1, 4))
    lesions = [boxes(draw(st.integers(1 if image == 0 else 0, 3))) for image in range(images)]
    found = [boxes(draw(st.integers(0, 6))) for _ in range(images)]
    scores = draw(st.permutations(range(sum(map(len, found)))))
    parts = np.split(np.array(scores, np.float64), np.cumsum([len(one) for one in found])[:-1])
    return lesions, [np.c_[one, part] for one, part in zip(found, parts, strict=True)]


@given(_scene(), st.sampled_from([0.3, 0.5]))
@settings(max_examples=100, deadline=None)
def test_scores_are_those_of_the_walk_read_by_interpolation(
    scene: tuple[list[FloatArray], list[FloatArray]], threshold: float
) -> None:
    lesions, detections = scene
    found = match(lesions, detections, iou, threshold=threshold)
    rates, sensitivities = _walked_curve(lesions, detections, threshold)
    images = np.arange(len(lesions))
    scored = score_froc(found, images, RATES, np.random.default_rng(0), resamples=2).overall
    for name, rate in zip(RATES.names, RATES.false_positives, strict=False):
        expected = np.interp(rate, rates, sensitivities, left=0.0) if rates else 0.0
        assert scored[name].value == pytest.approx(expected)
    curve = froc_curve(found)
    for rate, sensitivity in zip(*curve, strict=True):
        reached = np.interp(rate, rates, sensitivities, left=0.0) if rates else 0.0
        assert sensitivity == pytest.approx(reached)


@given(_scene())
@settings(max_examples=40, deadline=None)
def test_overlaps_count_whole_pixels(scene: tuple[list[FloatArray], list[FloatArray]]) -> None:
    lesions, detections = scene
    boxes = np.concatenate([rows[:, :4] for rows in detections])
    targets = np.concatenate(lesions)
    for function, over_box in ((iou, False), (iobb, True)):
        expected = [[_walked_overlap(box, lesion, over_box) for lesion in targets] for box in boxes]
        assert np.allclose(function(boxes, targets), _array(expected, len(targets)))


def test_overlaps_of_boxes_in_3d() -> None:
    box, lesion = _array([[0, 0, 1, 9, 9, 5]], 6), _array([[5, 0, 4, 14, 9, 8]], 6)
    assert iobb(box, lesion)[0, 0] == pytest.approx(5 * 10 * 2 / (10 * 10 * 5))
    assert iou(box, lesion)[0, 0] == pytest.approx(100 / (500 + 500 - 100))


LESION = [10, 10, 19, 19]
FAR = [60, 60, 69, 69]


def _hand_made() -> tuple[list[FloatArray], list[FloatArray]]:
    """Two images: a lesion found at 0.8 after one miss at 0.9 and again at 0.7; one never found."""
    lesions = [_array([LESION], 4), _array([LESION, FAR], 4)]
    detections = [
        _array([[*FAR, 0.9], [*LESION, 0.8], [11, 10, 20, 19, 0.7]], 5),
        _array([[10, 10, 19, 14, 0.6], [40, 40, 49, 49, 0.5], [41, 40, 49, 49, 0.4]], 5),
    ]
    return lesions, detections


def test_a_case_that_can_be_counted_by_hand() -> None:
    found = match(*_hand_made(), iou, threshold=0.5)
    assert found.score.tolist() == [0.8, 0.6, -np.inf]  # half of the lesion is exactly IoU 0.5
    assert found.rank.tolist() == [2, 1, np.inf]
    assert sorted(found.false_score) == [0.4, 0.5, 0.9]
    scored = score_froc(
        found, np.array([0, 1]), RATES, np.random.default_rng(0), resamples=5
    ).overall
    assert [scored[name].value for name in RATES.names] == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 1 / 3, 2 / 3]
    )
    tight = Rates((0.25,), (0.25,))
    assert (
        score_froc(found, np.array([0, 1]), tight, np.random.default_rng(0), resamples=2)
        .overall["at 0.25 FP"]
        .value
        == 0.0
    )
    rates, sensitivity = froc_curve(found)
    assert rates.tolist() == [0, 0.5, 1.5]
    assert sensitivity == pytest.approx([0, 2 / 3, 2 / 3])


def test_one_box_may_hit_two_lesions_and_a_second_box_on_them_is_not_false() -> None:
    lesions = [_array([[0, 0, 9, 9], [0, 1, 9, 10]], 4)]
    detections = [_array([[0, 0, 9, 10, 0.9], [0, 0, 9, 9, 0.5]], 5)]
    found = match(lesions, detections, iou, threshold=0.5)
    assert found.score.tolist() == [0.9, 0.9]
    assert len(found.false_score) == 0


def test_of_equal_scores_the_false_stand_first() -> None:
    lesions = [_array([LESION], 4)]
    boxes = [[*LESION, 0.5], [*FAR, 0.5]]
    for order in (boxes, boxes[::-1]):
        found = match(lesions, [_array(order, 5)], iou, threshold=0.5)
        assert found.rank.tolist() == [2]
        half = Rates((0.5, 1), (0.5,))
        overall = score_froc(
            found, np.array([0]), half, np.random.default_rng(0), resamples=5
        ).overall
        assert [overall[name].value for name in half.names] == [0.0, 1.0, 0.0]


def test_images_without_lesions_or_boxes_count_as_images() -> None:
    lesions = [_array([LESION], 4), _array([], 4), _array([], 4)]
    detections = [_array([[*FAR, 0.9], [*LESION, 0.1]], 5), _array([[*FAR, 0.8]], 5), _array([], 5)]
    found = match(lesions, detections, iou, threshold=0.5)
    rates = Rates((0.5, 1), (0.5, 1))
    scored = score_froc(found, np.arange(3), rates, np.random.default_rng(0), resamples=5).overall
    assert [scored[name].value for name in rates.names] == [0.0, 1.0, 0.5]
    nothing = match(lesions, [_array([], 5)] * 3, iou, threshold=0.5)
    assert score_froc(nothing, np.arange(3), rates, np.random.default_rng(0), resamples=5).overall[
        "at 1 FP"
    ].value == pytest.approx(0.0)


def test_groups_share_the_operating_point() -> None:
    found = match(*_hand_made(), iou, threshold=0.5)
    groups = {
        "found": np.array([True, True, False]),
        "missed": np.array([False, False, True]),
        "none": np.zeros(3, bool),
    }
    scored = score_froc(
        found, np.array([0, 1]), RATES, np.random.default_rng(0), groups=groups, resamples=5
    )
    assert list(scored.groups) == [ALL, "found", "missed"]
    assert scored.groups["found"]["at 0.5 FP"].value == 1.0
    assert scored.groups["missed"]["at 4 FP"].value == 0.0
    assert scored.groups["found"]["at 0.5 FP"].queries == 2


def test_intervals_draw_whole_patients() -> None:
    """Two patients, one always found and one never: a resample is 0, a half or 1."""
    lesions = [_array([LESION], 4)] * 4
    detections = [_array([[*LESION, 0.9]], 5)] * 2 + [_array([], 5)] * 2
    found = match(lesions, detections, iou, threshold=0.5)
    generator = np.random.default_rng(0)
    overall = score_froc(found, np.array([7, 7, 9, 9]), RATES, generator, resamples=200).overall
    assert (overall["at 1 FP"].value, overall["at 1 FP"].low, overall["at 1 FP"].high) == (
        0.5,
        0,
        1,
    )
    alone = score_froc(found, np.zeros(4, int), RATES, generator, resamples=20).overall
    assert (alone["at 1 FP"].value, alone["at 1 FP"].low) == (0.5, None)


def test_resampled_scores_are_those_of_the_drawn_images() -> None:
    """A patient drawn twice must count exactly as its images listed twice."""
    rng = np.random.default_rng(3)
    lesions = [_boxes(rng, 2) for _ in range(6)]
    detections = [np.c_[_boxes(rng, 8), rng.random(8)] for _ in range(6)]
    found = match(lesions, detections, iou, threshold=0.3)
    seed = 11
    drawn = score_froc(found, np.arange(6), RATES, np.random.default_rng(seed), resamples=1)
    picks = np.random.default_rng(seed).integers(0, 6, 6)
    again = match(
        [lesions[pick] for pick in picks], [detections[pick] for pick in picks], iou, threshold=0.3
    )
    repeated = score_froc(again, np.arange(6), RATES, np.random.default_rng(0), resamples=1)
    for name in RATES.names:
        assert drawn.overall[name].low == pytest.approx(repeated.overall[name].value)


def test_two_detectors_are_compared_on_the_same_draws() -> None:
    rng = np.random.default_rng(5)
    lesions = [_boxes(rng, 2) for _ in range(8)]
    good = match(lesions, [np.c_[x, np.ones(2)] for x in lesions], iou, threshold=0.5)
    bad = match(lesions, [np.c_[x[:1], np.ones(1)] for x in lesions], iou, threshold=0.5)
    means = [resampled_means(x, np.arange(8), RATES, resamples=50) for x in (good, bad, bad)]
    assert means[0].shape == (51,)
    assert (means[1] == means[2]).all()
    assert (means[0] - means[1])[0] == pytest.approx(0.5)
    drawn = score_froc(bad, np.arange(8), RATES, np.random.default_rng(0), resamples=50)
    assert means[1][0] == pytest.approx(drawn.overall[RATES.mean_name].value)
    assert np.quantile(means[1][1:], 0.025) == pytest.approx(drawn.overall[RATES.mean_name].low)


def _boxes(rng: np.random.Generator, count: int) -> FloatArray:
    corner = rng.integers(0, 20, (count, 2))
    return np.c_[corner, corner + rng.integers(4, 12, (count, 2))].astype(np.float64)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    lesions = [_array([LESION], 4)] * 900
    detections = [_array([[*FAR, score], [*LESION, hit]], 5) for score, hit in rng.random((900, 2))]
    found = match(lesions, detections, iou, threshold=0.5)
    rates, sensitivity = froc_curve(found, points=50)
    assert len(rates) <= 50
    assert (rates[-1], sensitivity[-1]) == (1.0, 1.0)
    assert (np.diff(sensitivity) >= 0).all()
