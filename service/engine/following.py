"""An indexed lesion found again in a series that nobody has marked, as the engine does it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache

from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.pixel_hash import is_identifying, pixel_hash
from retrieval.position.locator import BodyLocator
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.findings import Following
from retrieval.tracking.following.model import bundled_follow_model
from retrieval.tracking.following.registration import Registration, is_registration_there
from retrieval.tracking.following.search import FollowTools, IndexedLesion, find_again
from retrieval.tracking.searched import SearchedStudy
from service.engine.search_engine import SearchEngine

NOT_KEPT = (
    "the study of the series is not known: the search is not kept, and nothing rests on it; name "
    "the study"
)
OWN_DEPTH_MM = 60.0
"""Slices of the indexed lesion's own scan are read this far from its key slice."""


class OtherPatientError(LesionSearchError):
    """A series of another patient than the lesion's."""


class SameStudyError(LesionSearchError):
    """A series of the very study in which the lesion is marked."""


@dataclass(frozen=True)
class FollowRequest:
    """What is followed, and whose the series is.

    Attributes:
        lesion_id: the indexed lesion.
        patient_id: of the series by its files, None where they do not say it.
        study_id: the same for its study.
        study_date: and for the day of it.
        own: the slices about the indexed lesion, it being on the key slice; None where they are
            not at hand.
        registering: whether both scans may be registered, if SimpleITK is installed.
    """

    lesion_id: str
    patient_id: str | None = None
    study_id: str | None = None
    study_date: date | None = None
    own: Slab | None = None
    registering: bool = True


def follow(engine: SearchEngine, wanted: FollowRequest, slab: Slab) -> Following:
    """Where the lesion is in a series of its patient; a proposal, until a reader accepts it.

    Raises:
        UnknownLesionError: the index does not hold the lesion.
        OtherPatientError: the series is another patient's, by its files or by indexed pixels.
        SameStudyError: the series is of the study in which the lesion is marked.
        FollowError: one slice, no body, or nothing tells where the lesion lies.
    """
    record = engine.index.get(wanted.lesion_id)
    lesion = record.lesion
    _check_patient(engine, wanted, slab)
    others = [
        TrackNode(one.lesion, one.vector)
        for one in engine.index.patient(lesion.patient_id)
        if one.lesion.study_id == lesion.study_id and one.lesion.lesion_id != lesion.lesion_id
    ]
    sought = IndexedLesion(
        TrackNode(lesion, record.vector), record.source.spacing_mm_px, others, wanted.own
    )
    tools = FollowTools(engine.encoder, engine.matcher, _locator(), engine.detector)
    placing = None
    if wanted.own is not None and wanted.registering and is_registration_there():
        placing = Registration(lesion, wanted.own, slab)
    found = find_again(sought, slab, tools, placing=placing)
    warning = tools.model.warning_for(engine.encoder.fingerprint)
    told = [*slab.notes, *found.warnings, *_missing(wanted), *([warning] if warning else [])]
    return replace(
        found,
        warnings=tuple(told),
        study_id=wanted.study_id,
        study_date=wanted.study_date,
    )


def keep_search(engine: SearchEngine, found: Following, slab: Slab) -> SearchedStudy | None:
    """Keeps what was found in the index, over an earlier search of the same series.

    Returns what is kept now; None where the study of the series is not known, so that nothing can
    rest on the search. Slices and box are in the slab's file grid.
    """
    if found.study_id is None:
        return None
    model = f"{engine.encoder.fingerprint}/{bundled_follow_model().fingerprint}"
    search = replace(
        SearchedStudy.of_document(found.to_json()),
        series=series_hash(slab),
        model=model,
        searched_at=datetime.now(UTC).replace(microsecond=0),
    )
    engine.index.searches.keep([search])
    return search


def series_hash(slab: Slab) -> str:
    """Names a series by the pixels of its slices, whatever their order, files or format."""
    planes = sorted(pixel_hash(plane) for plane in slab.as_displayed().hu)
    return hashlib.sha256("".join(planes).encode()).hexdigest()[:16]


def _missing(wanted: FollowRequest) -> list[str]:
    if wanted.own is None:
        return [
            "the indexed lesion's own slices are not at hand: the place is that of its location "
            "alone"
        ]
    return []


def check_whose(lesion: Lesion, wanted: FollowRequest) -> None:
    """Raises OtherPatientError or SameStudyError by what the series' files say."""
    if wanted.patient_id is not None and wanted.patient_id != lesion.patient_id:
        raise OtherPatientError(
            f"the series is of patient {wanted.patient_id} by its files, lesion "
            f"{lesion.lesion_id} of patient {lesion.patient_id}: give a series of that patient"
        )
    if lesion.study_id == wanted.study_id:
        raise _same_study(lesion)


def _check_patient(engine: SearchEngine, wanted: FollowRequest, slab: Slab) -> None:
    lesion = engine.index.get(wanted.lesion_id).lesion
    check_whose(lesion, wanted)
    indexed = _indexed_studies(engine, slab)
    patients = {patient for patient, _ in indexed}
    if patients and lesion.patient_id not in patients:
        raise OtherPatientError(
            f"slices of this series are indexed as patient {', '.join(sorted(patients))}, lesion "
            f"{lesion.lesion_id} is of patient {lesion.patient_id}: give a series of that patient"
        )
    if lesion.study_id in {study for _, study in indexed}:
        raise _same_study(lesion)


def _same_study(lesion: Lesion) -> SameStudyError:
    return SameStudyError(
        f"the series is of study {lesion.study_id}, in which lesion {lesion.lesion_id} is "
        "marked: give a series of another study"
    )


def _indexed_studies(engine: SearchEngine, slab: Slab) -> set[tuple[str, str]]:
    """(patient, study) of every indexed key slice that is among the series' slices."""
    return {
        (record.lesion.patient_id, record.lesion.study_id)
        for plane in slab.hu
        if is_identifying(plane)
        for record in engine.index.with_pixels(pixel_hash(plane))
    }


@cache
def _locator() -> BodyLocator:
    """The bundled one, loaded when a lesion is followed for the first time."""
    return BodyLocator.load()
