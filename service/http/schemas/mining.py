"""What the routes of mining take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.figures.mined_marks import SheetLayout, TileCaption
from service.http.schemas.answer import answer_of


class MiningIn(BaseModel):
    """What a client may choose of a mining run."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["folders", "pacs"] = Field(
        default="folders", description="the operator's folders, or the operator's PACS"
    )
    singles: Literal["reject", "square", "ellipse"] = Field(
        default="reject", description="what a line without a perpendicular partner is taken for"
    )
    arrows: bool = Field(default=False, description="keep arrows and points")
    segments: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="names of segments and regions that are lesions, `*` for anything",
        examples=[["GTV*"]],
    )
    pixels: bool = Field(default=True, description="write slices, not the table alone")
    propose: bool = Field(
        default=True, description="take a detector's box for words that draw nothing"
    )
    locate: bool = Field(default=True, description="estimate body positions")


class MiningReportOut(BaseModel):
    """What stands in the archive."""

    lesions: int
    patients: int
    tracks: int
    marks: int
    verdicts: dict[str, int] = Field(description="how many marks came to which verdict")
    patients_mined_now: int
    patients_failed: int


@answer_of(TileCaption)
class TileCaptionOut(BaseModel):
    pass


@answer_of(SheetLayout)
class SheetLayoutOut(BaseModel):
    pass


class MiningOut(BaseModel):
    """How far a mining run is."""

    state: Literal["idle", "running", "done", "failed", "cancelled"]
    source: str = Field(description="folders or pacs; empty before the first run")
    done: int = Field(description="of files or carriers first, then of patients")
    total: int
    started: datetime | None
    ended: datetime | None
    error: str | None
    report: MiningReportOut | None = Field(
        description="what stands in the archive after the last run that was done"
    )
    sheet: str | None = Field(description="path of the picture, null where there is none")
    tiles: SheetLayoutOut | None = Field(
        description="where the tiles of the picture are, and what stands below each"
    )


class MinedMarksOut(BaseModel):
    """Lines of `mined.jsonl`, one a mark."""

    total: int = Field(description="marks of that verdict, or of all")
    marks: list[dict[str, Any]]
    next_after: int | None = Field(description="`after` of the next page; null at the end")
