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
