"""What the routes share: the service behind a request, and the problems each may answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from index.filters.lesion_filter import LesionFilter
from retrieval.lesion import LesionSearchError
from service.engine.query import LesionQuery
from service.http.problems import NOT_READY, NotReadyError
from service.http.schemas.search import Problem
from service.http.state import ServiceState

MAX_PAGE = 500
"""The most entries of one page of a list."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such lesion, patient or upload"},
    422: {"model": Problem, "description": "A request that cannot be answered, and why"},
    503: {"model": Problem, "description": "Not ready, or the index cannot be used"},
}


class RequestError(LesionSearchError):
    """A request whose fields do not make one query."""


async def service_of(request: Request) -> ServiceState:
    """The state of a service that is ready; raises NotReadyError until it is.

    A coroutine although it waits for nothing: a plain function would go to a thread and back.
    """
    state: ServiceState | None = getattr(request.app.state, "service", None)
    if state is None:
        raise NotReadyError(NOT_READY)
    return state


Service = Annotated[ServiceState, Depends(service_of)]
Where = Annotated[str | None, Query(examples=["type=liver and long_mm=10..30"])]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="the most entries of one page")]
After = Annotated[str, Query(description="the last page's `next_after`; empty for the first page")]


def filter_of(where: str | None) -> LesionFilter:
    """The filter of a request; raises FilterError."""
    return LesionFilter() if where is None else LesionFilter.parse(where)


def within_limits(service: ServiceState, query: LesionQuery) -> LesionQuery:
    """The query itself; raises RequestError if it asks for more hits than are answered."""
    if query.k > service.settings.max_hits:
        raise RequestError(f"k is {query.k}: at most {service.settings.max_hits} hits are answered")
    return query
