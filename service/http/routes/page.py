"""The search page."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

WEB_FOLDER = Path(__file__).parents[2] / "web"

page_router = APIRouter()


@page_router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The search page."""
    return FileResponse(WEB_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})
