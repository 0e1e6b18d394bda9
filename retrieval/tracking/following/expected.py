"""Where a lesion should lie in another series of its patient, in DeepLesion's body position."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from retrieval.image import Slab
from retrieval.lesion import Lesion
from retrieval.position.locator import BodyLocator, LocatedPoint, NoBodyError

Triple = tuple[float, float, float]

DEVIATIONS_OF_90_PERCENT = 1.645
"""Standard deviations of a normal distribution within which nine of ten values lie."""

REPEATED_Z = 0.025
"""Standard error of the difference of two estimated heights of one place in one patient, in units
of z. An assumption, not fitted: it was 0.007 for lesions planted in a real series and scanned
anew (6), 0.015 for phantoms (10), and real second studies differ by more than those."""


class PlaceSource(StrEnum):
    """What an expected place rests on."""

    LOCATION = "location"
    BOTH_SERIES = "both series"
    REGISTRATION = "registration"


@dataclass(frozen=True, slots=True)
class ExpectedPlace:
    """A place in the body as the searched series' own estimates have it.

    Attributes:
        location: DeepLesion's (x, y, z) in [0, 1].
        error: standard error of each coordinate against the series' own estimates.
        source: what it rests on.
    """

    location: Triple
    error: Triple
    source: PlaceSource

    @classmethod
    def of_location(cls, lesion: Lesion, series_error: Triple) -> Self | None:
        """The lesion's kept location; its error and that of the series' heights add up."""
        if lesion.location is None:
            return None
        own = lesion.location_error or (0.0, 0.0, 0.0)
        x, y, z = ((a * a + b * b) ** 0.5 for a, b in zip(own, series_error, strict=True))
        return cls(lesion.location, (x, y, z), PlaceSource.LOCATION)

    @classmethod
    def of_pixels(cls, lesion: Lesion, own: Slab, locator: BodyLocator) -> Self | None:
        """The place by the same network that reads the searched series; None without a body.

        ``own`` are the slices about the lesion, which is on the key slice.
        """
        try:
            found = locator.locate_box(own, own.display_box(lesion.box))
        except NoBodyError:
            return None
        x, y, _ = standard_error(found)
        return cls(found.location, (x, y, REPEATED_Z), PlaceSource.BOTH_SERIES)


def standard_error(found: LocatedPoint) -> Triple:
    """The standard error of the normal distribution whose nine of ten values lie as near."""
    x, y, z = (error / DEVIATIONS_OF_90_PERCENT for error in found.location_error_90)
    return x, y, z
