"""Marks that no careful reader would draw, given to the bundled network: words, or a flag."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.lesion import Box, LesionError, Recist
from retrieval.patch import PatchError
from retrieval.segmentation.checks import Flag, MeasureError
from retrieval.segmentation.intervals import bundled_calibration
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, measure
from retrieval.segmentation.prompt import Prompt, PromptError
from retrieval.segmentation.segmenter import LesionSegmenter

PLAIN = (1.0, 1.0)
BODY, AIR, LUNG, ORGAN = 45.0, -1000.0, -850.0, 110.0


@pytest.fixture(scope="module")
def network() -> LesionSegmenter:
    return LesionSegmenter.load()


def trunk(slices: int = 5) -> Slab:
    """A trunk of 260 mm with a lung, an organ and a hole of air, in an image of 400 mm."""
    y, x = np.mgrid[:400, :400].astype(float)
    hu = np.where(np.hypot(x - 200, y - 200) < 130, BODY, AIR)
    hu[np.hypot(x - 140, y - 200) < 45] = LUNG
    hu[np.hypot(x - 250, y - 200) < 40] = ORGAN
    hu[np.hypot(x - 200, y - 120) < 20] = AIR
    noise = np.random.default_rng(0).normal(0, 8, (slices, 400, 400))
    return Slab((hu[None] + noise).astype(np.float32), PLAIN, 5.0, slices // 2)


def lines(x: float, y: float, long: float, short: float) -> GivenMark:
    half, width = long / 2, short / 2
    ends = ((x - half, y), (x + half, y), (x, y - width), (x, y + width))
    return GivenMark.of_recist(Recist(ends), PLAIN)


def box(x: float, y: float, half: float) -> GivenMark:
    return GivenMark(Prompt.from_box(Box(x - half, y - half, x + half, y + half), PLAIN))


def click(x: float, y: float) -> GivenMark:
    return GivenMark(Prompt.from_point((x, y), side_mm=28.0))


def answer(network: LesionSegmenter, mark: GivenMark, slab: Slab | None = None, **how: bool):
    found = measure(network, bundled_calibration(), slab or trunk(), mark, **how)
    sound(found)
    return found


def sound(found: LesionMeasurement) -> None:
    """Whatever is answered holds a mask and finite numbers within their intervals."""
    assert found.lesion.mask[found.slab.key_slice - found.lesion.first].any()
    for name, one in found.values.items():
        assert math.isfinite(one.value), name
        if one.interval_50 and one.interval_90:
            low, lower, upper, high = (
                one.interval_90[0], *one.interval_50, one.interval_90[1]
            )  # fmt: skip
            assert low <= lower <= upper <= high, name


@pytest.mark.parametrize("mark", [lines(20, 20, 16, 9), box(20, 380, 9), click(390, 200)])
def test_outside_the_body(network, mark):
    with pytest.raises(MeasureError, match="outside the body"):
        answer(network, mark)


@pytest.mark.parametrize("mark", [lines(420, 200, 16, 9), box(-40, 200, 9), click(200, 900)])
def test_outside_the_image(network, mark):
    with pytest.raises((MeasureError, LesionError), match="outside the image"):
        answer(network, mark)


@pytest.mark.parametrize("mark", [lines(200, 120, 16, 9), box(200, 120, 12), click(200, 120)])
def test_on_air_inside_the_body(network, mark):
    assert Flag.AIR in answer(network, mark).flags


@pytest.mark.parametrize("mark", [lines(185, 200, 40, 24), box(185, 200, 22)])
def test_over_lung_and_what_is_beside_it(network, mark):
    assert Flag.MIXED in answer(network, mark).flags


def test_longer_than_anything_that_was_learned_from(network):
    found = answer(network, lines(200, 200, 240, 150))
    assert Flag.LARGE in found.flags
    assert found.marked is not None
    assert found.marked.long_mm == pytest.approx(240)


def test_longer_than_the_image(network):
    found = answer(network, lines(200, 200, 500, 300))
    assert {Flag.LARGE, Flag.BEYOND} <= set(found.flags)


def test_a_slab_of_one_slice_is_2d_and_says_so(network):
    found = answer(network, lines(250, 200, 76, 70), trunk(slices=1))
    assert not found.is_3d
    assert Flag.ONE_SLICE in found.flags
    assert Flag.ONE_SLICE not in answer(network, lines(250, 200, 76, 70)).flags


@pytest.mark.parametrize("mark", [lines(250, 200, 76, 70), box(250, 200, 44), click(250, 200)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_under_the_mark(network, mark, value):
    slab = trunk()
    slab.hu[slab.key_slice, 205, 255] = value
    with pytest.raises((PatchError, MeasureError), match="finite"):
        answer(network, mark, slab)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_marks_that_are_no_numbers(bad):
    with pytest.raises((LesionError, PromptError)):
        lines(bad, 200, 16, 9)
    with pytest.raises((LesionError, PromptError)):
        box(bad, 200, 9)
    with pytest.raises(PromptError, match="finite"):
        click(bad, 200)
