"""The HTTP routes: each reads its request, asks the engine, and answers with DESIGN's JSON.

Handlers are plain functions, so FastAPI runs them on threads and the event loop stays free; the
service's gate bounds how many of them compute at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import JSONResponse

from index.catalog.reader import UNSURE, Surest
from retrieval.lesion import Lesion
from service.engine.query import LesionQuery
from service.engine.results import SearchResult
from service.figures.etags import cached, not_modified
from service.http.dependencies import (
    PROBLEMS,
    After,
    Limit,
    RequestError,
    Service,
    Where,
    filter_of,
    within_limits,
)
from service.http.forms import SearchForm
from service.http.guards.audit import note
from service.http.schemas.search import LesionOut, LesionPage, SearchOut, WordSearchOut
from service.http.uploads.query_images import image_of

router = APIRouter(responses=PROBLEMS)
ORDERS = "by their ids, or by the confidence of their category, the surest first"


@router.post("/v1/search", tags=["search"], response_model=WordSearchOut | SearchOut)
def search(
    service: Service, form: Annotated[SearchForm, Form(media_type="multipart/form-data")]
) -> Response:
    """Search from an image with its lesion marked, an indexed lesion, a vector, or by words."""
    given = (form.lesion_id, form.vector, form.upload_id, form.uploads or None)
    is_words_alone = bool(form.text) and not any(one is not None for one in given)
    if not is_words_alone and sum(one is not None for one in given) != 1:
        raise RequestError(
            "send exactly one of: an image as `file` or `files`, an `upload_id`, a `lesion_id`, "
            "a `vector`; or words alone as `text`"
        )
    query = within_limits(service, form.query())
    note("lesion", form.lesion_id)
    note("patient", form.patient_id)
    with service.computing():
        if is_words_alone or query.lesion_id is not None or query.vector is not None:
            return _answer(service.engine.search(query))
        depth = service.engine.half_depth_mm(detecting=not query.is_marked)
        image = image_of(service, form, half_depth_mm=depth)
        found = service.engine.search(query, image.slab)
    return _answer(found.with_read_time(image.read_ms))


@router.get("/v1/lesions", tags=["lesions"], response_model=LesionPage)
def lesions(
    service: Service,
    where: Where = None,
    after: After = "",
    limit: Limit = 50,
    order: Annotated[Literal["id", "surest"], Query(description=ORDERS)] = "id",
) -> dict[str, Any]:
    """Indexed lesions page by page, by their ids or the surest of their category first."""
    place = after if order == "id" else _surest_after(after)
    page = service.engine.index.page(place, limit, filter_of(where))
    note("patient", *(lesion.patient_id for lesion in page))
    return {
        "lesions": [lesion.to_json() for lesion in page],
        "next_after": _next_after(page[-1], order) if len(page) == limit else None,
    }


def _surest_after(after: str) -> Surest:
    """The place that an answer's ``next_after`` names: "confidence id"; raises RequestError."""
    if not after:
        return Surest()
    told, _, lesion_id = after.partition(" ")
    try:
        confidence = float(told)
    except ValueError:
        confidence = float("nan")
    if not lesion_id or not (0 <= confidence <= 1 or confidence == UNSURE):
        raise RequestError(
            f"after is {after!r}: send the last page's next_after, of the same order: a confidence "
            f"in [0, 1], or {UNSURE} where there is none, a space and a lesion's id"
        )
    return Surest(confidence, lesion_id)


def _next_after(last: Lesion, order: str) -> str:
    place = Surest.after(last)
    return last.lesion_id if order == "id" else f"{place.confidence!r} {place.lesion_id}"


@router.get("/v1/lesions/{lesion_id}", tags=["lesions"], response_model=LesionOut)
def lesion(service: Service, lesion_id: str) -> dict[str, Any]:
    """One indexed lesion."""
    found = service.engine.index.get(lesion_id).lesion
    note("patient", found.patient_id)
    return found.to_json()


@router.get("/v1/lesions/{lesion_id}/similar", tags=["lesions"], response_model=SearchOut)
def similar(
    service: Service, lesion_id: str, k: Annotated[int, Query(ge=1)] = 10, where: Where = None
) -> Response:
    """Similar lesions of other patients, and this one in its own patient's other studies."""
    query = within_limits(service, LesionQuery.parse(lesion_id=lesion_id, k=k, where=where))
    with service.computing():
        return _answer(service.engine.search(query))


@router.get(
    "/v1/lesions/{lesion_id}/image.png",
    tags=["lesions"],
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}},
        304: {"description": "The client has this picture already"},
    },
)
def image(request: Request, service: Service, lesion_id: str) -> Response:
    """The lesion on its key slice under its type's window, 120 mm wide, its box drawn."""
    etag = service.pictures.etag(lesion_id)
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    with service.computing():
        png = service.pictures.png(lesion_id)
    return Response(png, media_type="image/png", headers=cached(etag))


def _answer(result: SearchResult) -> Response:
    note("patient", *(hit.lesion.patient_id for hit in result.hits))
    note("patient", *(found.lesion.patient_id for found in result.follow_ups if found.lesion))
    # Already in the form of SearchOut (a test holds it to that): checking it again, on another
    # thread, would take longer than the search.
    return JSONResponse(result.to_json())
