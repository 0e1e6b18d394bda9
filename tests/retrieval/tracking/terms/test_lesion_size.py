"""Sizes by diameters and by boxes."""

from __future__ import annotations

import math

import pytest

from retrieval.lesion import Box, Lesion
from retrieval.tracking.terms.lesion_size import LesionSize, measured_size, size_of_box


def lesion(long_mm: float | None, short_mm: float | None) -> Lesion:
    box = Box(0, 0, 10, 10)
    return Lesion("a", "P", "1", "1", 1, box, long_mm=long_mm, short_mm=short_mm)


def test_the_size_is_the_geometric_mean_of_the_diameters() -> None:
    assert measured_size(lesion(40.0, 10.0)) == LesionSize(pytest.approx(math.log(20.0)))
    assert measured_size(lesion(None, None)) is None
    alone = measured_size(lesion(20.0, None))
    assert alone is not None
    assert math.exp(alone.log_mm) == pytest.approx(20.0 * 0.841, rel=0.01)
    assert alone.error > 0.1


@pytest.mark.parametrize("diameter_px", [12.0, 30.0, 80.0])
def test_a_box_drawn_about_a_round_lesion_tells_its_size(diameter_px: float) -> None:
    box = Box.around((100.0, 100.0), diameter_px + 10.0)
    size = size_of_box(box, (0.8, 0.8))
    assert size.log_mm == pytest.approx(math.log(0.8 * diameter_px), abs=2 * size.error)


def test_a_small_lesions_box_tells_less() -> None:
    errors = [size_of_box(Box.around((50, 50), side), (1.0, 1.0)).error for side in (80, 30, 14)]
    assert errors == sorted(errors)
    assert errors[2] > 2 * errors[0]


def test_pixels_that_are_not_square_are_seen_to() -> None:
    tall, wide = Box(0, 0, 20, 40), Box(0, 0, 40, 20)
    assert size_of_box(tall, (1.0, 0.5)) == size_of_box(wide, (0.5, 1.0))
