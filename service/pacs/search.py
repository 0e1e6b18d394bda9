"""A query by DICOMweb reference: slices from the PACS in, hits and follow-ups out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from index.filters.lesion_filter import LesionFilter
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, Recist
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.track_types import FollowUp
from retrieval.tracking.tracks import follow_ups
from service.deid.pseudonyms import OwnIdentities
from service.engine.query_box import MarkedBox, embed_boxes
from service.engine.query_node import QUERY_ID, query_node, with_what_is_known
from service.engine.results import SearchResult
from service.engine.search_engine import SearchEngine
from service.pacs.client import PacsClient
from service.pacs.follow_ups import (
    FollowUpFinder,
    MarkSource,
    PacsLesion,
    PatientLesions,
    StudyInPacs,
    pacs_lesion,
)
from service.pacs.patient import PatientInPacs
from service.pacs.proposals import QueryPlace
from service.pacs.series import PacsReference, PacsSeries, find_series, read_slab

OWN_IDS = (
    "no pseudonym key is configured: patient, study and series ids in this answer are the PACS's "
    "own"
)


@dataclass(frozen=True)
class PacsQuery:
    """What is asked: an image in the PACS, how the lesion is marked, and how many hits of which.

    Without box, mark and point the detector proposes.
    """

    reference: PacsReference
    box: Box | None = None
    recist: Recist | None = None
    point: tuple[float, float] | None = None
    k: int = 10
    where: LesionFilter = field(default_factory=LesionFilter)


@dataclass(frozen=True)
class PacsAnswer:
    """The answer to a query by reference.

    Attributes:
        result: as the engine answers, with the follow-ups found in the PACS.
        lesion: the query under the answers' names.
        key: the query where it lies; its node carries what is known of it.
        patient: the patient in the PACS, for who goes on to report.
        others: every lesion of the PACS that took part, by its id.
        studies: what was found of each other study.
    """

    result: SearchResult
    lesion: Lesion
    key: PacsLesion
    patient: PatientInPacs
    others: Mapping[str, PacsLesion]
    studies: tuple[StudyInPacs, ...]

    def to_json(self) -> dict[str, Any]:
        """The engine's document with ``query``, the lesion, and ``pacs``, the other studies."""
        own = isinstance(self.patient.pacs.identities, OwnIdentities)
        return {
            **self.result.to_json(),
            "query": self.lesion.to_json(),
            "pacs": {
                "identifiers": "own" if own else "pseudonyms",
                "studies": [study.to_json() for study in self.studies],
            },
        }


def search_pacs(engine: SearchEngine, pacs: PacsClient, query: PacsQuery) -> PacsAnswer:
    """Searches for a lesion that lies in the PACS.

    Hits are of other patients, from the index. Follow-ups are of the patient's other studies in
    the PACS and in the index. Errors are those of ``SearchEngine.search``, PacsError and
    PacsLimitError.
    """
    start = time.perf_counter()
    series = find_series(pacs, query.reference)
    patient = PatientInPacs(pacs, series)
    position = series.position_of(query.reference)
    detecting = query.box is None and query.recist is None
    depth = engine.half_depth_mm(detecting=detecting)
    slab = read_slab(pacs, series, position, half_depth_mm=depth)
    read_ms = (time.perf_counter() - start) * 1000
    result = engine.search(
        slab,
        query.box,
        recist=query.recist,
        point=query.point,
        k=query.k,
        where=_others_only(query.where, patient.patient_id),
    ).with_read_time(read_ms)
    assert result.box is not None
    named = pacs_lesion(patient, series, position, result.box)
    embedding, _ = embed_boxes(engine.encoder, slab, [result.box])
    node = query_node(_query_lesion(slab, result, query.recist, named), embedding, 0)
    lesions = _collect(engine, patient, series, (slab, node))
    known = with_what_is_known(node, [one.lesion for one in lesions.nodes])
    node = _remeasured(known, node.lesion) if query.recist is not None else known
    found = _follow_ups(engine, node, lesions)
    warnings = [*result.warnings, *_warnings(engine, pacs, found)]
    key = _key(lesions, PacsLesion(node, series, position, query.recist))
    return PacsAnswer(
        replace(result, follow_ups=found, warnings=tuple(dict.fromkeys(warnings))),
        node.lesion,
        key,
        patient,
        lesions.found,
        lesions.studies,
    )


def _others_only(where: LesionFilter, patient_id: str | None) -> LesionFilter:
    if patient_id is None:
        return where
    return replace(where, excluded_patients=where.excluded_patients | {patient_id})


def _query_lesion(slab: Slab, result: SearchResult, recist: Recist | None, named: Lesion) -> Lesion:
    """The query under the PACS's names, with its mark's diameters or the detector's estimate."""
    marked = MarkedBox.given(slab, None, recist)
    lesion = named.with_changes(lesion_id=QUERY_ID)
    if marked is not None:
        return lesion.with_changes(long_mm=marked.long_mm, short_mm=marked.short_mm)
    for candidate in result.candidates:
        if candidate.box == result.box:
            tags = (MarkSource.DETECTOR.value, f"{candidate.score:.3f}")
            return lesion.with_changes(long_mm=candidate.long_mm, tags=tags)
    return lesion


def _remeasured(known: TrackNode, asked: Lesion) -> TrackNode:
    """What is known of a stored mark, with the mark that was asked with: it is the newer one."""
    lesion = known.lesion.with_changes(
        box=asked.box, long_mm=asked.long_mm, short_mm=asked.short_mm
    )
    return replace(known, lesion=lesion)


def _key(lesions: PatientLesions, asked: PacsLesion) -> PacsLesion:
    """The query as a lesion of the PACS, with what a report has told of the same mark."""
    lesion = asked.node.lesion
    same = lesions.found.get(lesion.lesion_id)
    if same is not None:
        return replace(asked, recist=asked.recist or same.recist, track_uid=same.track_uid)
    return replace(asked, estimated=MarkSource.DETECTOR.value in lesion.tags)


def _collect(
    engine: SearchEngine,
    patient: PatientInPacs,
    series: PacsSeries,
    query: tuple[Slab, TrackNode],
) -> PatientLesions:
    slab, node = query
    height = 0.5 if node.location_estimate is None else node.location_estimate[2]
    place = QueryPlace.of(slab, node.lesion.box, height)
    return FollowUpFinder(engine, patient).collect(series, place)


def _follow_ups(
    engine: SearchEngine, node: TrackNode, lesions: PatientLesions
) -> tuple[FollowUp, ...]:
    """The product's own follow-ups; a study that only a detector looked at is never complete."""
    known = lesions.case.known
    marked = {
        study_id
        for study_id in known.complete
        if lesions.source_of(study_id) is not MarkSource.DETECTOR
    }
    known = replace(known, complete=frozenset(marked))
    return tuple(follow_ups(node, lesions.nodes, model=engine.matcher, known=known))


def _warnings(engine: SearchEngine, pacs: PacsClient, found: Sequence[FollowUp]) -> list[str]:
    told = [engine.matcher.warning_for(engine.encoder.fingerprint)] if found else []
    told.append(OWN_IDS if isinstance(pacs.identities, OwnIdentities) else None)
    return [warning for warning in told if warning is not None]
