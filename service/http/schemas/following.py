"""The JSON of a lesion found again as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field

from retrieval.grid import Grid
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.following.findings import Coverage, Finding, Following
from service.http.schemas.answer import Numbers, answer_of
from service.http.schemas.search import LesionOut


@answer_of(Finding)
class FindingOut(BaseModel):
    pass


@answer_of(ExpectedPlace)
class ExpectedOut(BaseModel):
    pass


@answer_of(Coverage)
class CoverageOut(BaseModel):
    pass


@answer_of(Following)
class FollowOut(BaseModel):
    notice: str
    grid: Grid = Field(description="what boxes and slices are in: file or display")
    box: Numbers | None = Field(description="of the first candidate; null where it was not found")
    key_slice_index: int | None = Field(description="the same for its slice")
    score: float | None = Field(description="the same for its score")
    similarity: float | None = Field(description="the same for its similarity")
    kept: bool = Field(description="whether the search is in the index now")
    accepted: LesionOut | None = Field(
        description="the lesion that an accepted candidate became, linked to the one followed"
    )
