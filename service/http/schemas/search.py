"""The service's JSON as pydantic models: DESIGN.md's names, shown in OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Numbers = list[float]


class LesionOut(BaseModel):
    """One marked appearance of a lesion."""

    lesion_id: str
    patient_id: str
    study_id: str
    series_id: str
    key_slice_index: int
    box: Numbers = Field(
        description="x1, y1, x2, y2 in 0-based pixels", examples=[[10, 12, 30, 29]]
    )
    long_mm: float | None
    short_mm: float | None
    location: Numbers | None = Field(description="body position x, y, z in [0, 1]")
    location_error: Numbers | None = Field(
        default=None,
        description="standard error of an estimated location; null where it was given",
    )
    lesion_type: str
    split: str
    study_date: str | None
    tags: list[str] = []


class CandidateOut(BaseModel):
    """A box the detector proposes."""

    box: Numbers
    score: float
    long_mm: float | None = Field(default=None, description="estimated from the box, in mm")


class HitTermsOut(BaseModel):
    """What explains a hit; null where either side is not known. They do not order the hits."""

    same_type: bool | None
    size_ratio: float | None = Field(description="the hit's long diameter over the query's")
    location_distance: float | None = Field(description="between the two body positions")


class HitOut(BaseModel):
    """A similar lesion of another patient."""

    rank: int
    similarity: float = Field(description="cosine in [-1, 1], bigger is more alike")
    terms: HitTermsOut
    lesion: LesionOut


class FollowUpOut(BaseModel):
    """What became of the lesion in another study of its patient."""

    study_id: str
    role: str | None = Field(
        description="prior: an earlier study than the query's; current: a later one; null: unknown"
    )
    state: str = Field(
        description="persistent, new, vanished, not marked, merged, split or uncertain"
    )
    similarity: float | None
    score: float = Field(description="calibrated probability of being the same lesion")
    change_mm: float | None
    change_pct: float | None
    terms: dict[str, Any] | None = Field(description="what speaks for and against the match")
    lesion: LesionOut | None


class TimingOut(BaseModel):
    """Milliseconds."""

    read: float
    detect: float
    patch: float
    encode: float
    search: float
    total: float


class RecognisedOut(BaseModel):
    """An indexed lesion found again by its pixels."""

    lesion_id: str
    iou: float = Field(description="overlap of the two boxes, in [0.5, 1]")


class SearchOut(BaseModel):
    """The answer to one query."""

    box: Numbers | None
    box_source: str | None = Field(description="given, recist or detected; null for a vector")
    grid: str = Field(description="what box and candidates are in: file or display")
    candidates: list[CandidateOut]
    hits: list[HitOut]
    follow_ups: list[FollowUpOut]
    encoder: dict[str, Any]
    index: dict[str, Any]
    timing_ms: TimingOut
    warnings: list[str] = Field(description="what to know before trusting the numbers")
    recognised: RecognisedOut | None = Field(
        description="the indexed lesion that the query's image and box are; null if none"
    )


class LesionPage(BaseModel):
    """Some of the indexed lesions, in the order of their ids."""

    lesions: list[LesionOut]
    next_after: str | None = Field(description="send as `after` for the next page; null at the end")


class Health(BaseModel):
    """Whether the process runs, and whether it can answer."""

    status: str
    lesions: int | None = None


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = Field(default=None, description="also in X-Request-ID and the log")
