"""The lesion graph of one patient: which lesions of several studies are the same, and since when.

``track_patient`` takes all of a patient's lesions and gives their tracks; ``follow_ups`` looks from
one query lesion at every other study. Both abstain: a match whose probability lies in the model's
band is ``uncertain``. Pure functions; nothing is read or kept. Research use only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.lesion import Lesion
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.patient_timeline import PatientEvidence, PatientTimeline
from retrieval.tracking.track_types import FollowUp, PatientTracks

SAME_MARK_IOU = 0.5
"""A stored lesion of the query's own study whose box overlaps more is the query itself."""

SAME_APPEARANCE = 0.95
"""So is the one whose cosine is the highest, if it is at least this. A lesion and its next slice,
marked anew and with noise added, reach it in one case of ten; different lung nodules of one scan
have a median of 0.52, and 19 of 20 are below 0.79."""


def track_patient(
    nodes: Sequence[TrackNode],
    *,
    model: MatcherModel | None = None,
    known: PatientEvidence | None = None,
) -> PatientTracks:
    """The lesion tracks of one patient.

    Args:
        nodes: all lesions of the patient, in any order.
        model: the matcher; the bundled one if None.
        known: a reader's decisions, which hold whatever the scores are, and the studies whose
            marks are complete; neither if None. Decisions that name a lesion not among the nodes
            have no effect.

    Raises:
        TrackingError: for lesions of several patients, a repeated lesion, or unusable vectors.
        MatchConflictError: for decisions that contradict each other.
    """
    timeline = PatientTimeline.of(nodes, model or bundled_matcher(), known or PatientEvidence())
    return timeline.patient_tracks()


def follow_ups(
    query_node: TrackNode,
    nodes: Sequence[TrackNode],
    *,
    model: MatcherModel | None = None,
    known: PatientEvidence | None = None,
) -> list[FollowUp]:
    """What became of the query lesion in every other study of its patient, in study order.

    ``nodes`` are the patient's stored lesions, with or without the query; one with the query's id,
    or of its study with almost its box or just its looks, is the query itself and competes with
    nobody. The other arguments and the errors are those of ``track_patient``.
    """
    copies = _copies_of(query_node, nodes)
    others = [node for node in nodes if node.lesion.lesion_id not in copies]
    timeline = PatientTimeline.of(
        [query_node, *others], model or bundled_matcher(), known or PatientEvidence()
    )
    return timeline.follow_ups_of(query_node.lesion.lesion_id)


def match_scores(
    nodes: Sequence[TrackNode], *, model: MatcherModel | None = None
) -> dict[tuple[str, str], float]:
    """The probability of every pair of lesions of different studies, the earlier lesion first.

    As in ``track_patient``, for those who measure it; the errors are the same.
    """
    timeline = PatientTimeline.of(nodes, model or bundled_matcher(), PatientEvidence())
    ids = [node.lesion.lesion_id for node in timeline.nodes]
    return {
        (ids[a], ids[b]): timeline.joined_score(a, b)
        for a, earlier in enumerate(timeline.study_of)
        for b, later in enumerate(timeline.study_of)
        if earlier < later
    }


def _copies_of(query: TrackNode, nodes: Sequence[TrackNode]) -> set[str]:
    """Ids of the stored lesions that are the query's own mark."""
    marks = {x.lesion.lesion_id for x in nodes if _same_mark(query.lesion, x.lesion)}
    study_id = query.lesion.study_id
    shape = query.vector.shape
    own = [
        node
        for node in nodes
        if study_id != "" and node.lesion.study_id == study_id and node.vector.shape == shape
    ]
    if marks or not own:
        return marks
    cosines = [_cosine(query, node) for node in own]
    best = int(np.argmax(cosines))
    return {own[best].lesion.lesion_id} if cosines[best] >= SAME_APPEARANCE else set()


def _cosine(a: TrackNode, b: TrackNode) -> float:
    lengths = float(np.linalg.norm(a.vector) * np.linalg.norm(b.vector))
    return float(a.vector @ b.vector) / lengths if lengths > 0 else -1.0


def _same_mark(query: Lesion, stored: Lesion) -> bool:
    if query.lesion_id == stored.lesion_id:
        return True
    same_study = query.study_id != "" and query.study_id == stored.study_id
    return same_study and (
        query.key_slice_index == stored.key_slice_index
        and query.box.iou(stored.box) >= SAME_MARK_IOU
    )
