"""Where in the body a lesion lies: estimated from its image where nobody gave it, with its error.

A given location has an error too where the image cuts the body off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from retrieval.image import Slab
from retrieval.lesion import Box, Lesion

if TYPE_CHECKING:
    from retrieval.position.locator import BodyLocator

Triple = tuple[float, float, float]

DEVIATIONS_OF_90_PERCENT = 1.645
"""Standard deviations of a normal distribution within which nine of ten values lie."""


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


class PositionLocator:
    """The bundled body position network, loaded when it is first asked.

    Its errors have heavy tails: the standard error is that of the normal distribution whose nine
    of ten values lie as near, which is the wider of what half and nine tenths of them say.
    """

    @cached_property
    def _body(self) -> BodyLocator:
        from retrieval.position.locator import BodyLocator

        return BodyLocator.load()

    def locate_lesion(self, slab: Slab, box: Box) -> LocationEstimate | None:
        """The position of a box of the display grid on the key slice, None without a body."""
        from retrieval.position.locator import NoBodyError

        try:
            found = self._body.locate_box(slab, box)
        except NoBodyError:
            return None
        x, y, z = (error / DEVIATIONS_OF_90_PERCENT for error in found.location_error_90)
        return LocationEstimate(found.location, (x, y, z))


def located(lesion: Lesion, slab: Slab, locator: LesionLocator | None) -> Lesion:
    """The lesion with the error of its location, and with an estimated one where it has none.

    A given location stays as it is. Where its image has a narrow field of view that cuts the body
    off, it gets the error that such locations have; any other counts as exact.
    """
    if lesion.location is not None:
        return _with_error_of_narrow_field(lesion, slab)
    if locator is None:
        return lesion
    estimate = locator.locate_lesion(slab, slab.display_box(lesion.box))
    if estimate is None:
        return lesion
    return lesion.with_changes(location=estimate.location, location_error=estimate.error)


def _with_error_of_narrow_field(lesion: Lesion, slab: Slab) -> Lesion:
    from retrieval.position.narrow_field import cut_field, given_error

    if lesion.location_error is not None:
        return lesion
    field = cut_field(slab.hu[slab.key_slice], slab.spacing_mm_px)
    return lesion if field is None else lesion.with_changes(location_error=given_error(field))
