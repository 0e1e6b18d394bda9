"""What is patient on a slice: trunk and limbs, not the couch, not the air; cut-outs of the body."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.body import body_interior
from retrieval.lesion import Box
from tests.retrieval.position.test_body_and_frame import ellipse


def test_lungs_are_inside_and_couch_and_air_are_not() -> None:
    inside = body_interior(ellipse(), (1.0, 1.0))
    assert inside.share(Box.around((150, 120), 20)) == 1.0
    assert inside.share(Box.around((110, 120), 20)) == 1.0  # a lung
    assert inside.share(Box.around((20, 20), 20)) == 0.0
    assert inside.share(Box.around((60, 216), 10)) == 0.0  # the couch
    assert inside.share(Box.around((50, 120), 20)) == pytest.approx(0.5, abs=0.1)  # the skin
    assert inside.extent().to_list() == pytest.approx([49.5, 49.5, 250.5, 190.5], abs=2.5)


def test_a_thick_couch_with_foam_is_no_patient_but_a_second_leg_is() -> None:
    hu = np.full((200, 300), -1000.0, np.float32)
    y, x = np.mgrid[:200, :300]
    for center in (90, 210):
        hu[np.hypot(x - center, y - 80) < 45] = 30.0
    hu[140:158, 20:280] = -100.0
    hu[144:154, 24:276] = -900.0
    inside = body_interior(hu, (1.0, 1.0))
    for center in (90, 210):
        assert inside.share(Box.around((center, 80.0), 20)) == 1.0
    assert inside.share(Box.around((150, 149), 8)) == 0.0
    assert inside.share(Box.around((150, 80), 12)) == 0.0  # between the legs


def test_everything_is_inside_where_the_image_is_cut_out_of_a_lung() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(-870, 40, (60, 60)).astype(np.float32)
    hu[25:35, 25:35] = 20.0
    inside = body_interior(hu, (0.7, 0.7))
    assert inside.share(Box.around((30, 30), 8)) == 1.0
    assert inside.share(Box.around((8, 8), 10)) == 1.0


def test_a_lead_and_a_blanket_are_outside_on_a_slice_that_is_cropped_to_the_body() -> None:
    hu = np.full((200, 240), 30.0, np.float32)  # the crop's border is body on three sides
    hu[:60] = -1000.0
    hu[20:26, 100:106] = 400.0  # a lead
    hu[30:45, 150:200] = -900.0  # a blanket
    hu[90:150, 60:110] = -850.0  # a lung
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((102.5, 22.5), 6)) == 0.0
    assert inside.share(Box.around((175, 37), 12)) == 0.0
    assert inside.share(Box.around((85, 120), 20)) == 1.0
    assert inside.share(Box.around((30, 75), 16)) > 0.9


def test_a_lung_that_the_crop_cuts_is_inside_and_the_air_beside_the_skin_is_not() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(-860, 30, (160, 160)).astype(np.float32)
    hu[:, 100:120] = 30.0
    hu[:, 120:] = -1000.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((40, 80), 12)) == 1.0
    assert inside.share(Box.around((150, 80), 12)) == 0.0


def haze(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Air with couch, cloth and scatter in it: a third of it below -950 HU, in grains of 2 mm."""
    grains = rng.normal(-935, 35, (shape[0] // 2, shape[1] // 2))
    return np.kron(grains, np.ones((2, 2)))


def test_hazy_air_beside_a_cut_leg_is_outside_and_what_stands_in_it_too() -> None:
    rng = np.random.default_rng(0)
    hu = np.full((200, 200), 30.0, np.float32)
    hu[150:] = haze((50, 200), rng)
    hu[190:194] = -300.0  # the couch's shell
    hu[165:171, 40:48] = 200.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((44, 168), 6)) == 0.0
    assert inside.share(Box.around((100, 175), 12)) == 0.0
    assert inside.share(Box.around((100, 192), 4)) == 0.0
    assert inside.share(Box.around((100, 100), 40)) == 1.0


def test_a_corner_of_a_couch_is_outside_and_an_arm_that_the_crop_cuts_is_not() -> None:
    hu = np.full((260, 280), 30.0, np.float32)  # the crop's border is body on three sides
    hu[205:] = -1000.0
    hu[232:, 230:] = -940.0  # foam in its shell
    hu[232:236, 230:] = hu[232:, 230:234] = 200.0
    hu[225:, :34] = 20.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((256, 246), 12)) == 0.0
    assert inside.share(Box.around((14, 245), 12)) == 1.0
    assert inside.share(Box.around((140, 100), 60)) == 1.0


def test_a_head_holder_that_the_lower_edge_cuts_is_no_patient_and_an_arm_there_is() -> None:
    hu = np.full((220, 300), -1000.0, np.float32)
    y, x = np.mgrid[:220, :300]
    hu[np.hypot(x - 150, y - 80) < 70] = 30.0
    hu[190:, 30:150] = 60.0
    hu[np.hypot(x - 250, y - 200) < 35] = 30.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((90, 205), 12)) == 0.0
    assert inside.share(Box.around((250, 200), 30)) == 1.0
    assert inside.share(Box.around((150, 80), 60)) == 1.0


def test_the_same_haze_is_lung_where_a_small_image_is_full_of_it() -> None:
    hu = haze((36, 36), np.random.default_rng(0)).astype(np.float32)
    hu[12:24, 12:24] = 20.0
    assert body_interior(hu, (1.0, 1.0)).share(Box.around((17.5, 17.5), 12)) == 1.0


def test_air_in_the_corner_of_a_cut_out_is_outside_and_a_lung_cut_there_is_not() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    corner, along = x + y < 75, (x < 14) & (y < 130)
    for where, air_hu, share in (
        (corner, -955.0, 0.0),
        (corner, -860.0, 1.0),
        (along, -930.0, 0.0),
        (along, -860.0, 1.0),
    ):
        hu = rng.normal(30, 10, (200, 200)).astype(np.float32)
        hu[where] = rng.normal(air_hu, 12, int(where.sum()))
        inside = body_interior(hu, (1.0, 1.0))
        assert inside.share(Box.around((6, 40), 8)) == share


def test_a_trachea_that_the_crop_cuts_is_no_outer_air() -> None:
    hu = np.full((200, 200), 30.0, np.float32)
    hu[182:, 90:112] = -990.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((101, 176), 8)) == 1.0
    assert inside.share(Box.around((101, 182), 20)) > 0.5


def test_a_lung_cut_by_the_crop_stays_inside_beside_much_outer_air() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :192]
    hu = np.full((192, 192), -1000.0, np.float32)
    hu[np.hypot(x, y - 96) < 140] = 30.0  # a thorax whose left half is cut away
    lung = np.hypot(x + 20, y - 96) < 120
    hu[lung] = rng.normal(-865, 25, int(lung.sum()))
    hu[90:100, 50:60] = 20.0
    inside = body_interior(hu, (1.0, 1.0))
    assert inside.share(Box.around((54.5, 94.5), 10)) == 1.0
    assert inside.share(Box.around((180, 15), 12)) == 0.0


def test_a_slice_of_air_holds_nobody() -> None:
    inside = body_interior(np.full((80, 80), -1000.0, np.float32), (1.0, 1.0))
    assert inside.extent() is None
    assert inside.share(Box.around((40, 40), 20)) == 0.0


def test_what_lies_outside_the_image_is_outside_the_patient() -> None:
    tissue = np.full((100, 100), 40.0, np.float32)
    inside = body_interior(tissue, (1.0, 1.0))
    assert inside.share(Box(-10.5, 20, 9.5, 40)) == pytest.approx(0.5)
