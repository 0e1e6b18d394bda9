"""Which fields of view cut the body off, by their edges or by the circle that was reconstructed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from retrieval.body import body_region
from retrieval.position.narrow_field import CutField, cut_field, estimated_error, given_error
from tests.retrieval.position.test_body_and_frame import ellipse

MM = (1.0, 1.0)


def soft(hu):
    """The slice with skin that is blurred, as that of a scanner is."""
    return cv2.GaussianBlur(hu, (0, 0), 1.0)


def seen_through(hu, diameter_mm, padding, center=(150.0, 120.0)):
    """What a round field shows of a slice."""
    y, x = np.mgrid[: hu.shape[0], : hu.shape[1]]
    shown = np.hypot(x - center[0], y - center[1]) <= diameter_mm / 2
    return np.where(shown, hu, padding).astype(np.float32)


def test_a_narrow_field_is_one_that_cuts_through_the_body():
    whole = ellipse()
    assert cut_field(whole, MM) is None
    assert cut_field(whole[60:180, 60:240], MM) == CutField(180.0, 120.0)
    assert cut_field(whole[60:180, 60:240].repeat(3, 0).repeat(3, 1), MM) is None, "wide"
    cropped = whole[50:191, 50:251]
    assert any(body_region(cropped, MM).touches_edge)
    assert cut_field(cropped, MM) is None, "cropped to the body, which it just touches"


def test_each_axis_is_judged_by_its_own_side():
    """361 mm wide and whole, 180 mm high and cut, and the other way round."""
    plane = ellipse(rows=400, columns=361, center=(180.0, 200.0), radii=(170.0, 150.0))
    assert cut_field(plane[110:290], MM) == CutField(350.0, 180.0)
    assert cut_field(plane[110:290].T, MM) == CutField(180.0, 350.0)
    x, y, z = given_error(CutField(350.0, 180.0))
    assert x == 0.0
    assert min(y, z) > 0.04


@pytest.mark.parametrize("padding", [-1024.0, -3024.0])
@pytest.mark.parametrize("diameter_mm", [90.0, 120.0, 150.0])
def test_a_round_field_cuts_too(padding, diameter_mm):
    shown = seen_through(soft(ellipse()), diameter_mm, padding)
    found = cut_field(shown, MM)
    assert found.y_mm == pytest.approx(diameter_mm, rel=0.02), "padded"
    half = round(diameter_mm / 2)
    cropped = cut_field(shown[120 - half : 121 + half, 150 - half : 151 + half], MM)
    assert cropped.x_mm == pytest.approx(diameter_mm, rel=0.02), "cropped to the circle"
    assert cropped.y_mm == pytest.approx(diameter_mm, rel=0.02)


def test_a_round_field_that_holds_the_body_does_not_cut():
    shown = seen_through(soft(ellipse()), 235.0, -1024.0)
    assert cut_field(shown, MM) is None


@pytest.mark.parametrize("radii", [(100.0, 70.0), (80.0, 80.0)])
def test_clipped_air_is_no_field(radii):
    """A whole body, even a round one, whose air is as empty as padding."""
    plane = soft(ellipse(radii=radii))
    assert cut_field(np.where(plane < -900, -1024.0, plane).astype(np.float32), MM) is None


def test_padding_about_a_square_field_is_no_part_of_it():
    shown = np.full((256, 320), -2000.0, np.float32)
    shown[60:180, 60:240] = ellipse()[60:180, 60:240]
    assert cut_field(shown, MM) == CutField(180.0, 120.0)


def test_a_narrow_image_without_a_body_is_cut_out_of_one():
    """34 mm of lung about a nodule of 8 mm."""
    plane = np.full((34, 34), -850.0, np.float32)
    plane[13:21, 13:21] = 30.0
    assert body_region(plane, MM) is None
    assert cut_field(plane, MM) == CutField(34.0, 34.0)
    assert cut_field(np.full((400, 400), -1000.0, np.float32), MM) is None


def test_errors_of_narrow_fields_fall_to_nothing_as_they_widen():
    for error in (given_error, estimated_error):
        steps = [error(CutField(mm, mm)) for mm in (170.0, 260.0, 300.0, 349.9)]
        for axis in range(3):
            values = [step[axis] for step in steps]
            assert values == sorted(values, reverse=True)
            assert values[-1] == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("padding", [-1024.0, -3024.0])
def test_circles_of_a_real_slice(real_data, padding):
    """Whole it is not cut; through a circle of 200 mm about its middle it is."""
    from retrieval.sources.deeplesion.png import read_deeplesion_png

    folder = real_data / "real_ct_1mm" / "cptac_c3l_00189" / "C3L-00189_20030728"
    hu = read_deeplesion_png(folder / "017.png").astype(np.float32)
    assert cut_field(hu, MM) is None
    assert cut_field(np.pad(hu, 30, constant_values=padding), MM) is None
    shown = seen_through(hu, 200.0, padding, body_region(hu, MM).box.center)
    found = cut_field(shown, MM)
    assert found.x_mm == pytest.approx(200.0, rel=0.02)
    assert found.y_mm == pytest.approx(200.0, rel=0.02)
