"""Scores of masks against naive loops, and the protocol on a ball whose masks are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retrieval.evaluation.reporting.tables import markdown
from retrieval.evaluation.segmentation import baselines
from retrieval.evaluation.segmentation.cohort import (
    CohortError,
    CohortFolders,
    SegmentationCase,
    read_cohort,
)
from retrieval.evaluation.segmentation.protocol import (
    NETWORK,
    READER,
    ProtocolOptions,
    score_cohort,
)
from retrieval.evaluation.segmentation.report import SegmentationReport
from retrieval.evaluation.segmentation.scores import boundary_mm, dice, sape, uls23_score
from retrieval.lesion import Recist
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.prompt import Prompt
from tests.retrieval.segmentation.scenes import (
    CALIBRATION,
    KEY,
    SPACING,
    Nothing,
    ball,
    mark,
    segmenter,
    truth,
)

MASKS = arrays(bool, (7, 9), elements=st.booleans())


@given(MASKS, MASKS)
def test_dice_is_that_of_sets(first, second):
    a, b = (set(zip(*np.nonzero(mask), strict=True)) for mask in (first, second))
    expected = 1.0 if not a and not b else 2 * len(a & b) / (len(a) + len(b))
    assert dice(first, second) == pytest.approx(expected)


@given(MASKS, MASKS)
def test_boundary_distance_is_a_naive_loops(first, second):
    def rim(mask):
        inside = np.pad(mask, 1)
        return [
            (y - 1, x - 1)
            for y, x in zip(*np.nonzero(inside), strict=True)
            if not (inside[y - 1, x] and inside[y + 1, x] and inside[y, x - 1] and inside[y, x + 1])
        ]

    a, b = rim(first), rim(second)
    found = boundary_mm(first, second, (0.5, 2.0))
    if not a or not b:
        assert math.isnan(found)
        return
    away = np.array([[math.hypot((p[0] - q[0]) * 2, (p[1] - q[1]) * 0.5) for q in b] for p in a])
    expected = (away.min(axis=1).sum() + away.min(axis=0).sum()) / (len(a) + len(b))
    assert found == pytest.approx(expected)


def test_the_score_of_the_challenge():
    assert uls23_score(1.0, (10, 10), (5, 5), 1.0) == pytest.approx(1.0)
    assert sape(30, 10) == pytest.approx(0.5)
    assert uls23_score(0.5, (30, 10), (5, 5), 0.0) == pytest.approx(0.4 + 0.025 + 0.05)


@pytest.mark.parametrize(
    ("method", "least"),
    [(baselines.ellipse, 0.96), (baselines.threshold, 0.96), (baselines.grabcut, 0.9)],
)
@pytest.mark.parametrize("around", [-850.0, 130.0])
def test_baselines_find_a_plain_ball(method, least, around):
    mask = method(ball(around=around), Prompt.from_recist(mark(), SPACING))
    assert dice(mask, truth()[KEY]) > least


def test_baselines_in_3d():
    prompt = Prompt.from_recist(mark(), SPACING)
    assert dice(baselines.ellipsoid_mask(ball(), prompt), truth()) > 0.93
    assert dice(baselines.threshold_in_ellipsoid(ball(), prompt), truth()) > 0.93


def report(network=None, count=2, jitters_mm=(0.0, 0.6)):
    share = truth().astype(np.float32)
    cases = [
        SegmentationCase(MaskedLesion(f"n{k}", f"p{k}", "nodule", ball(noise=5 + k), share))
        for k in range(count)
    ]
    rows = score_cohort(
        cases, segmenter(network), CALIBRATION, ProtocolOptions(jitters_mm=jitters_mm)
    )
    return SegmentationReport("scene", rows, resamples=20)


def test_every_prompt_and_baseline_has_its_row():
    found = report()
    document = found.to_json()
    assert document["sources"]["nodule"]["patients"] == 2
    scores = {
        (one["prompt"], one["method"]): one["all"]
        for one in document["sources"]["nodule"]["scores"]
    }
    prompts = {prompt for prompt, method in scores if method == NETWORK}
    assert len(prompts) == 2 + 2 + 1 + 1 + 1
    assert scores["box, 0 mm", NETWORK]["dice"]["value"] > 0.93
    assert scores["box, 0 mm", NETWORK]["volume dice"]["value"] > 0.9
    assert scores["boxes", NETWORK]["ULS23 score"]["value"] > 0.9
    assert scores["two lines, 0.6 mm", "ellipsoid"]["volume dice"]["value"] > 0.8
    text = markdown(found.text())
    assert "GrabCut" in text
    assert "along the body" in text


def test_a_radiologists_line_stands_beside_both_masks():
    share = truth().astype(np.float32)
    lesion = MaskedLesion("d", "p", "DeepLesion", ball(), share)
    x, y = mark().points[1]
    longer = Recist((mark().points[0], (x + 2.5, y), *mark().points[2:]))  # by 2 mm
    rows = score_cohort(
        [SegmentationCase(lesion, longer)],
        segmenter(),
        CALIBRATION,
        ProtocolOptions(jitters_mm=(0.0,)),
    )
    found = SegmentationReport("scene", rows, resamples=20)
    own = found.means("DeepLesion", "no prompt", READER)
    # Edge to edge a mask measures a pixel more than the ball.
    assert own["long from line mm"].value == pytest.approx(2 - SPACING[0], abs=0.01)
    assert own["short from line mm"].value == pytest.approx(SPACING[0], abs=0.15)
    network = found.means("DeepLesion", "two lines, 0 mm", NETWORK)
    assert network["long from line mm"].value == pytest.approx(2, abs=1.5)
    assert "against the radiologist's line" in markdown(found.text())


def test_a_network_that_finds_nothing_is_the_ellipse_and_said_so():
    found = report(Nothing(), count=1, jitters_mm=(0.0,))
    scores = found.means("nodule", "two lines, 0 mm", NETWORK)
    assert scores["ellipse given"].value == 1
    assert scores["dice"].value > 0.95
    clicks = found.means("nodule", "click", NETWORK)
    assert clicks["refused"].value == 1
    assert clicks["dice"].value == 0


def test_a_cohort_needs_a_folder():
    with pytest.raises(CohortError, match="at least one folder"):
        read_cohort(CohortFolders())


def test_real_marked_lesions_have_their_masks(real_data):
    cases = read_cohort(CohortFolders(marked=real_data / "deeplesion_windowed"))
    assert len(cases) == 5
    for case in cases:
        key = case.lesion.slab.key_slice
        shape = case.lesion.mask[key].shape
        ellipse = Prompt.from_recist(case.key_mark, case.lesion.slab.spacing_mm_px)
        overlap = dice(ellipse.mask(shape, case.lesion.slab.spacing_mm_px), case.lesion.mask[key])
        assert overlap > 0.7, case.lesion.name
