"""The HTTP routes of the PACS: a query by reference, and a report stored back.

The PACS is the operator's: its URL and credentials come from the environment, and a request has
no field for a host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from service.engine.query import LesionQuery
from service.http.dependencies import PROBLEMS, RequestError, Service, within_limits
from service.http.guards.audit import note
from service.http.problems import problem
from service.http.routes.exchange.studies import study_router
from service.http.schemas.pacs import (
    PacsReferenceIn,
    PacsReportIn,
    PacsReportOut,
    PacsSearchIn,
    PacsSearchOut,
)
from service.http.schemas.search import Problem
from service.pacs.access import PacsBusyError
from service.pacs.errors import PacsUnavailableError, UnknownReferenceError
from service.pacs.settings import PacsSettingsError

if TYPE_CHECKING:
    from service.pacs.search import PacsQuery

dicomweb_router = APIRouter(
    tags=["dicomweb"],
    responses={
        **PROBLEMS,
        404: {"model": Problem, "description": "The PACS does not have it"},
        502: {"model": Problem, "description": "The PACS does not answer"},
    },
)


def install_dicomweb(app: FastAPI) -> None:
    """Adds the routes and the problems they may answer."""
    app.include_router(dicomweb_router)
    app.include_router(study_router)
    app.add_exception_handler(UnknownReferenceError, _on_unknown)
    app.add_exception_handler(PacsUnavailableError, _on_unavailable)
    app.add_exception_handler(PacsBusyError, _on_busy)
    app.add_exception_handler(PacsSettingsError, _on_busy)


@dicomweb_router.post("/v1/dicomweb/search", response_model=PacsSearchOut)
def search(service: Service, asked: PacsSearchIn) -> dict[str, Any]:
    """Similar lesions of one in the PACS, and what became of it in the patient's other studies."""
    query = _query(asked, within_limits(service, asked.query()))
    pacs = service.pacs.client()
    note("series", asked.series_instance_uid)
    from service.pacs.search import search_pacs

    with service.pacs.talking():
        return search_pacs(service.engine, pacs, query).to_json()


@dicomweb_router.post("/v1/dicomweb/reports", response_model=PacsReportOut, status_code=201)
def reports(service: Service, asked: PacsReportIn) -> dict[str, Any]:
    """Store a lesion and its follow-ups in the PACS as a structured report (TID 1500)."""
    pacs = service.pacs.client()
    note("series", asked.series_instance_uid)
    from service.pacs.reports.tracks import report_of_patient, report_of_query
    from service.pacs.search import search_pacs

    query = _query(asked, asked.query())
    with service.pacs.talking():
        if asked.all_tracks:
            made = report_of_patient(service.engine, pacs, query.reference)
        else:
            made = report_of_query(search_pacs(service.engine, pacs, query))
        pacs.store(made.datasets)
    return made.to_json(stored=True)


def _query(asked: PacsReferenceIn, query: LesionQuery) -> PacsQuery:
    from service.pacs.search import PacsQuery
    from service.pacs.series import PacsReference

    if asked.sop_instance_uid is not None and asked.key_slice_index is not None:
        raise RequestError("send `sop_instance_uid` or `key_slice_index`, not both")
    reference = PacsReference(
        asked.series_instance_uid,
        asked.study_instance_uid,
        asked.sop_instance_uid,
        asked.key_slice_index,
    )
    return PacsQuery(reference, query, asked.assume_hu)


async def _on_unknown(_: Request, error: Exception) -> JSONResponse:
    return problem(404, " ".join(str(error).split()))


async def _on_unavailable(_: Request, error: Exception) -> JSONResponse:
    return problem(502, " ".join(str(error).split()))


async def _on_busy(_: Request, error: Exception) -> JSONResponse:
    return problem(503, " ".join(str(error).split()))
