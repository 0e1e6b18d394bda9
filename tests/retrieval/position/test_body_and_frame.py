"""The body on a slice, its picture, and DeepLesion's frame of x and y."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.body import body_region
from retrieval.position.frame import body_frame
from retrieval.position.picture import PictureSpec, slice_picture


def ellipse(rows=256, columns=320, center=(150.0, 120.0), radii=(100.0, 70.0), hu=40.0):
    """A body with two lungs and a thin couch, in air."""
    y, x = np.mgrid[:rows, :columns]
    slab = np.full((rows, columns), -1000.0, np.float32)
    slab[((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2 <= 1] = hu
    for side in (-40, 40):
        lung = ((x - center[0] - side) / 22) ** 2 + ((y - center[1]) / 30) ** 2 <= 1
        slab[lung] = -850.0
    slab[215:217, 20:300] = 200.0
    return slab


def test_the_box_is_the_body_without_couch_and_with_its_lungs():
    region = body_region(ellipse(), (1.0, 1.0))
    assert region.box.to_list() == pytest.approx([49.5, 49.5, 250.5, 190.5], abs=2.5)
    assert region.touches_edge == (False, False, False, False)
    share = region.mask.sum() * 4 / (np.pi * 100 * 70)
    assert share == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("window", [(-175.0, 275.0), (-160.0, 240.0)])
def test_a_windowed_picture_has_the_same_box(window):
    whole = body_region(ellipse(), (1.0, 1.0))
    clipped = body_region(ellipse().clip(*window), (1.0, 1.0))
    assert clipped.box == whole.box


def test_a_cut_body_says_where_it_is_cut():
    region = body_region(ellipse()[:, 100:], (1.0, 1.0))
    assert region.touches_edge == (True, False, False, False)


@pytest.mark.parametrize("hu", [-1000.0, -1024.0])
def test_air_alone_shows_no_body(hu):
    empty = np.full((200, 200), hu, np.float32)
    assert body_region(empty, (1.0, 1.0)) is None
    assert body_frame(empty) is None


def test_pictures_do_not_depend_on_spacing_or_on_where_the_body_lies():
    spec = PictureSpec()
    slice_hu = ellipse()
    moved = np.roll(slice_hu, (13, -31), axis=(0, 1))
    fine = slice_hu.repeat(2, axis=0).repeat(2, axis=1)
    base = slice_picture(slice_hu, (1.0, 1.0), body_region(slice_hu, (1.0, 1.0)), spec)
    assert base.shape == (spec.size_px, spec.size_px)
    assert base.min() >= 0
    assert base.max() <= 1
    for other, spacing in ((moved, (1.0, 1.0)), (fine, (0.5, 0.5))):
        region = body_region(other, spacing)
        difference = np.abs(slice_picture(other, spacing, region, spec) - base)
        assert difference.mean() < 0.02


def test_frame_values_of_a_body_that_fills_the_frame():
    plane = np.full((512, 512), -1000.0, np.float32)
    plane[100:300, 50:450] = 0.0
    frame = body_frame(plane)
    assert (frame.left, frame.top, frame.right, frame.bottom) == (50, 100, 449, 299)
    x, y = frame.normalised((50 + 399 / 2 - 1, 100 + 199 / 2 - 1))
    assert x == pytest.approx((0.5 - 0.00909) / 1.003589)
    assert y == pytest.approx((0.5 + 0.14725) / 1.229227)
    assert frame.normalised((-500, 5000)) == (0.0, 1.0)


def test_a_couch_thinner_than_seven_pixels_is_no_part_of_the_frame_and_a_thicker_one_is():
    plane = np.full((512, 512), -1000.0, np.float32)
    plane[100:300, 50:450] = 0.0
    plane[330:336, 20:500] = 50.0
    assert body_frame(plane).bottom == 299
    plane[330:338, 20:500] = 50.0
    assert body_frame(plane).bottom == 337


def test_frames_reproduce_official_locations_of_the_development_set(real_data):
    """Full HU: within 0.002. Windowed slices hide the couch, and y may be off by its height."""
    import pandas as pd

    from retrieval.sources.deeplesion.png import read_deeplesion_png

    folder = real_data / "deeplesion_windowed"
    errors = {}
    for row in pd.read_csv(folder / "DL_info.csv").to_dict("records"):
        name = row["File_name"]
        hu = read_deeplesion_png(folder / "Images_png" / name[:-8] / name[-7:])
        x1, y1, x2, y2 = (float(v) for v in row["Bounding_boxes"].split(","))
        given = [float(v) for v in row["Normalized_lesion_location"].split(",")]
        found = body_frame(hu).normalised(((x1 + x2) / 2 - 1, (y1 + y2) / 2 - 1))
        errors[name] = (abs(found[0] - given[0]), abs(found[1] - given[1]))
    assert len(errors) == 5
    assert max(x for x, _ in errors.values()) < 0.002
    assert max(errors["000015_01_01_109.png"]) < 0.002
    assert np.median([y for _, y in errors.values()]) < 0.003
