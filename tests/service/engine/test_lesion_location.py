"""Estimated locations: only where none is given, with their error, kept in the index."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.lesion import Box, Lesion
from service.engine.lesion_location import LocationEstimate, PositionLocator, located

BOX = Box(40, 40, 60, 60)


def slab(hu: float) -> Slab:
    """A round body of soft tissue in air, or nothing but air."""
    rows, columns = np.mgrid[:256, :256]
    inside = (rows - 128) ** 2 + (columns - 128) ** 2 < 100**2
    return Slab(np.where(inside, hu, -1000.0)[np.newaxis].astype(np.float32), (1.4, 1.4), 5.0)


def lesion(**fields: object) -> Lesion:
    return Lesion("a", "P", "1", "1", 0, BOX).with_changes(**fields)


class Somewhere:
    def locate_lesion(self, slab: Slab, box: Box) -> LocationEstimate:
        return LocationEstimate((0.1, 0.2, 0.3), (0.01, 0.02, 0.03))


def test_a_given_location_stays_and_a_missing_one_is_estimated_with_its_error() -> None:
    given = lesion(location=(0.5, 0.5, 0.5))
    assert located(given, slab(40.0), Somewhere()) == given
    found = located(lesion(), slab(40.0), Somewhere())
    assert found.location == (0.1, 0.2, 0.3)
    assert found.location_error == (0.01, 0.02, 0.03)
    assert located(lesion(), slab(40.0), None) == lesion()


def test_the_bundled_locator_tells_a_place_in_the_body_and_nothing_of_air() -> None:
    locator = PositionLocator()
    found = locator.locate_lesion(slab(40.0), BOX)
    assert found is not None
    assert all(-0.5 < value < 1.5 for value in found.location)
    assert all(0.0 < error < 0.2 for error in found.error)
    right = locator.locate_lesion(slab(40.0), BOX.shifted(100.0, 0.0))
    assert right is not None
    assert right.location[0] > found.location[0] + 0.2
    assert right.location[1] == pytest.approx(found.location[1])
    assert locator.locate_lesion(slab(-1000.0), BOX) is None


@pytest.mark.parametrize("field_mm", [160.0, 240.0, 300.0])
def test_a_given_location_has_an_error_where_a_narrow_field_cuts_the_body_off(
    field_mm: float,
) -> None:
    side = round(field_mm / 1.4)
    start = (256 - side) // 2
    shown = slab(40.0).hu[:, start : start + side, start : start + side]
    cut = Slab(shown, (1.4, 1.4), 5.0)
    given = lesion(location=(0.5, 0.5, 0.5))
    found = located(given, cut, None)
    assert found.location == given.location
    if field_mm == 300.0:
        assert found.location_error is None, "the body is 280 mm wide: this field shows most of it"
    else:
        assert found.location_error is not None
        assert 0.1 < found.location_error[0] < 0.2
        assert 0.04 < found.location_error[2] <= 0.07
    told = lesion(location=(0.5, 0.5, 0.5), location_error=(0.01, 0.01, 0.01))
    assert located(told, cut, Somewhere()) == told


def test_a_given_location_in_a_cut_out_without_a_body_has_an_error() -> None:
    lung = np.full((1, 34, 34), -850.0, np.float32)
    lung[0, 13:21, 13:21] = 30.0
    found = located(lesion(location=(0.5, 0.5, 0.5)), Slab(lung, (1.0, 1.0), 1.0), None)
    assert found.location_error is not None
    assert found.location_error[2] == pytest.approx(0.07)


def test_an_estimate_is_as_unsure_as_a_given_location_where_the_body_is_cut_off() -> None:
    whole = slab(40.0)
    cut = Slab(whole.hu[:, 60:190, 60:190], (1.4, 1.4), 5.0)
    locator = PositionLocator()
    sure, unsure = locator.locate_lesion(whole, BOX), locator.locate_lesion(cut, BOX)
    assert sure is not None
    assert unsure is not None
    given = located(lesion(location=(0.5, 0.5, 0.5)), cut, None).location_error
    assert given is not None
    assert unsure.error[:2] == pytest.approx(given[:2], abs=0.01)
    assert all(wide > 1.3 * narrow for wide, narrow in zip(unsure.error, sure.error, strict=True))
