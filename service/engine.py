"""SearchEngine: one lesion in; similar lesions of other patients and its own follow-ups out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from index.catalog import EncoderBinding
from index.edges import TrackNode
from index.filters import LesionFilter
from index.lesion_index import LesionIndex
from index.matcher import MatcherModel, bundled_matcher, load_matcher
from index.track_types import FollowUp
from index.tracking import SAME_MARK_IOU, follow_ups
from retrieval.ct import CTSlab
from retrieval.embedding.encoder import Embedding, LesionEncoder
from retrieval.lesion import Box, Lesion, LesionSearchError, Recist
from retrieval.patch import Patch, PatchSpec, extract_patch
from service.patient_tracks import PatientCase
from service.results import BoxSource, Candidate, Hit, SearchResult, Timing

Vector = NDArray[np.float32]

QUERY_ID = "query"
"""The lesion id that stands for a query image's own lesion; no archive uses it."""


class QueryError(LesionSearchError):
    """A query the engine cannot answer."""


class PatchEncoder(Protocol):
    """What the engine needs of an encoder; ``LesionEncoder`` is the product's own."""

    @property
    def name(self) -> str:
        """What the encoder is called."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of weights and PatchSpec."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def spec(self) -> PatchSpec:
        """The patch the encoder was trained on."""
        ...

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches, in their order."""
        ...


class LesionDetector(Protocol):
    """Proposes boxes on a slab's key slice, best first."""

    def detect(self, slab: CTSlab) -> Sequence[Candidate]:
        """The proposals; empty where nothing is found."""
        ...


class SearchOptions(TypedDict, total=False):
    """How to search: the patient and study the query comes from, how many hits, which ones."""

    patient_id: str | None
    study_id: str | None
    k: int
    where: LesionFilter | None


@dataclass(frozen=True)
class _Query:
    """Where the box of a query came from, and the time spent before the search."""

    box: Box | None = None
    box_source: BoxSource | None = None
    candidates: tuple[Candidate, ...] = ()
    timing: Timing = field(default_factory=Timing)


class SearchEngine:
    """Encoder, index and, where there is one, detector; usable from a notebook and by threads.

    ``matcher`` decides about follow-ups; the bundled one if None. Raises QueryError if the index
    holds another encoder's vectors.
    """

    def __init__(
        self,
        encoder: PatchEncoder,
        index: LesionIndex,
        detector: LesionDetector | None = None,
        *,
        matcher: MatcherModel | None = None,
    ) -> None:
        bound = index.binding.fingerprint
        if bound != encoder.fingerprint:
            raise QueryError(
                f"the index holds vectors of encoder {bound} but the encoder in use is "
                f"{encoder.fingerprint}: build the index again with `lesion-search index build`"
            )
        self.encoder = encoder
        self.index = index
        self.matcher = matcher or bundled_matcher()
        self._detector = detector

    def search(
        self,
        slab: CTSlab,
        box: Box | None = None,
        *,
        recist: Recist | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult:
        """Searches for the lesion in ``box``, or under a RECIST mark, on the slab's key slice.

        With ``patient_id``, that patient's lesions are left out of the hits and searched for
        follow-ups; ``study_id`` keeps the query's own study out of them. Without either nothing
        is known of whose image it is, so every indexed lesion may be a hit.

        Raises:
            QueryError: no box and no detector, or both a box and a mark.
            UnknownPatientError: the index holds no lesion of ``patient_id``.
            LesionError: the box lies outside the image.
        """
        chosen, source, candidates = self._choose_box(slab, box, recist)
        start = time.perf_counter()
        patch = extract_patch(slab, chosen, self.encoder.spec)
        cut = time.perf_counter()
        embedding = self.encoder.embed([patch])
        done = time.perf_counter()
        lesion = _query_lesion(slab, chosen, recist, options)
        x, y, z = (float(value) for value in embedding.locations[0])
        timing = Timing(patch=(cut - start) * 1000, encode=(done - cut) * 1000)
        node = TrackNode(lesion, embedding.vectors[0], (x, y, z))
        return self._answer(_Query(chosen, source, candidates, timing), node, options)

    def search_lesion(self, lesion_id: str, **options: Unpack[SearchOptions]) -> SearchResult:
        """Searches from an indexed lesion: hits of other patients, follow-ups of its own.

        Raises UnknownLesionError. ``patient_id`` and ``study_id`` are the lesion's own.
        """
        record = self.index.get(lesion_id)
        lesion = record.lesion
        own: SearchOptions = {"patient_id": lesion.patient_id, "study_id": lesion.study_id}
        query = _Query(lesion.box, BoxSource.GIVEN)
        return self._answer(query, TrackNode(lesion, record.vector), {**options, **own})

    def search_vector(
        self, vector: Sequence[float] | Vector, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """Searches from a bare vector of this encoder; any length but zero, it is normalised.

        A vector has no box and no geometry, so there are no follow-ups.
        """
        query = np.asarray(vector, dtype=np.float64)
        if query.shape != (self.encoder.dimension,):
            raise QueryError(
                f"the vector has the shape {query.shape}: {self.encoder.dimension} numbers of "
                f"encoder {self.encoder.fingerprint} are needed"
            )
        norm = float(np.linalg.norm(query))
        if not np.isfinite(norm) or norm == 0.0:
            raise QueryError("the vector is zero or holds numbers that are not finite")
        start = time.perf_counter()
        hits = self._hits((query / norm).astype(np.float32), options)
        return self._result(_Query(), hits, (), start)

    def _choose_box(
        self, slab: CTSlab, box: Box | None, recist: Recist | None
    ) -> tuple[Box, BoxSource, tuple[Candidate, ...]]:
        if box is not None and recist is not None:
            raise QueryError("both a box and a RECIST mark are given: give one of them")
        if box is not None:
            return box, BoxSource.GIVEN, ()
        if recist is not None:
            return recist.box(), BoxSource.RECIST, ()
        if self._detector is None:
            raise QueryError(
                "no lesion is marked and no detector is loaded: give its box as x1,y1,x2,y2 in "
                "pixels of the key slice, or its RECIST mark as x1,y1,...,x4,y4"
            )
        candidates = tuple(self._detector.detect(slab))
        if not candidates:
            raise QueryError("the detector found no lesion on the key slice: give its box")
        return candidates[0].box, BoxSource.DETECTED, candidates

    def _answer(self, query: _Query, node: TrackNode, options: SearchOptions) -> SearchResult:
        start = time.perf_counter()
        hits = self._hits(node.vector, options)
        found = self._follow_ups(node, options)
        answered = self._result(query, hits, found, start)
        warning = self.matcher.warning_for(self.encoder.fingerprint)
        return replace(answered, warnings=(warning,)) if found and warning else answered

    def _hits(self, vector: Vector, options: SearchOptions) -> tuple[Hit, ...]:
        k = options.get("k", 10)
        if k < 1:
            raise QueryError(f"k is {k}: ask for at least 1 similar lesion")
        where = options.get("where") or LesionFilter()
        patient = options.get("patient_id")
        if patient is not None:
            others_only = where.excluded_patients | {patient}
            where = replace(where, excluded_patients=others_only)
        neighbours = self.index.search(vector, k=k, where=where)
        return tuple(
            Hit(rank, neighbour.similarity, neighbour.lesion)
            for rank, neighbour in enumerate(neighbours, start=1)
        )

    def _follow_ups(self, node: TrackNode, options: SearchOptions) -> tuple[FollowUp, ...]:
        patient = options.get("patient_id")
        if patient is None:
            return ()
        case = PatientCase.of(self.index, patient)
        node = _with_what_is_known(node, [stored.lesion for stored in case.nodes])
        decided = {"confirmed": case.confirmed, "rejected": case.rejected}
        return tuple(follow_ups(node, case.nodes, model=self.matcher, **decided))

    def _result(
        self, query: _Query, hits: tuple[Hit, ...], found: tuple[FollowUp, ...], start: float
    ) -> SearchResult:
        spent = (time.perf_counter() - start) * 1000
        return SearchResult(
            box=query.box,
            box_source=query.box_source,
            hits=hits,
            follow_ups=found,
            candidates=query.candidates,
            encoder=_identity(self.encoder),
            index={"lesions": self.index.count()},
            timing_ms=replace(query.timing, search=spent),
        )


def open_engine(
    index: Path, encoder: Path | None = None, *, matcher: Path | None = None
) -> SearchEngine:
    """The engine of an index on disk, the encoder that filled it, and a matcher's weights.

    The bundled encoder and matcher stand in where none is named.

    Raises:
        EncoderError: the encoder cannot be loaded.
        TrackingError: the matcher cannot.
        EncoderMismatchError: the index holds another encoder's vectors.
        CatalogError: there is no index, or it is damaged.
    """
    loaded = LesionEncoder.load(encoder)
    model = load_matcher(matcher)
    return SearchEngine(loaded, LesionIndex.open(index, binding=binding_of(loaded)), matcher=model)


def binding_of(encoder: PatchEncoder) -> EncoderBinding:
    """How an index names the encoder that fills it."""
    return EncoderBinding(
        fingerprint=encoder.fingerprint,
        name=encoder.name,
        dimension=encoder.dimension,
        patch_spec=encoder.spec.to_dict(),
    )


def _identity(encoder: PatchEncoder) -> dict[str, Any]:
    return {
        "name": encoder.name,
        "fingerprint": encoder.fingerprint,
        "dimension": encoder.dimension,
    }


def _query_lesion(slab: CTSlab, box: Box, recist: Recist | None, options: SearchOptions) -> Lesion:
    """The query as a lesion; its diameters are known only under a RECIST mark."""
    long_mm, short_mm = (None, None) if recist is None else recist.diameters_mm(slab.spacing_mm_px)
    return Lesion(
        lesion_id=QUERY_ID,
        patient_id=options.get("patient_id") or "",
        study_id=options.get("study_id") or "",
        series_id="",
        key_slice_index=slab.key_slice_index,
        box=box,
        long_mm=long_mm,
        short_mm=short_mm,
    )


def _with_what_is_known(node: TrackNode, stored: Sequence[Lesion]) -> TrackNode:
    """The query as the index knows it, if the same mark is stored: its size, location and type.

    A query image is often an indexed one. Its box alone says nothing of diameters.
    """
    query = node.lesion
    for lesion in stored:
        same_slice = (lesion.study_id, lesion.key_slice_index) == (
            query.study_id,
            query.key_slice_index,
        )
        if same_slice and lesion.box.iou(query.box) >= SAME_MARK_IOU:
            return replace(node, lesion=lesion)
    return node
