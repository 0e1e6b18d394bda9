"""SearchEngine: one lesion in; similar lesions of other patients and its own follow-ups out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from index.catalog.reader import EncoderBinding
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.milvus.client import MilvusSettings
from retrieval.detection.proposals import SliceDetector
from retrieval.embedding.encoder import LesionEncoder
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, Recist
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher, load_matcher
from retrieval.tracking.track_types import FollowUp
from retrieval.tracking.tracks import follow_ups
from service.engine.approximate_form import recall_notice
from service.engine.detectors import detector_in_use
from service.engine.model_files import ModelFiles
from service.engine.patient_tracks import PatientCase
from service.engine.query_box import (
    MarkedBox,
    Point,
    ProposedLesions,
    QueryError,
    Vector,
    embed_boxes,
    unit_vector,
)
from service.engine.query_node import query_lesion, query_node, with_what_is_known
from service.engine.results import BoxSource, Candidate, Hit, HitTerms, SearchResult, Timing


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
    estimated_long_mm: float | None = None


class SearchEngine:
    """Encoder, index and, where there is one, detector; usable from a notebook and by threads.

    ``matcher`` decides about follow-ups; the bundled one if None. With ``approximate`` the hits
    come from the index's approximate form, and every answer tells its measured recall.

    Raises QueryError if the index holds another encoder's vectors, StoreError if it has no
    approximate form.
    """

    def __init__(
        self,
        encoder: PatchEncoder,
        index: LesionIndex,
        detector: SliceDetector | None = None,
        *,
        matcher: MatcherModel | None = None,
        approximate: bool = False,
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
        self._approximate = approximate
        self._notices = (recall_notice(index),) if approximate else ()

    @property
    def detector_identity(self) -> dict[str, str] | None:
        """Name and fingerprint of the detector, None where there is none."""
        if self._detector is None:
            return None
        return {"name": self._detector.name, "fingerprint": self._detector.fingerprint}

    def with_encoder(self, encoder: PatchEncoder) -> SearchEngine:
        """The same engine with another way to the same vectors; raises QueryError for others."""
        return SearchEngine(
            encoder,
            self.index,
            self._detector,
            matcher=self.matcher,
            approximate=self._approximate,
        )

    def half_depth_mm(self, *, detecting: bool) -> float:
        """How far from the key slice a query's slab must reach; further for the detector."""
        depth = self.encoder.spec.half_depth_mm
        if not detecting or self._detector is None:
            return depth
        return max(depth, self._detector.half_depth_mm)

    def detect(self, slab: Slab) -> tuple[Candidate, ...]:
        """The detector's candidates on the slab's key slice, best first; empty if it finds none.

        Raises QueryError where there is no detector.
        """
        if self._detector is None:
            raise QueryError(
                "no lesion is marked and no detector is loaded: give its box as x1,y1,x2,y2 in "
                "pixels of the key slice, or its RECIST mark as x1,y1,...,x4,y4"
            )
        proposals = self._detector.detect(slab)
        return tuple(Candidate.of(proposal, slab.spacing_mm_px) for proposal in proposals)

    def propose(self, slab: Slab) -> ProposedLesions:
        """The detector's candidates, all embedded in one batch, to search with any of them.

        Raises QueryError where there is no detector, or it finds nothing.
        """
        start = time.perf_counter()
        candidates = self.detect(slab)
        detected = (time.perf_counter() - start) * 1000
        if not candidates:
            raise QueryError("the detector found no lesion on the key slice: give its box")
        boxes = [candidate.box for candidate in candidates]
        embedding, timing = embed_boxes(self.encoder, slab, boxes)
        timing = replace(timing, detect=detected)
        return ProposedLesions(candidates, embedding, slab.key_slice_index, timing)

    def search(
        self,
        slab: Slab,
        box: Box | None = None,
        *,
        recist: Recist | None = None,
        point: Point | None = None,
        candidate: int | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult:
        """Searches for the lesion in ``box``, or under a RECIST mark, on the slab's key slice.

        Without either, the detector proposes boxes and the search is for the best of them that
        holds ``point``, for the one whose rank is ``candidate``, or for the best.

        With ``patient_id``, that patient's lesions are left out of the hits and searched for
        follow-ups; ``study_id`` keeps the query's own study out of them. Without either nothing
        is known of whose image it is, so every indexed lesion may be a hit.

        Raises:
            QueryError: more than one way to choose the box; or none given, and no detector, or no
                proposal of it that fits.
            UnknownPatientError: the index holds no lesion of ``patient_id``.
            LesionError: the box lies outside the image.
        """
        marked = MarkedBox.given(slab, box, recist)
        if (marked is not None) + (point is not None) + (candidate is not None) > 1:
            raise QueryError("give one of a box or RECIST mark, a point, and a candidate's number")
        if marked is None:
            proposed = self.propose(slab)
            rank = proposed.rank_at(point) if point is not None else candidate
            return self.search_proposed(proposed, 1 if rank is None else rank, **options)
        embedding, timing = embed_boxes(self.encoder, slab, [marked.box])
        lesion = _lesion(marked, slab.key_slice_index, options)
        query = _Query(marked.box, marked.source, (), timing, marked.estimated_long_mm)
        return self._answer(query, query_node(lesion, embedding, 0), options)

    def search_proposed(
        self, proposed: ProposedLesions, candidate: int = 1, **options: Unpack[SearchOptions]
    ) -> SearchResult:
        """Searches with the candidate of that rank, from 1; nothing is detected or embedded again.

        Raises QueryError if there is no such candidate.
        """
        place = proposed.position(candidate)
        chosen = proposed.candidates[place]
        source = BoxSource.DETECTED
        lesion = _lesion(MarkedBox(chosen.box, source), proposed.key_slice_index, options)
        node = query_node(lesion, proposed.embedding, place)
        query = _Query(chosen.box, source, proposed.candidates, proposed.timing, chosen.long_mm)
        return self._answer(query, node, options)

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
        query = unit_vector(vector, self.encoder)
        start = time.perf_counter()
        return self._result(_Query(), self._hits(query, options), (), start)

    def _answer(self, query: _Query, node: TrackNode, options: SearchOptions) -> SearchResult:
        start = time.perf_counter()
        hits = tuple(
            replace(hit, terms=_terms(query, node, hit.lesion))
            for hit in self._hits(node.vector, options)
        )
        found = self._follow_ups(node, options)
        answered = self._result(query, hits, found, start)
        warning = self.matcher.warning_for(self.encoder.fingerprint)
        if not found or not warning:
            return answered
        return replace(answered, warnings=(*answered.warnings, warning))

    def _hits(self, vector: Vector, options: SearchOptions) -> tuple[Hit, ...]:
        k = options.get("k", 10)
        if k < 1:
            raise QueryError(f"k is {k}: ask for at least 1 similar lesion")
        where = options.get("where") or LesionFilter()
        patient = options.get("patient_id")
        if patient is not None:
            others_only = where.excluded_patients | {patient}
            where = replace(where, excluded_patients=others_only)
        neighbours = self.index.search(vector, k=k, where=where, approximate=self._approximate)
        return tuple(
            Hit(rank, neighbour.similarity, neighbour.lesion)
            for rank, neighbour in enumerate(neighbours, start=1)
        )

    def _follow_ups(self, node: TrackNode, options: SearchOptions) -> tuple[FollowUp, ...]:
        patient = options.get("patient_id")
        if patient is None:
            return ()
        case = PatientCase.of(self.index, patient)
        node = with_what_is_known(node, [stored.lesion for stored in case.nodes])
        return tuple(follow_ups(node, case.nodes, model=self.matcher, known=case.known))

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
            warnings=self._notices,
        )


def open_engine(
    index: Path,
    models: ModelFiles | None = None,
    *,
    milvus: MilvusSettings | None = None,
    approximate: bool = False,
) -> SearchEngine:
    """The engine of an index on disk, with the encoder that filled it; the bundled models if None.

    With ``milvus`` the vectors are searched there, with ``approximate`` in the approximate form
    that the index holds.

    Raises:
        EncoderError: the encoder cannot be loaded.
        DetectorError: the detector cannot.
        TrackingError: the matcher cannot.
        EncoderMismatchError: the index holds another encoder's vectors.
        CatalogError: there is no index, or it is damaged.
        MilvusError: the Milvus server or its collection cannot be used.
        StoreError: an approximate form is asked for and there is none.
    """
    models = models or ModelFiles()
    loaded = LesionEncoder.load(models.encoder, device=models.device)
    model = load_matcher(models.matcher)
    proposer = detector_in_use(models.detector)
    opened = LesionIndex.open(index, binding=binding_of(loaded), milvus=milvus)
    try:
        return SearchEngine(loaded, opened, proposer, matcher=model, approximate=approximate)
    except BaseException:
        opened.close()
        raise


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


def _lesion(marked: MarkedBox, key_slice_index: int, options: SearchOptions) -> Lesion:
    patient, study = options.get("patient_id"), options.get("study_id")
    return query_lesion(marked, key_slice_index, patient, study)


def _terms(query: _Query, node: TrackNode, hit: Lesion) -> HitTerms:
    """The terms of one hit; what the query does not know of itself is estimated."""
    lesion = node.lesion
    if lesion.long_mm is None:
        lesion = lesion.with_changes(long_mm=query.estimated_long_mm)
    return HitTerms.between(lesion, lesion.location or node.location_estimate, hit)
