"""The HTTP routes of the PACS's study list: search it, open a series, send a report back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Query

from retrieval.grid import Grid
from retrieval.lesion import LesionType
from service.decoding.identity import IdentifiedImage
from service.engine.measuring import MEASURED_DEPTH_MM, measure_marked
from service.http.dependencies import PROBLEMS, Service
from service.http.guards.audit import note
from service.http.routes.exchange.reports import ReportForm
from service.http.routes.uploads import held_json
from service.http.schemas.pacs import (
    PacsReferenceIn,
    PacsReportOut,
    PacsSeriesOut,
    PacsStudyListOut,
    PacsStudySearch,
    Uid,
)
from service.http.schemas.search import Problem
from service.http.schemas.viewer import UploadOut
from service.http.uploads.query_images import image_of

if TYPE_CHECKING:
    from service.pacs.series import PacsReference

study_router = APIRouter(
    tags=["dicomweb"],
    responses={
        **PROBLEMS,
        404: {"model": Problem, "description": "The PACS does not have it"},
        502: {"model": Problem, "description": "The PACS does not answer"},
    },
)


@study_router.get("/v1/dicomweb/studies", response_model=PacsStudyListOut)
def studies(service: Service, asked: Annotated[PacsStudySearch, Query()]) -> dict[str, Any]:
    """The CT studies of the configured PACS, the newest first; at least one field is given."""
    pacs = service.pacs.client()
    from service.pacs.browsing.studies import MOST_STUDIES, StudyQuery, list_studies

    with service.pacs.talking():
        found = list_studies(
            pacs,
            StudyQuery(
                patient_id=asked.patient,
                study_uid=asked.study,
                first=asked.first,
                last=asked.last,
                accession_number=asked.accession,
                description=asked.description,
            ),
        )
    note("patient", *(one.patient_id for one in found if one.patient_id))
    return {
        "studies": [one.to_json() for one in found],
        "is_cut": len(found) >= MOST_STUDIES,
    }


@study_router.get("/v1/dicomweb/studies/{study_uid}/series", response_model=list[PacsSeriesOut])
def series(service: Service, study_uid: Uid) -> list[dict[str, Any]]:
    """The CT series of a study, the longest first."""
    pacs = service.pacs.client()
    from service.pacs.browsing.studies import ct_series_of

    with service.pacs.talking():
        found = ct_series_of(pacs, study_uid)
    return [
        {
            "series_instance_uid": one.series_uid,
            "description": one.description,
            "instances": one.instances,
        }
        for one in found
    ]


@study_router.post("/v1/dicomweb/uploads", response_model=UploadOut, status_code=201)
def hold(service: Service, asked: PacsReferenceIn, grid: Grid = Grid.FILE) -> dict[str, Any]:
    """Hold a series of the PACS in memory as an upload, to look through it and search from it."""
    pacs = service.pacs.client()
    note("series", asked.series_instance_uid)
    from service.pacs.browsing.studies import open_pacs_series

    with service.pacs.talking():
        image = open_pacs_series(pacs, _reference(asked))
    note("patient", None if image.identity is None else image.identity.patient_id)
    return held_json(service, image, grid)


@study_router.post("/v1/dicomweb/uploads/report", response_model=PacsReportOut, status_code=201)
def store_report(
    service: Service, form: Annotated[ReportForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Store the report of a mark in the PACS, beside the images that it is on.

    The study must be in the PACS already, under the same patient.
    """
    pacs = service.pacs.client()
    from service.pacs.reports.own import stored_report_of_mark

    query, lesion_type = form.query(), LesionType.parse(form.lesion_type)
    with service.computing():
        image = image_of(service, form, half_depth_mm=MEASURED_DEPTH_MM)
        note("patient", None if image.identity is None else image.identity.patient_id)
        found = measure_marked(query, image.slab) if form.measured else None
    identified = IdentifiedImage(image.slab, image.identity)
    with service.pacs.talking():
        made = stored_report_of_mark(
            pacs, identified, query, lesion_type=lesion_type, measured=found
        )
    return made.to_json(stored=True)


def _reference(asked: PacsReferenceIn) -> PacsReference:
    from service.pacs.series import PacsReference

    return PacsReference(
        asked.series_instance_uid,
        asked.study_instance_uid,
        asked.sop_instance_uid,
        asked.key_slice_index,
    )
