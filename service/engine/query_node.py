"""A query as a lesion among the patient's lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.embedding.encoder import Embedding
from retrieval.lesion import Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.tracks import SAME_MARK_IOU
from service.engine.query_box import MarkedBox

QUERY_ID = "query"
"""The lesion id that stands for a query image's own lesion; no archive uses it."""


def query_lesion(
    marked: MarkedBox, key_slice_index: int, patient_id: str | None, study_id: str | None
) -> Lesion:
    """The query as a lesion; its diameters are known only under a RECIST mark."""
    return Lesion(
        lesion_id=QUERY_ID,
        patient_id=patient_id or "",
        study_id=study_id or "",
        series_id="",
        key_slice_index=key_slice_index,
        box=marked.box,
        long_mm=marked.long_mm,
        short_mm=marked.short_mm,
    )


def query_node(lesion: Lesion, embedding: Embedding, position: int) -> TrackNode:
    """The lesion with its row of the embedding."""
    x, y, z = (float(value) for value in embedding.locations[position])
    return TrackNode(lesion, embedding.vectors[position], (x, y, z))


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
