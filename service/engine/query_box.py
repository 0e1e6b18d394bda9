"""Which box a query is about: the one given, a RECIST mark's, or one the detector proposes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.detection.proposals import LEAST_SHOWN_SCORE, SHOWN, estimated_long_mm
from retrieval.embedding.encoder import Embedding
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.patch import extract_patch
from service.engine.query import LesionQuery, Point, QueryError
from service.engine.results import BoxSource, Candidate, Timing

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MarkedBox:
    """The box of a query, where it came from, and the diameters that are known of it."""

    box: Box
    source: BoxSource
    long_mm: float | None = None
    short_mm: float | None = None
    estimated_long_mm: float | None = None

    @classmethod
    def given(cls, query: LesionQuery, slab: Slab) -> MarkedBox | None:
        """The user's own mark on the slab, None if there is none."""
        if query.box is not None:
            estimate = estimated_long_mm(query.box, slab.file_spacing_mm_px)
            return cls(query.box, BoxSource.GIVEN, estimated_long_mm=estimate)
        if query.recist is not None:
            long_mm, short_mm = query.recist.diameters_mm(slab.file_spacing_mm_px)
            return cls(query.recist.box(), BoxSource.RECIST, long_mm, short_mm, long_mm)
        return None

    @classmethod
    def proposed(cls, candidate: Candidate) -> MarkedBox:
        """A box that the detector proposes."""
        estimate = candidate.long_mm
        return cls(candidate.box, BoxSource.DETECTED, estimated_long_mm=estimate)


def chosen_candidate(candidates: Sequence[Candidate], query: LesionQuery) -> Candidate:
    """The proposal that a query is about: by its point, by its rank, or the best.

    Args:
        candidates: all of the detector's, best first.
        query: may name any of them; unasked only a likely one is taken.

    Raises QueryError if no proposal fits, or none is likely enough.
    """
    if not candidates:
        raise QueryError("the detector found no lesion on the key slice: give its box")
    if query.point is not None:
        return _at_point(candidates, query.point)
    if query.candidate is None and candidates[0].score < LEAST_SHOWN_SCORE:
        raise QueryError(
            f"the detector found no likely lesion on the key slice: its best proposal has "
            f"{candidates[0].score:.3f}, below {LEAST_SHOWN_SCORE}: give its box, or choose a "
            "proposal by its number"
        )
    rank = 1 if query.candidate is None else query.candidate
    if not 1 <= rank <= len(candidates):
        raise QueryError(
            f"candidate {rank} does not exist: the detector proposed {len(candidates)}, numbered "
            "from 1"
        )
    return candidates[rank - 1]


def shown_with(chosen: Candidate, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that an answer shows: the best few, and on to the chosen one."""
    likely = [one for one in candidates[:SHOWN] if one.score >= LEAST_SHOWN_SCORE]
    return tuple(candidates[: max(len(likely), candidates.index(chosen) + 1)])


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


def _at_point(candidates: Sequence[Candidate], point: Point) -> Candidate:
    x, y = point
    for candidate in candidates:
        box = candidate.box
        if box.x1 <= x <= box.x2 and box.y1 <= y <= box.y2:
            return candidate
    raise QueryError(
        f"none of the detector's {len(candidates)} proposals holds the point {x:g},{y:g}: draw a "
        "box"
    )
