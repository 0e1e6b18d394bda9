"""The HTTP routes of a patient over time: lesion tracks, and a reader's decisions on matches."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from service.engine.patient_tracks import (
    Decision,
    MarkPolicy,
    UnknownPatientError,
    decide,
    declare_marks,
    report_of,
    searches_of,
)
from service.http.dependencies import PROBLEMS, Service
from service.http.guards.audit import note
from service.http.schemas.search import Problem
from service.http.schemas.tracks import (
    KeptSearchesOut,
    MarksIn,
    MarksOut,
    MatchIn,
    MatchOut,
    TracksOut,
)

track_router = APIRouter(responses=PROBLEMS, tags=["patients"])

Marks = Annotated[
    MarkPolicy,
    Query(
        description="In which studies every lesion is marked, so that one without a mark has "
        "vanished: `recorded` as the index was told, `complete` in all, `incomplete` in none"
    ),
]


@track_router.get("/v1/patients/{patient_id}/tracks", response_model=TracksOut)
def tracks(service: Service, patient_id: str, marks: Marks = MarkPolicy.RECORDED) -> dict[str, Any]:
    """The lesion tracks of one patient, the links behind them, and the response over time."""
    engine = service.engine
    with service.computing():
        try:
            report = report_of(engine.index, patient_id, model=engine.matcher, marks=marks)
        except UnknownPatientError as unknown:
            raise HTTPException(404, str(unknown)) from None
    return report.to_json()


@track_router.get("/v1/patients/{patient_id}/searches", response_model=KeptSearchesOut)
def searches(service: Service, patient_id: str) -> dict[str, Any]:
    """Where a patient's lesions were looked for by `POST /v1/follow`, and what was found.

    Slices and boxes are in the file grid of the series.
    """
    try:
        found = searches_of(service.engine.index, patient_id)
    except UnknownPatientError as unknown:
        raise HTTPException(404, str(unknown)) from None
    return {"patient_id": patient_id, "searches": [one.to_json() for one in found]}


@track_router.post("/v1/marks", response_model=MarksOut)
def marks(service: Service, wanted: MarksIn) -> dict[str, Any]:
    """Declare that every lesion of a study is marked, or take it back; it holds at once."""
    study = (wanted.patient_id, wanted.study_id)
    note("patient", wanted.patient_id)
    try:
        with service.writing():
            declare_marks(service.engine.index, study, complete=wanted.complete)
    except UnknownPatientError as unknown:
        raise HTTPException(404, str(unknown)) from None
    word = "complete" if wanted.complete else "incomplete"
    return {"patient_id": wanted.patient_id, "study_id": wanted.study_id, "marks": word}


@track_router.post(
    "/v1/matches",
    response_model=MatchOut,
    responses={409: {"model": Problem, "description": "It contradicts another decision"}},
)
def match(service: Service, wanted: MatchIn) -> dict[str, Any]:
    """Confirm or reject that two lesions are one, or take that back; it holds at once."""
    pair = (wanted.lesion_a, wanted.lesion_b)
    note("lesion", *pair)
    with service.writing():
        stored = decide(service.engine.index, pair, Decision(wanted.decision))
    first, second = sorted(pair)
    return {
        "lesion_a": first,
        "lesion_b": second,
        "verdict": None if stored is None else stored.verdict.value,
    }
