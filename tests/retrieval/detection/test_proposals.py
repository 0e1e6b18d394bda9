"""Proposals and the diameter their boxes speak for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.detection.proposals import Proposal, ProposalError, estimated_long_mm
from retrieval.lesion import Box, Split
from retrieval.sources.deeplesion.table import read_lesion_table


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_score_outside_0_to_1_is_refused(score: float) -> None:
    with pytest.raises(ProposalError, match=r"\[0, 1\]"):
        Proposal(Box(0, 0, 1, 1), score)


def test_json_has_the_fields_by_name() -> None:
    assert Proposal(Box(0, 1, 2, 3), 0.5, 7.0).to_json() == {
        "box": [0, 1, 2, 3],
        "score": 0.5,
        "long_mm": 7.0,
        "lesion_type": "unknown",
        "category": None,
    }


def test_padding_is_removed_and_spacing_applied_per_axis() -> None:
    box = Box(0, 0, 30, 20)  # a mark of 20 x 10 px
    assert estimated_long_mm(box, (1.0, 1.0)) == pytest.approx(21.0)
    assert estimated_long_mm(box, (0.5, 2.0)) == pytest.approx(21.0)
    assert estimated_long_mm(Box(0, 0, 4, 4), (0.8, 0.8)) == pytest.approx(0.88)


def test_the_error_on_deeplesion_is_the_one_stated(real_data: Path) -> None:
    rows = [
        row
        for row in read_lesion_table(real_data / "DL_info_val_test_9816.csv").rows
        if row.lesion.long_mm is not None and row.lesion.split is Split.TEST
    ]
    errors = np.array(
        [
            estimated_long_mm(row.lesion.box, row.spacing_mm_px) - (row.lesion.long_mm or 0.0)
            for row in rows
        ]
    )
    assert len(errors) > 4800
    assert np.median(np.abs(errors)) == pytest.approx(1.16, abs=0.01)
    assert np.mean(np.abs(errors)) == pytest.approx(1.94, abs=0.01)
    assert abs(np.median(errors)) < 0.1
