"""The HTTP routes for whoever runs the service: is it alive, can it answer, how does it do.

None of them uses the threads that other requests compute on, so they answer however busy those
are.
"""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.http.metrics import ServiceMetrics
from service.http.problems import NOT_READY, problem
from service.http.schemas.search import Health, Problem, Readiness

CROWDED = "every place for a request is taken: the next one is told to come back"

health_router = APIRouter(tags=["operation"])


@health_router.get("/healthz", response_model=Health)
async def healthz() -> dict[str, Any]:
    """The process runs."""
    return {"status": "ok"}


@health_router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Problem, "description": "Not loaded yet, or no place is free"}},
)
async def readyz(request: Request) -> Any:
    """Encoder and index are loaded and a place is free; how many lesions can be found."""
    state = getattr(request.app.state, "service", None)
    if state is None:
        return problem(503, NOT_READY, {"Retry-After": "1"})
    if request.app.state.places.are_all_taken:
        return problem(503, CROWDED, {"Retry-After": "1"})
    limiter = request.app.state.health_threads
    return {
        "status": "ready",
        "lesions": await run_sync(state.engine.index.count, limiter=limiter),
    }


@health_router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, the gate, the index and memory, for Prometheus."""
    measured: ServiceMetrics = request.app.state.metrics
    text = await run_sync(measured.text, limiter=request.app.state.health_threads)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
