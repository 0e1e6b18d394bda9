"""A body of ellipses with a lesion in it, in two scans, and an encoder without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.embedding.encoder import Embedding
from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, Recist
from retrieval.patch import Patch, PatchSpec, extract_patch
from retrieval.position.locator import BodyLocator
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.expected import ExpectedPlace

SIDE, SPACING, INTERVAL, SLICES = 128, (3.0, 3.0), 5.0, 24
MIDDLE = (78.0, 60.0)
RADIUS_PX, KEY = 5.0, 12


class GreyEncoder:
    """The middle slice in a soft-tissue window, shrunk to 16 x 16 and centred."""

    name, fingerprint, dimension = "grey", "grey0", 256
    spec = PatchSpec(size_px=32, mm_px=2.0)

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        planes = np.stack([patch.hu[1].clip(-160, 240) for patch in patches])
        means = planes.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(len(patches), 256)
        centred = means - means.mean(axis=1, keepdims=True) + 1e-6
        vectors = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return Embedding(vectors.astype(np.float32), np.full((len(patches), 3), 0.5, np.float32))


def scan(
    *, shift_px: tuple[int, int] = (0, 0), first: int = 0, lesion: bool = True, noise: int = 1
) -> Slab:
    """The body from its slice ``first`` on, moved in the plane; slices are numbered downwards."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    texture = np.kron(np.random.default_rng(7).normal(0, 25, (SLICES, 16, 16)), np.ones((1, 8, 8)))
    ellipse = ((columns - 64) / 56) ** 2 + ((rows - 64) / 40) ** 2 < 1
    hu = np.where(ellipse, 40 + texture, -1000.0)
    if lesion:
        for at in range(KEY - 2, KEY + 3):
            inside = np.hypot(columns - MIDDLE[0], rows - MIDDLE[1]) < RADIUS_PX
            hu[at][inside] = 180.0
    hu = np.roll(hu, shift_px[::-1], axis=(1, 2))[first:]
    hu = hu + np.random.default_rng(noise).normal(0, 5, hu.shape)
    grid = GridMap.from_last_slice(len(hu) + 9)
    return Slab(hu.astype(np.float32), SPACING, INTERVAL, KEY - first, grid)


def mark(slab: Slab) -> Lesion:
    """The lesion's mark on the first scan."""
    x, y = MIDDLE
    recist = Recist(
        ((x - RADIUS_PX, y), (x + RADIUS_PX, y), (x, y - RADIUS_PX), (x, y + RADIUS_PX))
    )
    return Lesion("prior", "P", "S1", "S1_1", slab.key_slice_index, recist.box(), 30.0, 30.0)


def located_mark(slab: Slab) -> Lesion:
    """The mark with the body position of its pixels, as if it had been given."""
    place = ExpectedPlace.of_pixels(mark(slab), slab, BodyLocator.load())
    assert place is not None
    return mark(slab).with_changes(location=place.location)


def node_of(slab: Slab, lesion: Lesion, encoder: GreyEncoder) -> TrackNode:
    return TrackNode(
        lesion, encoder.embed([extract_patch(slab, lesion.box, encoder.spec)]).vectors[0]
    )


def middle_mm(slab: Slab, box: Box, number: int) -> np.ndarray:
    x, y = box.center
    at = slab.grid.to_display_slice(number)
    return np.array([x * SPACING[0], y * SPACING[1], at * INTERVAL])
