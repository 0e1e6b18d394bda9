"""The HTTP routes: each reads its request, asks the engine, and answers with DESIGN's JSON.

Handlers are plain functions, so FastAPI runs them on threads and the event loop stays free; the
service's gate bounds how many of them compute at once.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import FileResponse

from index.filters import LesionFilter
from retrieval.lesion import Box, LesionSearchError, Recist, parse_numbers
from service.engine import SearchOptions
from service.results import SearchResult
from service.schemas import Health, LesionOut, LesionPage, Problem, SearchForm, SearchOut
from service.state import ServiceState
from service.uploads import UploadOptions, read_upload

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such lesion"},
    422: {"model": Problem, "description": "A request that cannot be answered, and why"},
}

router = APIRouter(responses=PROBLEMS)


class RequestError(LesionSearchError):
    """A request whose fields do not make one query."""


def service_of(request: Request) -> ServiceState:
    """The state that ``service.app`` made at start."""
    state: ServiceState = request.app.state.service
    return state


Service = Annotated[ServiceState, Depends(service_of)]
Where = Annotated[str | None, Query(examples=["type=liver and long_mm=10..30"])]


@router.post("/v1/search", response_model=SearchOut)
def search(
    service: Service, form: Annotated[SearchForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Search from an image with its lesion marked, an indexed lesion, or a vector."""
    options = _options(service, form.k, form.where)
    if form.patient_id is not None:
        options["patient_id"] = form.patient_id
    if form.study_id is not None:
        options["study_id"] = form.study_id
    uploads = [*([form.file] if form.file is not None else []), *form.files]
    if (form.lesion_id is not None) + (form.vector is not None) + bool(uploads) != 1:
        raise RequestError(
            "send exactly one of: an image as `file` or `files`, a `lesion_id`, a `vector`"
        )
    with service.computing():
        if form.lesion_id is not None:
            result = service.engine.search_lesion(form.lesion_id, **options)
        elif form.vector is not None:
            result = service.engine.search_vector(_vector(form.vector), **options)
        else:
            result = _search_image(service, form, options)
    return result.to_json()


@router.get("/v1/lesions", response_model=LesionPage)
def lesions(
    service: Service,
    where: Where = None,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Indexed lesions in the order of their ids, page by page."""
    page = service.engine.index.page(after, limit, _filter(where))
    return {
        "lesions": [lesion.to_json() for lesion in page],
        "next_after": page[-1].lesion_id if len(page) == limit else None,
    }


@router.get("/v1/lesions/{lesion_id}", response_model=LesionOut)
def lesion(service: Service, lesion_id: str) -> dict[str, Any]:
    """One indexed lesion."""
    return service.engine.index.get(lesion_id).lesion.to_json()


@router.get("/v1/lesions/{lesion_id}/similar", response_model=SearchOut)
def similar(
    service: Service, lesion_id: str, k: Annotated[int, Query(ge=1)] = 10, where: Where = None
) -> dict[str, Any]:
    """Similar lesions of other patients, and this one in its own patient's other studies."""
    options = _options(service, k, where)
    with service.computing():
        return service.engine.search_lesion(lesion_id, **options).to_json()


@router.get(
    "/v1/lesions/{lesion_id}/image.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def image(service: Service, lesion_id: str) -> Response:
    """The lesion on its key slice under its type's window, 120 mm wide, its box drawn."""
    with service.computing():
        png = service.pictures.png(lesion_id)
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/healthz", response_model=Health)
def healthz() -> dict[str, Any]:
    """The process runs."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Health)
def readyz(service: Service) -> dict[str, Any]:
    """Encoder and index are loaded; how many lesions can be found."""
    return {"status": "ready", "lesions": service.engine.index.count()}


@router.get("/", include_in_schema=False)
def page(service: Service) -> FileResponse:
    """The search page."""
    return FileResponse(service.web_folder / "index.html", headers={"Cache-Control": "no-cache"})


def _search_image(service: ServiceState, form: SearchForm, options: SearchOptions) -> SearchResult:
    uploads = [*([form.file] if form.file is not None else []), *form.files]
    start = time.perf_counter()
    reading = _upload_options(service, form)
    slab = read_upload([upload.file for upload in uploads], reading, service.settings)
    read_ms = (time.perf_counter() - start) * 1000
    box = None if form.box is None else Box.parse(form.box)
    recist = None if form.recist is None else Recist.parse(form.recist)
    return service.engine.search(slab, box, recist=recist, **options).with_read_time(read_ms)


def _options(service: ServiceState, k: int, where: str | None) -> SearchOptions:
    if k > service.settings.max_hits:
        raise RequestError(f"k is {k}: at most {service.settings.max_hits} hits are answered")
    return {"k": k, "where": _filter(where)}


def _filter(where: str | None) -> LesionFilter:
    return LesionFilter() if where is None else LesionFilter.parse(where)


def _vector(text: str) -> list[float]:
    numbers = text.strip().removeprefix("[").removesuffix("]")
    count = numbers.count(",") + 1
    return parse_numbers(numbers, count=count, name="vector", form="numbers, comma-separated")


def _upload_options(service: ServiceState, form: SearchForm) -> UploadOptions:
    spacing = None
    if form.spacing is not None:
        form_hint = "x,y,interval in mm"
        x, y, z = parse_numbers(form.spacing, count=3, name="spacing", form=form_hint)
        spacing = (x, y, z)
    depth = service.engine.encoder.spec.half_depth_mm
    return UploadOptions(form.key_slice_index, spacing, depth)
