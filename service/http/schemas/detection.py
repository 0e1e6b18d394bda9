"""The JSON of detection as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field

from retrieval.grid import Grid
from service.http.schemas.search import CandidateOut, TimingOut


class DetectorOut(BaseModel):
    """Which detector answered."""

    name: str
    fingerprint: str


class DetectOut(BaseModel):
    """Where lesions may be on one slice."""

    grid: Grid = Field(description="what boxes and key slice are in: file or display")
    candidates: list[CandidateOut]
    detector: DetectorOut
    key_slice_index: int
    timing_ms: TimingOut
    warnings: list[str] = Field(description="what to know of how the files were read")
