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
from retrieval.tracking.tracks import SAME_MARK_IOU
from service.engine.query import LesionQuery
from service.engine.query_box import MarkedBox
from service.engine.results import BoxSource, Candidate, Timing

QUERY_ID = "query"
"""The lesion id that stands for a query image's own lesion; no archive uses it."""


@dataclass(frozen=True)
class EmbeddedQuery:
    """A query whose lesion has its box and its vector: all that the index needs to answer.

    Attributes:
        query: what was asked.
        node: the lesion as it was asked with.
        known: the lesion as its patient's other lesions tell of it; ``node`` until ``among``.
        box_source: where its box came from.
        candidates: every box the detector proposed, best first; empty when a box was given.
        estimated_long_mm: of the box, where no diameter is known.
        timing: what detecting, cutting and embedding took.
        notes: what a reader should know of how the image was read.
        shown_in: the image's map if the answer is wanted in its display grid; None for the file's.
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

    @classmethod
    def of(cls, query: LesionQuery, marked: MarkedBox, slab: Slab, embedding: Embedding) -> Self:
        """The lesion in a box of the slab's key slice, whose row of the embedding is the first.

        Its diameters are known only under a RECIST mark.
        """
        lesion = Lesion(
            lesion_id=QUERY_ID,
            patient_id=query.patient_id or "",
            study_id=query.study_id or "",
            series_id="",
            key_slice_index=slab.key_slice_index,
            box=marked.box,
            long_mm=marked.long_mm,
            short_mm=marked.short_mm,
        )
        node = query_node(lesion, embedding)
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

    def under_names(self, lesion: Lesion) -> Self:
        """The same query under other names and with what else is known of its lesion."""
        node = replace(self.node, lesion=lesion)
        return replace(self, node=node, known=node)

    def among(self, stored: Sequence[Lesion]) -> Self:
        """The same query as the patient's stored lesions know it; see ``with_what_is_known``."""
        return replace(self, known=with_what_is_known(self.node, stored))


def query_node(lesion: Lesion, embedding: Embedding) -> TrackNode:
    """The lesion with the first row of the embedding."""
    x, y, z = (float(value) for value in embedding.locations[0])
    return TrackNode(lesion, embedding.vectors[0], (x, y, z))


def with_what_is_known(node: TrackNode, stored: Sequence[Lesion]) -> TrackNode:
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
