"""The HTTP route of the embedding map."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from service.figures.etags import cached, etag_of, not_modified
from service.http.dependencies import PROBLEMS, Service, Where, filter_of
from service.http.schemas.viewer import MapOut

MAX_POINTS = 50_000

map_router = APIRouter(responses=PROBLEMS, tags=["map"])


@map_router.get(
    "/v1/map",
    response_model=MapOut,
    responses={304: {"description": "The client has this map already"}},
)
def embedding_map(
    request: Request,
    service: Service,
    where: Where = None,
    limit: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 20_000,
) -> Any:
    """The indexed lesions as points in the plane, near where their vectors are near."""
    chosen = filter_of(where)
    etag = etag_of("map", service.engine.index.path, service.engine.index.generation, chosen, limit)
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    with service.computing():
        total = service.engine.index.count(chosen)
        document = service.map.current().shown(chosen, limit, total=total).to_json()
    # Already in the form of MapOut: checking tens of thousands of points would take a second.
    return _json(document, etag)


def _json(document: dict[str, Any], etag: str) -> Response:
    return JSONResponse(document, headers=cached(etag))
