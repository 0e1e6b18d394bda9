"""Which box a query is about: the one given, a RECIST mark's, or one the detector proposes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrieval.detection.proposals import estimated_long_mm
from retrieval.embedding.encoder import Embedding
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.image import Slab
from retrieval.lesion import Box, LesionSearchError, Recist
from retrieval.patch import extract_patch
from service.engine.results import BoxSource, Candidate, Timing

Vector = NDArray[np.float32]

Point = tuple[float, float]
"""(x, y) in 0-based pixels of the key slice."""


class QueryError(LesionSearchError):
    """A query the engine cannot answer."""


@dataclass(frozen=True, slots=True)
class MarkedBox:
    """The box of a query, where it came from, and the diameters that are known of it."""

    box: Box
    source: BoxSource
    long_mm: float | None = None
    short_mm: float | None = None
    estimated_long_mm: float | None = None

    @classmethod
    def given(cls, slab: Slab, box: Box | None, recist: Recist | None) -> MarkedBox | None:
        """The user's own mark, None if there is none; raises QueryError for two of them."""
        if box is not None and recist is not None:
            raise QueryError("both a box and a RECIST mark are given: give one of them")
        if box is not None:
            estimate = estimated_long_mm(box, slab.spacing_mm_px)
            return cls(box, BoxSource.GIVEN, estimated_long_mm=estimate)
        if recist is not None:
            long_mm, short_mm = recist.diameters_mm(slab.spacing_mm_px)
            return cls(recist.box(), BoxSource.RECIST, long_mm, short_mm, long_mm)
        return None


@dataclass(frozen=True, slots=True)
class ProposedLesions:
    """Every candidate of one key slice with its embedding: any of them can be searched with.

    Attributes:
        candidates: best first; never empty.
        embedding: of the candidates, in their order.
        key_slice_index: the series' own number of the slice they lie on.
        timing: what detecting, cutting and embedding took.
    """

    candidates: tuple[Candidate, ...]
    embedding: Embedding
    key_slice_index: int
    timing: Timing = field(default_factory=Timing)

    def position(self, rank: int) -> int:
        """The place of the candidate of that rank, from 1; raises QueryError if there is none."""
        if not 1 <= rank <= len(self.candidates):
            raise QueryError(
                f"candidate {rank} does not exist: the detector proposed "
                f"{len(self.candidates)}, numbered from 1"
            )
        return rank - 1

    def rank_at(self, point: Point) -> int:
        """The rank of the best candidate whose box holds the point; raises QueryError."""
        x, y = point
        for rank, candidate in enumerate(self.candidates, start=1):
            box = candidate.box
            if box.x1 <= x <= box.x2 and box.y1 <= y <= box.y2:
                return rank
        raise QueryError(
            f"none of the detector's {len(self.candidates)} proposals holds the point "
            f"{x:g},{y:g}: draw a box"
        )


def embed_boxes(
    encoder: PatchEncoder, slab: Slab, boxes: Sequence[Box]
) -> tuple[Embedding, Timing]:
    """The boxes of a slab's key slice embedded in one batch, and the time it took."""
    start = time.perf_counter()
    patches = [extract_patch(slab, box, encoder.spec) for box in boxes]
    cut = time.perf_counter()
    embedding = encoder.embed(patches, batch_size=max(len(patches), 1))
    done = time.perf_counter()
    return embedding, Timing(patch=(cut - start) * 1000, encode=(done - cut) * 1000)


def unit_vector(numbers: Sequence[float] | NDArray[np.float32], encoder: PatchEncoder) -> Vector:
    """A bare query vector at unit length; raises QueryError if it cannot be the encoder's."""
    vector = np.asarray(numbers, dtype=np.float64)
    if vector.shape != (encoder.dimension,):
        raise QueryError(
            f"the vector has the shape {vector.shape}: {encoder.dimension} numbers of "
            f"encoder {encoder.fingerprint} are needed"
        )
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm == 0.0:
        raise QueryError("the vector is zero or holds numbers that are not finite")
    return (vector / norm).astype(np.float32)
