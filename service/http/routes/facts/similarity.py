"""The HTTP route of the scale of similarities: what a cosine means among this index's lesions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service.figures.etags import cached, etag_of, not_modified
from service.http.dependencies import PROBLEMS, Service
from service.http.schemas.similarity import SimilarityScaleOut

similarity_router = APIRouter(responses=PROBLEMS, tags=["search"])


@similarity_router.get(
    "/v1/similarity",
    response_model=SimilarityScaleOut,
    responses={304: {"description": "The client has this scale already"}},
)
def scale(request: Request, service: Service) -> Any:
    """Percentiles of the cosine among pairs of different patients, and of the nearest of each."""
    etag = etag_of("similarity", service.engine.index.path, service.engine.index.generation)
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    with service.computing():
        document = service.scale.current().to_json()
    return JSONResponse(document, headers=cached(etag))
