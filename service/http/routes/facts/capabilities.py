"""The HTTP route of what the service can do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from service.http.dependencies import PROBLEMS, Service
from service.http.guards.access import may_write
from service.http.schemas.vocabulary import CapabilitiesOut

capabilities_router = APIRouter(responses=PROBLEMS, tags=["vocabulary"])


@capabilities_router.get("/v1/capabilities", response_model=CapabilitiesOut)
def capabilities(request: Request, service: Service) -> dict[str, Any]:
    """Which systems there is a model for, whether there is a PACS, and whether you may write."""
    return asdict(service.capabilities.of(may_write=may_write(request.scope)))
