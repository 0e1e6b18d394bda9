"""The baselines: random boxes stay in the body, blobs find discs and nothing in an even body."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.detection.baselines import BASELINE_BOXES, BlobDetector, RandomBoxes
from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box

CENTER, RADIUS_MM = (150.0, 110.0), 9.0


def _slab(disc_hu: float, *, spacing: float = 0.8, base_hu: float = 50.0) -> Slab:
    rows, columns = np.mgrid[:256, :256].astype(np.float32)
    hu = np.full((1, 256, 256), -1000, np.float32)
    body = ((columns - 128) / 110) ** 2 + ((rows - 128) / 90) ** 2 < 1
    hu[0][body] = base_hu
    distance = np.hypot(columns - CENTER[0], rows - CENTER[1]) * spacing
    hu[0][distance < RADIUS_MM] = disc_hu
    hu[0] += np.random.default_rng(0).normal(0, 8, (256, 256))
    return Slab(hu, (spacing, spacing), 2.0)


@pytest.mark.parametrize(("disc_hu", "spacing"), [(130.0, 0.8), (-40.0, 1.1)])
def test_a_bright_or_dark_disc_is_the_best_blob_inside(disc_hu, spacing):
    best = next(
        proposal
        for proposal in BlobDetector().detect(_slab(disc_hu, spacing=spacing))
        if 60 < proposal.box.center[0] < 196 and 70 < proposal.box.center[1] < 186
    )
    side = 2 * (RADIUS_MM / spacing + BOX_PADDING_PX)
    assert best.box.iou(Box.around(CENTER, side)) > 0.6
    assert best.long_mm == pytest.approx(2 * RADIUS_MM, rel=0.45)


def test_blobs_are_sorted_bounded_and_absent_from_air():
    proposals = BlobDetector().detect(_slab(130.0))
    scores = [proposal.score for proposal in proposals]
    assert scores == sorted(scores, reverse=True)
    assert 0 < len(scores) <= BASELINE_BOXES
    air = Slab(np.full((1, 64, 64), -1000, np.float32), (1.0, 1.0), 1.0)
    assert BlobDetector().detect(air) == ()
    assert RandomBoxes(9, 9, np.random.default_rng(0)).detect(air) == ()


def test_random_boxes_have_the_size_asked_for_and_lie_about_the_body():
    slab = _slab(50.0)
    boxes = RandomBoxes(20, 10, np.random.default_rng(1)).detect(slab)
    assert len(boxes) == BASELINE_BOXES
    for proposal in boxes:
        assert (proposal.box.width, proposal.box.height) == (20, 10)
        x, y = proposal.box.center
        assert ((x - 128) / 111) ** 2 + ((y - 128) / 91) ** 2 < 1.01
    again = RandomBoxes(20, 10, np.random.default_rng(1)).detect(slab)
    assert again == boxes
