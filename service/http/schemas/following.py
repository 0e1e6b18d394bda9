"""The JSON of a lesion found again as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.schemas.search import LesionOut


class FindingOut(BaseModel):
    """A place that may be the lesion."""

    box: list[float]
    key_slice_index: int
    score: float = Field(description="probability of being the lesion while all compete")
    similarity: float
    long_mm: float | None = Field(description="null where the box has the lesion's own size")
    detector_score: float | None = Field(description="null where no detector proposed it")
    terms: dict[str, Any]


class ExpectedOut(BaseModel):
    """Where the lesion was looked for."""

    location: list[float]
    error: list[float]
    source: Literal["location", "both series", "registration"]


class CoverageOut(BaseModel):
    """What was looked at."""

    slices: list[int] | None = Field(description="first and last slice that was searched")
    z: list[float] | None
    series_z: list[float]
    share: float = Field(description="how likely it is that the lesion's place lies within them")
    boxes: int


class FollowOut(BaseModel):
    """What became of an indexed lesion in a series; a proposal, unless it was accepted."""

    notice: str
    lesion_id: str
    study_id: str | None
    study_date: str | None
    state: Literal["found", "uncertain", "not found"]
    grid: str = Field(description="what boxes and slices are in: file or display")
    box: list[float] | None
    key_slice_index: int | None
    score: float | None
    probability_there: float = Field(
        description="how likely it is that one of the candidates is the lesion"
    )
    similarity: float | None
    candidates: list[FindingOut]
    expected: ExpectedOut
    covered: CoverageOut
    warnings: list[str]
    kept: bool = Field(description="whether the search is in the index now")
    accepted: LesionOut | None = Field(
        description="the lesion that an accepted candidate became, linked to the one followed"
    )
