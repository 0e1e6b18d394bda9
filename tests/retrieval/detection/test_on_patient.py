from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.body import body_interior
from retrieval.detection.on_patient import (
    LEAST_SHARE_INSIDE,
    clipped_to,
    on_patient,
    unpadded,
)
from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.sources.archive import open_archive
from retrieval.sources.query_image import open_query_image


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


HAZY = (
    ("real_ct_1mm/acrin_flt_breast/ACRIN-FLT-Breast_001_19600104/002.png", 0, (138, 0, 161, 15)),
    ("real_ct_1mm/acrin_flt_breast/ACRIN-FLT-Breast_001_19600104/008.png", 0, (86, 0, 107, 12)),
    ("sarcoma_ct/nifti/STS_001/CT_image.nii.gz", 20, (0, 163, 35, 180)),
    ("sarcoma_ct/nifti/STS_001/CT_image.nii.gz", 22, (184, 162, 197, 177)),
    ("lung_pet_ct_dx/image/Lung_Dx-A0001_20070404_L.nii.gz", 8, (0, 214, 37, 237)),
    ("lung_pet_ct_dx/image/Lung_Dx-A0002_20070425_B70f.nii.gz", 10, (284, 0, 307, 21)),
)
"""Boxes that the detector proposed in hazy air: beside a couch, on leads, in a corner."""


@pytest.mark.parametrize(("name", "position", "edges"), HAZY)
def test_hazy_air_on_real_slices_is_outside_and_the_middle_of_the_body_is_not(
    real_data, name: str, position: int, edges: tuple[float, ...]
) -> None:
    spacing = (1.0, 1.0, 5.0) if name.endswith("png") else None
    slab = open_query_image(real_data / name, spacing_mm=spacing, half_depth_mm=1e6)
    if spacing is None:
        slab = slab.with_key_slice(position)
    interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
    assert interior.share(unpadded(Box(*edges))) < LEAST_SHARE_INSIDE
    middle = Box.around((slab.columns * 0.6, slab.rows * 0.5), 40)
    assert interior.share(middle) > 0.9


def test_marked_lesions_of_real_patients_are_on_the_patient(real_data) -> None:
    archive = open_archive(real_data / "deeplesion_windowed")
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=0)
        interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
        assert interior.share(unpadded(slab.display_box(lesion.box))) >= LEAST_SHARE_INSIDE


@given(x=st.floats(-80, 280), y=st.floats(-80, 240), w=st.floats(1, 300), h=st.floats(1, 300))
def test_what_is_clipped_lies_on_the_image(x: float, y: float, w: float, h: float) -> None:
    clipped = clipped_to(Box(x, y, x + w, y + h), 200, 160)
    if clipped is None:
        assert x >= 199 or y >= 159 or x + w <= 0 or y + h <= 0
    else:
        assert 0 <= clipped.x1 < clipped.x2 <= 199
        assert 0 <= clipped.y1 < clipped.y2 <= 159
