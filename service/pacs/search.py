"""A query by DICOMweb reference: slices from the PACS in, hits and follow-ups out.

Or an indexed lesion and the reference of another series of its patient: where it is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retrieval.image import Slab
from retrieval.lesion import Lesion
from retrieval.tag import given_tags
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.findings import Following
from service.deid.pseudonyms import OwnIdentities
from service.engine.following import (
    OWN_DEPTH_MM,
    FollowRequest,
    check_whose,
    follow,
    keep_search,
)
from service.engine.query import LesionQuery
from service.engine.query_node import QUERY_ID, EmbeddedQuery
from service.engine.results import BoxSource, SearchResult
from service.engine.search_engine import SearchEngine
from service.pacs.answers import FoundInPacs, Identifiers, MarkSource, StudyInPacs
from service.pacs.client import PacsClient
from service.pacs.errors import PacsError
from service.pacs.follow_ups import (
    FollowUpFinder,
    PacsLesion,
    PatientLesions,
    pacs_lesion,
)
from service.pacs.patient import PatientInPacs
from service.pacs.proposals import QueryPlace
from service.pacs.series import PacsReference, PacsSeries, find_series, read_slab

OWN_IDS = (
    "no pseudonym key is configured: patient, study and series ids in this answer are the PACS's "
    "own"
)


WHOLE_SERIES_MM = 1e6
"""A depth that no series reaches."""


@dataclass(frozen=True)
class PacsQuery:
    """What is asked: an image in the PACS, and the query of a lesion on it.

    Whose image it is the PACS tells; the query's own patient and study do not matter.
    ``assume_hu`` takes its values for HU, whatever header and histogram say.
    """

    reference: PacsReference
    lesion: LesionQuery = field(default_factory=LesionQuery)
    assume_hu: bool = False


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
            "pacs": FoundInPacs(
                Identifiers.OWN if own else Identifiers.PSEUDONYMS, self.studies
            ).to_json(),
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
    depth = engine.half_depth_mm(detecting=not query.lesion.is_marked)
    slab = read_slab(pacs, series, position, half_depth_mm=depth, assume_hu=query.assume_hu)
    read_ms = (time.perf_counter() - start) * 1000
    study_id = patient.study_id(series.study)
    asked = replace(query.lesion, patient_id=patient.patient_id, study_id=study_id)
    found = engine.embed(asked, slab)
    found = found.under_names(_named(found, pacs_lesion(patient, series, position, found.box)))
    lesions = _collect(engine, patient, series, (slab, found))
    found = found.among([one.lesion for one in lesions.nodes])
    node = _remeasured(found.known, found.node.lesion) if asked.recist is not None else found.known
    found = replace(found, known=node)
    result = engine.answer(found, lesions.patient()).with_read_time(read_ms)
    if isinstance(pacs.identities, OwnIdentities):
        result = replace(result, warnings=(*result.warnings, OWN_IDS))
    key = _key(lesions, PacsLesion(node, series, position, asked.recist))
    return PacsAnswer(
        result,
        node.lesion,
        key,
        patient,
        lesions.found,
        lesions.studies,
    )


def follow_in_pacs(
    engine: SearchEngine,
    pacs: PacsClient,
    lesion_id: str,
    reference: PacsReference,
    *,
    keep: bool = False,
) -> Following:
    """Where an indexed lesion is in a series of its patient in the PACS; a proposal.

    The lesion's own slices come from the PACS as well, where it has them under the index's ids.
    Boxes are in the file grid of the series, slices by their positions in it. With ``keep`` the
    search is kept in the index.

    Raises:
        UnknownLesionError: the index does not hold the lesion.
        OtherPatientError, SameStudyError, FollowError: as ``service.engine.following.follow``.
        PacsError: the PACS cannot bring the series.
    """
    lesion = engine.index.get(lesion_id).lesion
    series = find_series(pacs, reference)
    patient = PatientInPacs(pacs, series)
    wanted = FollowRequest(
        lesion_id,
        patient.patient_id,
        patient.study_id(series.study),
        patient.day(series.study),
        _own_slices(patient, lesion),
    )
    check_whose(lesion, wanted)
    middle = len(series.images) // 2
    slab = read_slab(pacs, series, middle, half_depth_mm=WHOLE_SERIES_MM)
    found = follow(engine, wanted, slab)
    if keep:
        keep_search(engine, found, slab)
    if isinstance(pacs.identities, OwnIdentities):
        found = replace(found, warnings=(*found.warnings, OWN_IDS))
    return found


def _own_slices(patient: PatientInPacs, lesion: Lesion) -> Slab | None:
    own = patient.by_ids(lesion.study_id, lesion.series_id)
    if own is None or lesion.key_slice_index >= len(own.images):
        return None
    try:
        return read_slab(patient.pacs, own, lesion.key_slice_index, half_depth_mm=OWN_DEPTH_MM)
    except PacsError:
        return None


def _named(asked: EmbeddedQuery, named: Lesion) -> Lesion:
    """The query under the PACS's names, with its mark's diameters or the detector's estimate."""
    lesion = named.with_changes(lesion_id=QUERY_ID)
    if asked.box_source is BoxSource.RECIST:
        own = asked.node.lesion
        return lesion.with_changes(long_mm=own.long_mm, short_mm=own.short_mm)
    for candidate in asked.candidates:
        if candidate.box == asked.box:
            tags = given_tags(MarkSource.DETECTOR.value, f"{candidate.score:.3f}")
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
    return replace(asked, estimated=MarkSource.DETECTOR.value in lesion.terms)


def _collect(
    engine: SearchEngine,
    patient: PatientInPacs,
    series: PacsSeries,
    query: tuple[Slab, EmbeddedQuery],
) -> PatientLesions:
    slab, found = query
    location = found.node.lesion.location
    place = QueryPlace.of(slab, found.box, None if location is None else location[2])
    return FollowUpFinder(engine, patient).collect(series, place)
