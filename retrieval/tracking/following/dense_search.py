"""A dense search: patches of the lesion's own size on a grid, compared with its vector.

Coarse first, over the likeliest points; then about the best of them on a finer grid, on
neighbouring slices and with smaller and larger boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.patch import extract_patch
from retrieval.tracking.following.pixels import PixelFit, PixelMatch
from retrieval.tracking.following.search_area import SearchArea

Vector = NDArray[np.float32]

STEP_SHARE = 0.4
LEAST_STEP_MM, MOST_STEP_MM = 4.0, 12.0
"""The grid's step is this share of the lesion's extent, within these."""

SLICE_GAP_MM = 5.0
PEAKS = 5
"""So many of the best points are looked at more closely."""

SCALES = (0.8, 1.25)
"""Sizes that are tried at a peak, beside the lesion's own."""

LOOKS_WEIGHT, PIXELS_WEIGHT = 10.0, 5.0
"""What a cosine and a correlation count beside the log of how likely a point is, when the points
are chosen that are looked at more closely; the decision has weights of its own."""

BATCH = 32


@dataclass(frozen=True)
class Sighting:
    """A box on one slice that was compared with the lesion.

    Attributes:
        position: the slice, in the slab.
        box: in the display grid.
        vector: of the encoder, of length 1.
        similarity: its cosine with the lesion's vector.
        detector_score: of the detector, None where it did not propose the box.
        pixels: how well it shows the lesion's own pixels, None where they are not at hand.
    """

    position: int
    box: Box
    vector: Vector
    similarity: float
    detector_score: float | None = None
    pixels: PixelFit | None = None


@dataclass(frozen=True)
class LesionLook:
    """What is searched for: the lesion's vector and the sides of its bare extent in mm."""

    vector: Vector
    extent_mm: tuple[float, float]

    @classmethod
    def of(cls, vector: Vector, box: Box, spacing_mm_px: tuple[float, float]) -> LesionLook:
        """The look of a lesion whose box has DeepLesion's padding; box and spacing of one grid."""
        bare = (max(side - 2 * BOX_PADDING_PX, 1.0) for side in (box.width, box.height))
        width, height = (px * mm for px, mm in zip(bare, spacing_mm_px, strict=True))
        return cls((vector / np.linalg.norm(vector)).astype(np.float32), (width, height))

    @property
    def step_mm(self) -> float:
        """The step of the coarse grid."""
        wanted = STEP_SHARE * max(self.extent_mm)
        return float(min(max(wanted, LEAST_STEP_MM), MOST_STEP_MM))

    def box_at(
        self, point: tuple[float, float], spacing_mm_px: tuple[float, float], scale: float = 1.0
    ) -> Box:
        """A box of the lesion's extent, with DeepLesion's padding, about a point in pixels."""
        half = [
            scale * side / 2 / mm + BOX_PADDING_PX
            for side, mm in zip(self.extent_mm, spacing_mm_px, strict=True)
        ]
        x, y = point
        return Box(x - half[0], y - half[1], x + half[0], y + half[1])


class Comparison:
    """Boxes of one slab against one lesion, embedded in batches; counts what it looked at."""

    def __init__(self, encoder: PatchEncoder, slab: Slab, look: LesionLook) -> None:
        self.look = look
        self.looked_at = 0
        self._encoder = encoder
        # Positions and boxes are those of the display grid here, whatever the file has.
        self._slab = slab.as_displayed()

    def compare(self, places: Sequence[tuple[int, Box]]) -> list[Sighting]:
        """The boxes (position in the slab, box of the display grid) in their order."""
        found: list[Sighting] = []
        for first in range(0, len(places), BATCH):
            batch = places[first : first + BATCH]
            patches = [
                extract_patch(self._slab.with_key_slice(at), box, self._encoder.spec)
                for at, box in batch
            ]
            vectors = self._encoder.embed(patches, batch_size=BATCH).vectors
            cosines = vectors @ self.look.vector
            found += [
                Sighting(at, box, vector, float(cosine))
                for (at, box), vector, cosine in zip(batch, vectors, cosines, strict=True)
            ]
        self.looked_at += len(places)
        return found


def dense_search(
    area: SearchArea, comparison: Comparison, *, limit: int, pixels: PixelMatch | None = None
) -> list[Sighting]:
    """Sightings on the likeliest points of an area, and closer ones about the best of them.

    Args:
        area: where to look.
        comparison: compares with the lesion.
        limit: the most points of the coarse grid.
        pixels: how well the lesion's own pixels fit everywhere; their best places are looked at
            too.
    """
    look, spacing = comparison.look, area.slab.spacing_mm_px
    spots = area.spots(look.step_mm, SLICE_GAP_MM, limit)
    if pixels is not None:
        peaks_of_pixels = [area.spot(*place) for place in pixels.peaks(look.step_mm * 1.5)]
        spots += [spot for spot in peaks_of_pixels if _is_on_image(spot.point, area.slab)]
    coarse = comparison.compare(
        [(spot.position, look.box_at(spot.point, spacing)) for spot in spots]
    )
    fits = [
        0.0 if pixels is None else pixels.at(one.position, one.box.center).correlation
        for one in coarse
    ]
    order = sorted(
        range(len(coarse)),
        key=lambda one: (
            -(
                coarse[one].similarity * LOOKS_WEIGHT
                + fits[one] * PIXELS_WEIGHT
                + spots[one].log_prior
            )
        ),
    )
    peaks = apart([coarse[one] for one in order], area.slab, look.step_mm * 1.5)[:PEAKS]
    closer = comparison.compare([place for peak in peaks for place in _about(peak, area, look)])
    return coarse + closer


def apart(sightings: Sequence[Sighting], slab: Slab, distance_mm: float) -> list[Sighting]:
    """The sightings in their order without those nearer than a distance to one before them."""
    kept = first_apart(points_mm(sightings, slab), range(len(sightings)), distance_mm)
    return [sightings[one] for one in kept]


def points_mm(sightings: Sequence[Sighting], slab: Slab) -> NDArray[np.float64]:
    """(n, 3) mm: the middles of the boxes along x, y and the slices."""
    steps = (*slab.spacing_mm_px, slab.slice_interval_mm)
    middles = [(*one.box.center, one.position) for one in sightings]
    return np.asarray(np.reshape(np.array(middles, np.float64), (-1, 3)) * np.array(steps))


def first_apart(
    points: NDArray[np.float64], order: Iterable[int], distance_mm: float, most: int | None = None
) -> list[int]:
    """Numbers of points (n, 3) in an order, without those nearer than a distance to one before."""
    kept: list[int] = []
    for one in order:
        away = np.linalg.norm(points[kept] - points[one], axis=1)
        if (away >= distance_mm).all():
            kept.append(int(one))
        if len(kept) == most:
            break
    return kept


def _about(peak: Sighting, area: SearchArea, look: LesionLook) -> list[tuple[int, Box]]:
    """Half steps in the plane, the neighbouring slices, and other sizes."""
    spacing = area.slab.spacing_mm_px
    x, y = peak.box.center
    places: list[tuple[int, Box]] = []
    half = look.step_mm / 2
    for i, j in product((-1, 0, 1), repeat=2):
        point = (x + i * half / spacing[0], y + j * half / spacing[1])
        if i or j:
            places.append((peak.position, look.box_at(point, spacing)))
    depth = max(round(SLICE_GAP_MM / area.slab.slice_interval_mm / 2), 1)
    for at in (peak.position - depth, peak.position + depth):
        if at in area.frames:
            places.append((at, look.box_at((x, y), spacing)))
    places += [(peak.position, look.box_at((x, y), spacing, scale)) for scale in SCALES]
    return [(at, box) for at, box in places if _is_on_image(box.center, area.slab)]


def _is_on_image(point: tuple[float, float], slab: Slab) -> bool:
    """Whether a point (x, y) lies on a slice: a lesion fits best beyond the edge now and then."""
    x, y = point
    return 0 <= x <= slab.columns - 1 and 0 <= y <= slab.rows - 1
