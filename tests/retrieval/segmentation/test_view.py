"""Views scaled by the prompt, and the way back onto the image."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.segmentation.prompt import Prompt, PromptKind
from retrieval.segmentation.view import View, ViewGrid, ViewSpec, channels_of, probability_slab
from tests.retrieval.segmentation.scenes import CENTER, KEY, SPACING, ball, mark, truth


@pytest.mark.parametrize("side_mm", [14.0, 30.0, 44.0])
def test_a_mask_comes_back_where_it_was(side_mm):
    slab = ball()
    prompt = Prompt.from_point(CENTER, side_mm=side_mm)
    grid = ViewGrid.of(prompt, ViewSpec())
    shares = probability_slab(truth().astype(np.float32), slab)
    back = grid.back(grid.cut(shares, KEY, slices=1)[0], (slab.rows, slab.columns), SPACING)
    expected = truth()[KEY][back.rows, back.columns]
    assert ((back.values > 0.5) != expected).mean() < 0.02
    whole = back.on_image((slab.rows, slab.columns))
    assert whole.shape == (slab.rows, slab.columns)
    assert whole[back.rows, back.columns].sum() == pytest.approx(whole.sum())


def test_the_guide_is_half_on_the_prompts_outline():
    prompt = Prompt.from_recist(mark(), SPACING)
    grid = ViewGrid.of(prompt, ViewSpec())
    guide = grid.guide(prompt, SPACING)
    area = (guide >= 0.5).sum() * grid.mm_px**2
    assert area == pytest.approx(np.pi * 64, rel=0.02)
    assert guide.max() <= 1


def test_small_and_large_lesions_fill_alike():
    small = Prompt.from_recist(mark(), SPACING)
    large = Prompt.from_recist(mark(), (8.0, 8.0))
    spec = ViewSpec()
    first = ViewGrid.of(small, spec).guide(small, SPACING)
    second = ViewGrid.of(large, spec).guide(large, (8.0, 8.0))
    assert np.allclose(first, second, atol=1e-4)


def test_channels_are_fixed_windows_and_the_contrast_at_the_prompt():
    spec = ViewSpec(size_px=16)
    hu = np.full((3, 16, 16), -600.0, np.float32)
    hu[1, 6:10, 6:10] = 40
    guide = np.zeros((16, 16), np.float32)
    guide[6:10, 6:10] = 1
    channels = channels_of(View(hu, guide, PromptKind.BOX, 0.1), spec)
    assert channels.shape == (spec.channels, 16, 16)
    assert channels[1, 0, 0] == pytest.approx(2 * (400 / 1400) - 1)
    assert channels[7, 8, 8] == pytest.approx(0)  # contrast against the middle of the prompt
    assert channels[7, 0, 0] == pytest.approx(-1, abs=1e-4)
    assert channels[9:13, 0, 0].tolist() == [0, 1, 0, 0]
    assert channels[13, 0, 0] == pytest.approx(0.2)  # twice the gap
