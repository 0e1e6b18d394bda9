"""The HTTP routes of mining: a run is started, watched and ended; its verdicts and picture.

Folders, PACS and archive are the operator's: a request names none of them. All of it asks for the
role write, looking included: verdicts say what readers marked in a whole hospital.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from service.http.dependencies import PROBLEMS, Limit, Service
from service.http.guards.audit import note
from service.http.mining.runner import (
    MiningJobError,
    MiningNotSetUpError,
    MiningOrder,
    MiningStatus,
)
from service.http.problems import problem
from service.http.schemas.mining import MinedMarksOut, MiningIn, MiningOut
from service.http.schemas.search import Problem

SHEET_PATH = "/v1/mining/sheet.png"

mining_router = APIRouter(
    tags=["mining"],
    responses={
        **PROBLEMS,
        404: {"model": Problem, "description": "This service has no archive to mine into"},
        409: {"model": Problem, "description": "A run is going on"},
    },
)


def install_mining(app: FastAPI) -> None:
    """Adds the routes and the problems they may answer."""
    app.include_router(mining_router)
    app.add_exception_handler(MiningNotSetUpError, _on_not_set_up)
    app.add_exception_handler(MiningJobError, _on_running)


@mining_router.post("/v1/mining", response_model=MiningOut, status_code=202)
def start_mining(service: Service, asked: MiningIn) -> dict[str, Any]:
    """Start mining the marks that readers left; goes on where an earlier run was ended."""
    note("mining", asked.source)
    given = asked.model_dump()
    order = MiningOrder(**{**given, "segments": tuple(asked.segments)})
    return _told(service, service.mining.start(order))


@mining_router.get("/v1/mining", response_model=MiningOut)
def mining_status(service: Service) -> dict[str, Any]:
    """How far the run is, and how many marks came to which verdict in the last one."""
    return _told(service, service.mining.status())


@mining_router.delete("/v1/mining", response_model=MiningOut)
def cancel_mining(service: Service) -> dict[str, Any]:
    """End the run; what it has done stays, and the next one goes on from there."""
    note("mining", "cancelled")
    return _told(service, service.mining.cancel())


@mining_router.get("/v1/mining/marks", response_model=MinedMarksOut)
def mined_marks(
    service: Service,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, description="the last page's `next_after`")] = 0,
    verdict: Annotated[str | None, Query(max_length=64, examples=["single line"])] = None,
) -> dict[str, Any]:
    """The verdicts of a run, mark by mark, under the archive's own names."""
    path = service.mining.verdicts
    if not path.exists():
        return {"total": 0, "marks": [], "next_after": None}
    with path.open(encoding="utf-8") as file:
        told = (json.loads(line) for line in file)
        chosen = [one for one in told if verdict is None or one["verdict"] == verdict]
    page = list(islice(chosen, after, after + limit))
    end = after + len(page)
    return {
        "total": len(chosen),
        "marks": page,
        "next_after": end if end < len(chosen) else None,
    }


@mining_router.get(
    SHEET_PATH,
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, 404: {"model": Problem}},
)
def mining_sheet(service: Service) -> Response:
    """The picture of the last run: some marks of each verdict on their images."""
    path = service.mining.sheet
    if not path.exists():
        return problem(404, "no mining run has drawn a picture yet")
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "no-store"})


def _told(service: Service, status: MiningStatus) -> dict[str, Any]:
    sheet = SHEET_PATH if service.mining.sheet.exists() else None
    tiles = None if sheet is None else service.mining.layout
    return {**asdict(status), "sheet": sheet, "tiles": tiles}


async def _on_not_set_up(_: Request, error: Exception) -> JSONResponse:
    return problem(404, " ".join(str(error).split()))


async def _on_running(_: Request, error: Exception) -> JSONResponse:
    return problem(409, " ".join(str(error).split()))
