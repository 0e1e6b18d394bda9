"""SearchEngine: one lesion in; similar lesions of other patients and its own follow-ups out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from index.catalog.reader import EncoderBinding
from index.lesion_index import LesionIndex
from index.milvus.client import MilvusSettings
from retrieval.detection.proposals import SliceDetector, best_few
from retrieval.embedding.external.opening import open_encoder
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.grid import Grid
from retrieval.image import Slab
from retrieval.labels.words.parsing import WordQuery
from retrieval.lesion import Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher, load_matcher
from retrieval.tracking.track_types import FollowUp
from retrieval.tracking.tracks import follow_ups
from service.engine.approximate_form import recall_notice
from service.engine.detectors import detector_in_use
from service.engine.lesion_location import LesionLocator, PositionLocator
from service.engine.model_files import ModelFiles
from service.engine.patient_tracks import PatientCase
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import (
    MarkedBox,
    Vector,
    chosen_candidate,
    embed_boxes,
    shown_with,
    unit_vector,
)
from service.engine.query_node import EmbeddedQuery
from service.engine.recognition import UNKNOWN_SLICE, recognise
from service.engine.results import (
    BoxSource,
    Candidate,
    DetectorIdentity,
    Hit,
    HitTerms,
    SearchResult,
    Timing,
)
from service.engine.words.search import CANDIDATES, LEAST_CANDIDATES, WordSearch


class SearchEngine:
    """Encoder, index and, where there is one, detector; usable from a notebook and by threads.

    ``matcher`` decides about follow-ups; the bundled one if None. ``locator`` estimates the body
    position of a query image's lesion; without one it has none. With ``approximate`` the hits
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
        locator: LesionLocator | None = None,
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
        self.detector = detector
        self.locator = locator
        self.words = WordSearch(index)
        self._approximate = approximate
        self._notices = (recall_notice(index),) if approximate else ()

    @property
    def detector_identity(self) -> DetectorIdentity | None:
        """Which detector answers, None where there is none."""
        if self.detector is None:
            return None
        return DetectorIdentity(self.detector.name, self.detector.fingerprint)

    def with_models(self, encoder: PatchEncoder, detector: SliceDetector | None) -> SearchEngine:
        """The same engine with other ways to the same answers.

        Raises QueryError for an encoder of other vectors.
        """
        other = SearchEngine(
            encoder,
            self.index,
            detector,
            matcher=self.matcher,
            locator=self.locator,
            approximate=self._approximate,
        )
        other.words = self.words
        return other

    def half_depth_mm(self, *, detecting: bool) -> float:
        """How far from the key slice a query's slab must reach; further for the detector."""
        depth = self.encoder.spec.half_depth_mm
        if not detecting or self.detector is None:
            return depth
        return max(depth, self.detector.half_depth_mm)

    def detect(self, slab: Slab, *, every: bool = False) -> tuple[Candidate, ...]:
        """The detector's candidates on the slab's key slice, best first; empty if it finds none.

        The best few that are likely enough, or with ``every`` all that the detector proposes.
        Their boxes are in the slab's file grid, within the image.

        Raises QueryError where there is no detector.
        """
        if self.detector is None:
            raise QueryError(
                "no lesion is marked and no detector is loaded: give its box as x1,y1,x2,y2 in "
                "pixels of the key slice, or its RECIST mark as x1,y1,...,x4,y4"
            )
        found = self.detector.detect(slab)
        proposals = found if every else best_few(found)
        return tuple(Candidate.of(proposal, slab.file_spacing_mm_px) for proposal in proposals)

    def search(self, query: LesionQuery, slab: Slab | None = None) -> SearchResult:
        """Searches for a lesion marked on the slab's key slice, an indexed one, a vector, or words.

        The boxes of the answer are in the grid that the query is in.

        With ``patient_id``, that patient's lesions are left out of the hits and searched for
        follow-ups. Without it nothing is known of whose image it is, so every indexed lesion may
        be a hit, unless the image itself is indexed (``service.engine.recognition``). A vector has
        no box and no geometry, so there are no follow-ups.

        Raises:
            QueryError: no lesion is marked and there is no detector, or no proposal of it fits.
            UnknownPatientError: the index holds no lesion of ``patient_id``.
            UnknownLesionError: the index does not hold ``lesion_id``.
            LesionError: the box lies outside the image.
            VocabularyError: no word of ``text`` is understood.
        """
        if query.vector is None and (slab is not None or query.lesion_id is not None):
            return self.answer(self.embed(query, slab))
        start = time.perf_counter()
        if query.vector is not None:
            hits = self._hits(unit_vector(query.vector, self.encoder), query)
        elif query.text is not None:
            hits = self.words.hits(self.words.parse(query.text), query.where, query.k)
        else:
            raise QueryError(
                "no image is given: give one, an indexed lesion's id, a vector, or words"
            )
        return replace(self._result(hits, start), words=self._words(query))

    def embed(self, query: LesionQuery, slab: Slab | None = None) -> EmbeddedQuery:
        """The query's lesion with its box and its vector; errors are those of ``search``."""
        if query.lesion_id is not None:
            return self._indexed(query, query.lesion_id)
        if slab is None:
            raise QueryError(
                "no image is given: give one, an indexed lesion's id, a vector, or words"
            )
        answered_in = query.grid
        query = query.in_file_grid(slab.grid)
        start = time.perf_counter()
        marked = MarkedBox.given(query, slab)
        candidates: tuple[Candidate, ...] = ()
        if marked is None:
            every = self.detect(slab, every=True)
            chosen = chosen_candidate(every, query)
            candidates = shown_with(chosen, every)
            marked = MarkedBox.proposed(chosen)
        detected = (time.perf_counter() - start) * 1000 if candidates else 0.0
        embedding, timing = embed_boxes(self.encoder, slab, [marked.box])
        found = EmbeddedQuery.of(query, marked, slab, embedding, self.locator)
        found = replace(
            found,
            candidates=candidates,
            timing=replace(timing, detect=detected),
            shown_in=slab.grid if answered_in is Grid.DISPLAY else None,
        )
        return found.recognised(recognise(self.index, slab, found.box, query))

    def answer(self, asked: EmbeddedQuery, patient: PatientCase | None = None) -> SearchResult:
        """Hits and follow-ups of an embedded query: the one place where its patient matters.

        The patient of the query is left out of the hits, and so is everybody under whom its image
        is indexed. Follow-ups are searched in ``patient``, or in what the index holds of the
        query's patient; there are none where the image contradicts the patient.

        Raises UnknownPatientError.
        """
        start = time.perf_counter()
        hits = tuple(
            replace(hit, terms=_terms(asked, hit.lesion))
            for hit in self._hits(asked.known.vector, asked.query, asked.recognition.patients)
        )
        if asked.recognition.is_contradicted:
            return self._result(hits, start, asked)
        if patient is None and asked.query.patient_id is not None:
            patient = PatientCase.of(self.index, asked.query.patient_id)
        found = () if patient is None else self._follow_ups(asked, patient)
        return self._result(hits, start, asked, found)

    def _indexed(self, query: LesionQuery, lesion_id: str) -> EmbeddedQuery:
        record = self.index.get(lesion_id)
        lesion = record.lesion
        own = replace(query, patient_id=lesion.patient_id, study_id=lesion.study_id)
        node = TrackNode(lesion, record.vector)
        return EmbeddedQuery(own, node, node, BoxSource.GIVEN)

    def _hits(
        self, vector: Vector, query: LesionQuery, same_image: frozenset[str] = frozenset()
    ) -> tuple[Hit, ...]:
        where = query.where
        own = same_image if query.patient_id is None else same_image | {query.patient_id}
        if own:
            where = replace(where, excluded_patients=where.excluded_patients | own)
        words = self._words(query)
        if words is not None:
            where = self.words.limited(where, words)
        k = query.k if words is None else max(CANDIDATES * query.k, LEAST_CANDIDATES)
        neighbours = self.index.search(vector, k=k, where=where, approximate=self._approximate)
        if words is not None:
            return self.words.reordered(neighbours, words, query.k)
        return tuple(
            Hit(rank, neighbour.similarity, neighbour.lesion)
            for rank, neighbour in enumerate(neighbours, start=1)
        )

    def _words(self, query: LesionQuery) -> WordQuery | None:
        return None if query.text is None else self.words.parse(query.text)

    def _follow_ups(self, asked: EmbeddedQuery, patient: PatientCase) -> tuple[FollowUp, ...]:
        found = follow_ups(asked.known, patient.nodes, model=self.matcher, known=patient.known)
        return tuple(found)

    def _result(
        self,
        hits: tuple[Hit, ...],
        start: float,
        asked: EmbeddedQuery | None = None,
        found: tuple[FollowUp, ...] = (),
    ) -> SearchResult:
        spent = (time.perf_counter() - start) * 1000
        warning = self.matcher.warning_for(self.encoder.fingerprint) if found else None
        notes = () if asked is None else asked.notes
        recognition = UNKNOWN_SLICE if asked is None else asked.recognition
        told = (*notes, *self._notices, *recognition.warnings)
        result = SearchResult(
            box=None if asked is None else asked.box,
            box_source=None if asked is None else asked.box_source,
            hits=hits,
            follow_ups=found,
            candidates=() if asked is None else asked.candidates,
            encoder=_identity(self.encoder),
            index={"lesions": self.index.count()},
            timing_ms=replace(Timing() if asked is None else asked.timing, search=spent),
            warnings=told if warning is None else (*told, warning),
            recognised=recognition.mark,
            location=None if asked is None else asked.known.lesion.location,
            location_error=None if asked is None else asked.known.lesion.location_error,
            words=None if asked is None else self._words(asked.query),
        )
        if asked is None or asked.shown_in is None:
            return result
        return result.on_display(asked.shown_in)


def open_engine(
    index: Path,
    models: ModelFiles | None = None,
    *,
    milvus: MilvusSettings | None = None,
    approximate: bool = False,
    write_wait_s: float = 30.0,
) -> SearchEngine:
    """The engine of an index on disk, with the encoder that filled it; the bundled models if None.

    With ``milvus`` the vectors are searched there, with ``approximate`` in the approximate form
    that the index holds. A change waits ``write_wait_s`` for another program's.

    Raises:
        EncoderError: the encoder cannot be loaded.
        DetectorError: the detector cannot.
        TrackingError: the matcher cannot.
        EncoderMismatchError: the index holds another encoder's vectors.
        CatalogError: there is no index, or it is damaged.
        VocabularyError: the file of terms has an entry that cannot be.
        MilvusError: the Milvus server or its collection cannot be used.
        StoreError: an approximate form is asked for and there is none.
    """
    models = models or ModelFiles()
    loaded = open_encoder(models.encoder, device=models.device)
    model = load_matcher(models.matcher)
    proposer = detector_in_use(models.detector) if models.detecting else None
    opened = LesionIndex.open(
        index, binding=binding_of(loaded), milvus=milvus, write_timeout_s=write_wait_s
    )
    try:
        engine = SearchEngine(
            loaded,
            opened,
            proposer,
            matcher=model,
            locator=PositionLocator(),
            approximate=approximate,
        )
        engine.words = WordSearch(opened, models.vocabulary)
        return engine
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


def _terms(asked: EmbeddedQuery, hit: Lesion) -> HitTerms:
    """The terms of one hit; what the query does not know of itself is estimated."""
    lesion = asked.known.lesion
    if lesion.long_mm is None:
        lesion = lesion.with_changes(long_mm=asked.estimated_long_mm)
    return HitTerms.between(lesion, lesion.location, hit)
