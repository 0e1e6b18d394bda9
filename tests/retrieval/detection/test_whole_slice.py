from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.detection.whole_slice import whole_slice
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.patch import CANONICAL_PADDING_MM, PatchSpec

SPEC = PatchSpec(mm_px=1.0, slices=3)


def slab_with_body(spacing: tuple[float, float] = (0.8, 0.8)) -> Slab:
    """A disc of water, 60 pixels in radius about (100, 80), with a bright square at (110, 70)."""
    rows, columns = np.mgrid[:160, :200]
    hu = np.full((5, 160, 200), -1000, np.float32)
    hu[:, np.hypot(rows - 80, columns - 100) < 60] = 0
    hu[:, 66:75, 106:115] = 500
    return Slab(hu, spacing, 2.0, key_slice=2)


def test_the_grid_is_cropped_to_the_body_with_a_margin() -> None:
    whole = whole_slice(slab_with_body(), SPEC)
    body_mm = 120 * 0.8
    assert whole.hu.shape[0] == 3
    assert whole.hu.shape[1] == pytest.approx(body_mm + 24, abs=3)
    assert whole.hu.shape[2] == pytest.approx(body_mm + 24, abs=3)


@pytest.mark.parametrize("spacing", [(0.8, 0.8), (0.5, 1.3)])
def test_a_mark_lies_on_the_grid_where_its_pixels_went(spacing: tuple[float, float]) -> None:
    whole = whole_slice(slab_with_body(spacing), SPEC)
    bright = np.argwhere(whole.hu[1] > 250)
    extent = Box(105.5, 65.5, 114.5, 74.5)
    on_grid = whole.to_grid(extent.padded(5.0))
    assert on_grid.padded(-CANONICAL_PADDING_MM).to_list() == pytest.approx(
        [
            bright[:, 1].min() - 0.5,
            bright[:, 0].min() - 0.5,
            bright[:, 1].max() + 0.5,
            bright[:, 0].max() + 0.5,
        ],
        abs=1.0,
    )


def test_padding_on_the_grid_is_in_millimetres_whatever_the_spacing() -> None:
    mark = Box(95, 75, 105, 85)
    widths = []
    for spacing in ((0.5, 0.5), (1.5, 1.5)):
        on_grid = whole_slice(slab_with_body(spacing), SPEC).to_grid(mark.padded(5.0))
        widths.append(on_grid.width - mark.width * spacing[0])
    assert widths == pytest.approx([2 * CANONICAL_PADDING_MM] * 2)


@given(
    x=st.floats(20, 180),
    y=st.floats(20, 140),
    width=st.floats(11, 90),
    height=st.floats(11, 90),
)
def test_to_the_grid_and_back(x: float, y: float, width: float, height: float) -> None:
    whole = whole_slice(WITH_BODY, SPEC)
    box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    assert whole.to_image(whole.to_grid(box)).to_list() == pytest.approx(box.to_list(), abs=1e-3)


def test_an_image_of_air_stays_whole() -> None:
    empty = Slab(np.full((3, 60, 80), -1000, np.float32), (1.0, 1.0), 2.0, key_slice=1)
    assert whole_slice(empty, SPEC).hu.shape == (3, 80, 80)


WITH_BODY = slab_with_body()
