"""Measuring a ball whose size is known, and marks that cannot be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrieval.grid import Grid, GridMap
from retrieval.image import Slab
from retrieval.lesion import LesionError, Recist
from retrieval.patch import PatchError
from retrieval.segmentation.answer import measurement_json
from retrieval.segmentation.checks import Flag, MeasureError
from retrieval.segmentation.learning.prompting import extent_box
from retrieval.segmentation.masks import REACH, within_reach
from retrieval.segmentation.measuring import GivenMark, Method, marked_size, measure
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.propagation import LesionProbability, Stop
from tests.retrieval.segmentation.scenes import (
    CALIBRATION,
    CENTER,
    INTERVAL,
    KEY,
    RADIUS_MM,
    SIDE,
    SPACING,
    Everything,
    Nothing,
    ball,
    mark,
    segmenter,
    truth,
)

RECIST = GivenMark.of_recist(mark(), SPACING)
BOX = GivenMark(Prompt.from_box(extent_box(mark(), 5), SPACING))
CLICK = GivenMark(Prompt.from_point((31.0, 29.0), side_mm=28.0))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("given", [RECIST, BOX, CLICK], ids=["recist", "box", "point"])
def test_a_ball_has_its_diameters_and_its_volume(given):
    found = measure(segmenter(), CALIBRATION, ball(), given)
    assert found.method is Method.NETWORK
    assert dice(found.whole_mask, truth()) > 0.93
    assert found.values["long_mm"].value == pytest.approx(2 * RADIUS_MM, abs=1.6)
    assert found.values["volume_mm3"].value == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.12)
    assert found.values["mean_hu"].value == pytest.approx(40, abs=25)
    assert found.lesion.stops == (Stop.ENDED, Stop.ENDED)
    for estimate in found.values.values():
        assert estimate.interval_90[0] < estimate.interval_50[0] < estimate.value
        assert estimate.value < estimate.interval_50[1] < estimate.interval_90[1]


def test_outside_the_lungs_a_mask_runs_no_further_than_the_mark_can_reach():
    slab = ball(around=-300.0)
    ran_on = LesionProbability(0, np.ones(slab.hu.shape, np.float32), (Stop.HU, Stop.LEAK))
    held = within_reach(ran_on, slab, RECIST.prompt)
    z, y, x = np.mgrid[: slab.hu.shape[0], :SIDE, :SIDE].astype(float)
    away = np.hypot((x - CENTER[0]) * SPACING[0], (y - CENTER[1]) * SPACING[1])
    wanted = np.hypot(away, (z - KEY) * INTERVAL) <= REACH * RADIUS_MM + 1e-6
    wanted[KEY] = True
    whole = np.zeros(slab.hu.shape, bool)
    whole[held.first : held.first + len(held.values)] = held.mask
    assert dice(whole, wanted) > 0.99
    assert held.stops == (Stop.TOO_FAR, Stop.TOO_FAR)
    few = LesionProbability(KEY - 1, ran_on.values[:3], (Stop.HU, Stop.LEAK))
    assert within_reach(few, slab, RECIST.prompt).stops == (Stop.HU, Stop.LEAK)


def test_an_image_that_ends_beyond_the_marks_reach_does_not_end_inside_the_lesion():
    rod = np.repeat(ball(around=-300.0).hu[KEY][None], 15, axis=0)
    found = measure(segmenter(), CALIBRATION, Slab(rod, SPACING, INTERVAL, KEY), RECIST)
    assert found.lesion.stops == (Stop.TOO_FAR, Stop.TOO_FAR)
    assert Flag.CUT not in found.flags
    assert {Flag.STOPPED, Flag.SOFT_VOLUME} <= set(found.flags)


def test_a_ball_in_soft_tissue_keeps_its_volume_within_reach():
    found = measure(segmenter(), CALIBRATION, ball(around=-300.0), RECIST)
    assert Flag.SOFT_VOLUME in found.flags
    assert dice(found.whole_mask, truth()) > 0.93


def test_one_slice_is_measured_in_2d_and_says_so():
    slab = ball()
    single = Slab(slab.hu[KEY : KEY + 1], SPACING, 5.0)
    found = measure(segmenter(), CALIBRATION, single, RECIST)
    assert not found.is_3d
    assert "volume_mm3" not in found.values
    single_3d = measurement_json(found, Grid.FILE)
    assert not single_3d["in_3d"]


def test_an_image_that_ends_inside_the_lesion_says_so():
    slab = ball()
    cut = Slab(slab.hu[KEY - 1 : KEY + 2], SPACING, 2.0, 1)
    found = measure(segmenter(), CALIBRATION, cut, RECIST)
    assert Flag.CUT in found.flags
    assert found.lesion.stops == (Stop.LAST_SLICE, Stop.LAST_SLICE)


def test_a_volume_outside_the_lungs_says_what_it_is_worth():
    soft = ball(around=-200.0)
    assert Flag.SOFT_VOLUME in measure(segmenter(), CALIBRATION, soft, RECIST).flags
    flat = measure(segmenter(), CALIBRATION, soft, RECIST, in_3d=False)
    assert Flag.SOFT_VOLUME not in flat.flags
    assert Flag.SOFT_VOLUME not in measure(segmenter(), CALIBRATION, ball(), RECIST).flags


@pytest.mark.parametrize(("network", "flag"), [(Nothing, Flag.EMPTY), (Everything, Flag.LEAK)])
def test_an_empty_or_leaking_mask_is_flagged_and_the_ellipse_given(network, flag):
    found = measure(segmenter(network()), CALIBRATION, ball(), RECIST)
    assert found.method is Method.ELLIPSE
    assert flag in found.flags
    assert dice(found.whole_mask, truth()) > 0.9  # a ball is its own ellipsoid
    assert found.values["long_mm"].interval_90 is None
    document = measurement_json(found, Grid.FILE)
    assert document["method"] == "ellipse"
    assert "ellipse is given" in " ".join(flag["text"] for flag in document["flags"])


def test_a_click_on_nothing_is_refused():
    with pytest.raises(MeasureError, match="draw a box"):
        measure(segmenter(Nothing()), CALIBRATION, ball(), CLICK)


def test_a_mark_on_air_is_flagged():
    slab = ball(around=-1000.0, inside=-1000.0, noise=1.0)
    assert Flag.AIR in measure(segmenter(Nothing()), CALIBRATION, slab, RECIST).flags


def test_a_mark_over_lung_and_soft_tissue_is_flagged():
    slab = ball()
    hu = slab.hu.copy()
    hu[:, :, 33:] = -850.0
    found = measure(segmenter(), CALIBRATION, replace(slab, hu=hu), RECIST)
    assert Flag.MIXED in found.flags


def test_a_mark_outside_the_body_or_the_image_is_refused():
    hu = np.full((3, 300, 300), -1000.0, np.float32)
    y, x = np.mgrid[:300, :300]
    hu[:, np.hypot(x - 150, y - 150) < 90] = 30.0
    slab = Slab(hu, (1.0, 1.0), 5.0, 1)
    for x, word in ((12.0, "outside the body"), (420.0, "outside the image")):
        where = Recist(((x - 6, 20.0), (x + 6, 20.0), (x, 16.0), (x, 24.0)))
        with pytest.raises(MeasureError, match=word):
            measure(segmenter(), CALIBRATION, slab, GivenMark.of_recist(where, (1.0, 1.0)))


def test_values_that_are_no_numbers_are_refused():
    slab = ball()
    slab.hu[KEY, 28, 30] = np.nan
    with pytest.raises((PatchError, LesionError), match="finite"):
        measure(segmenter(), CALIBRATION, slab, RECIST)


def test_a_mark_alone_shows_its_factor():
    size = marked_size(mark(), SPACING)
    plain = np.pi / 6 * size.long_mm * size.short_mm**2
    assert size.volume_mm3.value == pytest.approx(1.78 * plain)
    low, high = size.volume_mm3.interval_90
    assert np.log(high / low) / 2 == pytest.approx(1.645 * 0.61, rel=0.01)


def test_the_answer_is_in_the_grid_that_was_asked_for():
    slab = replace(ball(), grid=GridMap(axes=(1, 0, 2), step=(1, -1, -1), origin=(3, 63, 40)))
    found = measure(segmenter(), CALIBRATION, slab, RECIST)
    file, display = (measurement_json(found, grid) for grid in (Grid.FILE, Grid.DISPLAY))
    assert display["key_slice_index"] == KEY
    assert file["key_slice_index"] == 40 - KEY
    x, y = display["recist"]["long"][0]
    assert file["recist"]["long"][0] == pytest.approx([63 - y, 3 + x], abs=1e-3)
    assert file["measurements"] == display["measurements"]
    slices = [one["slice_index"] for one in file["contours"]]
    assert [min(slices), max(slices)] == file["slices"]
    (path,) = next(one["paths"] for one in display["contours"] if one["slice_index"] == KEY)
    points = np.array(path)
    assert np.hypot(*(points - CENTER).T).mean() * SPACING[0] == pytest.approx(RADIUS_MM, abs=0.6)
