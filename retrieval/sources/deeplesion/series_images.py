"""SeriesImages: slices to write, numbered as DeepLesion numbers them, from the head to the feet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

FIRST_SLICE = 1
"""The number of the slice nearest to the head, where a source has no numbers of its own."""


@dataclass(frozen=True)
class SeriesImages:
    """Neighbouring slices of one series.

    Attributes:
        patient: the patient's number, from 1; likewise ``study`` and ``series``.
        first_slice: the series' own number of ``hu[0]``.
        hu: (slices, rows, columns), Hounsfield units, from the head to the feet as DeepLesion
            numbers its slices: a slab the other way round; written rounded to whole HU.
    """

    patient: int
    study: int
    series: int
    first_slice: int
    hu: NDArray[Any]

    @classmethod
    def of_slab(
        cls, place: tuple[int, int, int], hu: NDArray[Any], *, first_slice: int = FIRST_SLICE
    ) -> Self:
        """The slices of a slab, which run from the feet to the head.

        Args:
            place: numbers of patient, study and series.
            hu: (slices, rows, columns) in a slab's order.
            first_slice: the number of the slice nearest to the head.
        """
        return cls(*place, first_slice, hu[::-1])

    @property
    def slice_range(self) -> tuple[int, int]:
        """The numbers of the slices nearest to the head and to the feet."""
        return self.first_slice, self.first_slice + len(self.hu) - 1

    def number_of(self, position: int) -> int:
        """The number of the slice at a position of the slab that ``of_slab`` was given."""
        return self.slice_range[1] - position
