"""Where in the body a lesion lies, estimated from its image where nobody gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from retrieval.image import Slab
from retrieval.lesion import Box, Lesion

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LocationEstimate:
    """A body position as ``Lesion.location`` has it, and the standard error of each coordinate."""

    location: Triple
    error: Triple


class LesionLocator(Protocol):
    """Tells a body position from pixels; must be safe to use by several threads."""

    def locate_lesion(self, slab: Slab, box: Box) -> LocationEstimate | None:
        """The position of a box of the display grid on the key slice, None without a body."""
        ...


def located(lesion: Lesion, slab: Slab, locator: LesionLocator | None) -> Lesion:
    """The lesion with an estimated location and its error, where it has none and one is found."""
    if locator is None or lesion.location is not None:
        return lesion
    estimate = locator.locate_lesion(slab, slab.display_box(lesion.box))
    if estimate is None:
        return lesion
    return lesion.with_changes(location=estimate.location, location_error=estimate.error)
