"""One lesion to learn from: CT and mask on neighbouring slices, as a slab each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import Recist
from retrieval.segmentation.view import probability_slab
from retrieval.sources.importers.mask_marks import recist_of_mask

LEAST_PIXELS = 6
"""A slice with less of the lesion is no key slice."""

CROP_MM = 30.0
"""What is kept about a lesion, beyond one and a half times its size."""


@dataclass(frozen=True)
class MaskedLesion:
    """A lesion with the truth of every pixel.

    Attributes:
        name: unique in its source.
        patient: whose it is.
        source: "nodule", "sarcoma", "phantom", "painted" or "marked".
        slab: the CT, its key slice the marked one.
        share: (slices, rows, columns) in [0, 1]: how much of each pixel is lesion.
        known: first and last position of the slices whose shares are known; None for all.
    """

    name: str
    patient: str
    source: str
    slab: Slab
    share: NDArray[np.float32]
    known: tuple[int, int] | None = None

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels of which more than half are lesion."""
        return np.asarray(self.share > 0.5, np.bool_)

    @cached_property
    def share_slab(self) -> Slab:
        """The shares with the geometry of the CT."""
        return probability_slab(self.share, self.slab)

    @cached_property
    def key_slices(self) -> list[int]:
        """Slices that show a third of the largest cross-section, and a few pixels at least."""
        areas = self.mask.sum(axis=(1, 2))
        least = max(LEAST_PIXELS, 0.33 * float(areas.max()))
        return [int(k) for k in np.flatnonzero(areas >= least)]

    @cached_property
    def _marks(self) -> dict[int, Recist]:
        return {}

    def mark_on(self, position: int) -> Recist:
        """The longest diameter of the mask on a slice and the longest chord across it."""
        if position not in self._marks:
            mask, spacing = self.mask[position], self.slab.spacing_mm_px
            self._marks[position] = recist_of_mask(mask, spacing)
        return self._marks[position]


def on_largest_slice(lesion: MaskedLesion) -> MaskedLesion:
    """The lesion itself, its key slice the one of its largest section if its mask lacks it."""
    areas = lesion.mask.sum(axis=(1, 2))
    if areas[lesion.slab.key_slice]:
        return lesion
    slab = lesion.slab.with_key_slice(int(areas.argmax()))
    return MaskedLesion(lesion.name, lesion.patient, lesion.source, slab, lesion.share)


def cropped(slab: Slab, share: NDArray[np.float32]) -> tuple[Slab, NDArray[np.float32]]:
    """Only what lies near the lesion, so that thousands of examples fit in memory."""
    _, rows, columns = np.nonzero(share > 0.5)
    parts = []
    for places, length, spacing in (
        (rows, slab.rows, slab.spacing_mm_px[1]),
        (columns, slab.columns, slab.spacing_mm_px[0]),
    ):
        low, high = int(places.min()), int(places.max()) + 1
        around = round(CROP_MM / spacing + 1.5 * (high - low))
        parts.append(slice(max(low - around, 0), min(high + around, length)))
    hu = np.ascontiguousarray(slab.hu[:, parts[0], parts[1]])
    kept = Slab(hu, slab.spacing_mm_px, slab.slice_interval_mm, slab.key_slice)
    return kept, np.ascontiguousarray(share[:, parts[0], parts[1]])
