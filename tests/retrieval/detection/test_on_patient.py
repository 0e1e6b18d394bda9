from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.body import body_interior
from retrieval.detection.on_patient import clipped_to, on_patient
from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import Box


@pytest.fixture
def slab() -> Slab:
    """A round body of 60 mm in radius about (100, 80), in air."""
    y, x = np.mgrid[:160, :200]
    hu = np.full((1, 160, 200), -1000, np.float32)
    hu[:, np.hypot(x - 100, y - 80) < 60] = 30
    return Slab(hu, (1.0, 1.0), 2.0)


def kept(slab: Slab, *boxes: Box) -> list[Box]:
    interior = body_interior(slab.hu[0], slab.spacing_mm_px)
    return [one.box for one in on_patient([Proposal(b, 0.5) for b in boxes], slab, interior)]


def test_boxes_in_air_go_and_those_in_the_body_stay_as_they_are(slab: Slab) -> None:
    inside, skin, air = (Box.around((x, 80.0), 30) for x in (100.0, 42.0, 15.0))
    assert kept(slab, inside, skin, air) == [inside, skin]


def test_a_box_over_the_edge_of_a_cut_body_is_clipped_and_can_be_searched() -> None:
    tissue = Slab(np.full((1, 60, 60), 40, np.float32), (0.7, 0.7), 2.0)
    (box,) = kept(tissue, Box(-8, 20, 16, 44))
    assert box == Box(0, 20, 16, 44)
    tissue.display_box(box)


@given(x=st.floats(-80, 280), y=st.floats(-80, 240), w=st.floats(1, 300), h=st.floats(1, 300))
def test_what_is_clipped_lies_on_the_image(x: float, y: float, w: float, h: float) -> None:
    clipped = clipped_to(Box(x, y, x + w, y + h), 200, 160)
    if clipped is None:
        assert x >= 199 or y >= 159 or x + w <= 0 or y + h <= 0
    else:
        assert 0 <= clipped.x1 < clipped.x2 <= 199
        assert 0 <= clipped.y1 < clipped.y2 <= 159
