"""A query as a lesion among the patient's lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from retrieval.embedding.encoder import Embedding
from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.terms.lesion_size import size_of_box
from retrieval.tracking.tracks import SAME_MARK_IOU
from service.engine.lesion_location import LesionLocator, located
from service.engine.query import LesionQuery
from service.engine.query_box import MarkedBox
from service.engine.recognition import UNKNOWN_SLICE, Recognition
from service.engine.results import BoxSource, Candidate, Timing

QUERY_ID = "query"
"""The lesion id that stands for a query image's own lesion; no archive uses it."""


@dataclass(frozen=True)
class EmbeddedQuery:
    """A query whose lesion has its box and its vector: all that the index needs to answer.

    Attributes:
        query: what was asked.
        node: the lesion as it was asked with.
        known: the lesion as the index holds it, if it was recognised, or as its patient's other
            lesions tell of it; else ``node``.
        box_source: where its box came from.
        candidates: every box the detector proposed, best first; empty when a box was given.
        estimated_long_mm: of the box, where no diameter is known.
        timing: what detecting, cutting and embedding took.
        notes: what a reader should know of how the image was read.
        shown_in: the image's map if the answer is wanted in its display grid; None for the file's.
        recognition: what the index knows of the image.
    """

    query: LesionQuery
    node: TrackNode
    known: TrackNode
    box_source: BoxSource
    candidates: tuple[Candidate, ...] = ()
    estimated_long_mm: float | None = None
    timing: Timing = field(default_factory=Timing)
    notes: tuple[str, ...] = ()
    shown_in: GridMap | None = None
    recognition: Recognition = UNKNOWN_SLICE

    @classmethod
    def of(
        cls,
        query: LesionQuery,
        marked: MarkedBox,
        slab: Slab,
        embedding: Embedding,
        locator: LesionLocator | None = None,
    ) -> Self:
        """The lesion in a box of the slab's key slice, whose row of the embedding is the first.

        Its diameters are known only under a RECIST mark; without one its size is that of the box.
        Its location is the locator's estimate.
        """
        lesion = Lesion(
            lesion_id=QUERY_ID,
            patient_id=query.patient_id or "",
            study_id=query.study_id or "",
            study_date=query.study_date,
            series_id="",
            key_slice_index=slab.key_slice_index,
            box=marked.box,
            long_mm=marked.long_mm,
            short_mm=marked.short_mm,
        )
        node = query_node(located(lesion, slab, locator), slab, embedding)
        return cls(
            query,
            node,
            node,
            marked.source,
            estimated_long_mm=marked.estimated_long_mm,
            notes=slab.notes,
        )

    @property
    def box(self) -> Box:
        """The box that is searched with."""
        return self.node.lesion.box

    def recognised(self, recognition: Recognition) -> Self:
        """The same query as the index knows its image."""
        asked = replace(self, recognition=recognition)
        if recognition.whose is not None:
            patient, study = recognition.whose
            query = replace(self.query, patient_id=patient, study_id=study)
            lesion = self.node.lesion.with_changes(patient_id=patient, study_id=study)
            asked = replace(asked, query=query).under_names(lesion)
        if recognition.record is not None and not recognition.is_contradicted:
            known = TrackNode(recognition.record.lesion, recognition.record.vector)
            asked = replace(asked, known=known)
        return asked

    def under_names(self, lesion: Lesion) -> Self:
        """The same query under other names; one that was recognised keeps the index's.

        An estimated location stays, where the other lesion has none.
        """
        own = self.node.lesion
        if lesion.location is None:
            lesion = lesion.with_changes(location=own.location, location_error=own.location_error)
        node = replace(self.node, lesion=lesion)
        return replace(self, node=node, known=self.known if self.is_recognised else node)

    @property
    def is_recognised(self) -> bool:
        """Whether ``known`` is an indexed lesion."""
        return self.recognition.record is not None and not self.recognition.is_contradicted

    def among(self, stored: Sequence[Lesion]) -> Self:
        """The same query as stored marks of its own slice know it: size, location and type.

        For marks of the same archive as the query: study and slice number are then the same names.
        """
        if self.is_recognised:
            return self
        return replace(self, known=with_what_is_known(self.node, stored))


def query_node(lesion: Lesion, slab: Slab, embedding: Embedding) -> TrackNode:
    """The lesion with the first row of the embedding, and the size of its box on the slab."""
    shown = slab.display_box(lesion.box)
    return TrackNode(lesion, embedding.vectors[0], size_of_box(shown, slab.spacing_mm_px))


def with_what_is_known(node: TrackNode, stored: Sequence[Lesion]) -> TrackNode:
    """The lesion as a stored mark of its own study, slice and box knows it."""
    query = node.lesion
    for lesion in stored:
        same_slice = (lesion.study_id, lesion.key_slice_index) == (
            query.study_id,
            query.key_slice_index,
        )
        if same_slice and lesion.box.iou(query.box) >= SAME_MARK_IOU:
            return replace(node, lesion=lesion)
    return node
