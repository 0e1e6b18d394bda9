"""The JSON of a patient over time as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.schemas.request import RequestModel
from service.http.schemas.search import LesionOut


class StudyOut(BaseModel):
    """One study in the patient's order."""

    study_id: str
    study_date: str | None
    marks: Literal["complete", "incomplete"] = Field(
        description="complete: every lesion is marked, so one without a mark is not there"
    )


class TrackOut(BaseModel):
    """One physical lesion: its appearances in study order."""

    track_id: str
    new_in: str | None = Field(
        description="study of its first appearance, if a complete earlier one lacks it"
    )
    vanished_in: str | None = Field(description="first complete study after its last appearance")
    merged_into: str | None
    split_from: str | None
    lesions: list[LesionOut]


class LinkOut(BaseModel):
    """Two lesions of different studies, and why they were linked."""

    earlier: str
    later: str
    state: Literal["confirmed", "matched", "uncertain", "merged", "split"]
    score: float = Field(description="calibrated probability of being the same lesion")
    terms: dict[str, Any]


class TargetOut(BaseModel):
    """A target lesion at the baseline."""

    track_id: str
    organ: str
    axis: Literal["long", "short"]
    baseline_mm: float


class StudyResponseOut(BaseModel):
    """RECIST 1.1 of one study after the baseline."""

    study_id: str
    study_date: str | None
    category: Literal["CR", "PR", "SD", "PD", "NE"] | None
    reason: str
    sum_mm: float | None = Field(description="null where no target was measured")
    nadir_mm: float | None
    change_from_baseline_pct: float | None
    change_from_nadir_mm: float | None
    change_from_nadir_pct: float | None
    new_tracks: list[str]
    possibly_new_tracks: list[str]
    not_evaluable_tracks: list[str]


class PointOut(BaseModel):
    """A track's diameters in one study."""

    study_id: str
    study_date: str | None
    lesion_id: str
    long_mm: float | None
    short_mm: float | None


class GrowthOut(BaseModel):
    """How one track grew; what needs dates is null without them."""

    track_id: str
    points: list[PointOut]
    change_mm: float | None
    change_pct: float | None
    growth_mm_per_month: float | None
    volume_doubling_days: float | None = Field(description="negative: days to half the volume")


class ResponseOut(BaseModel):
    """The patient's RECIST 1.1 response over time."""

    notice: str
    guideline: str
    policy: dict[str, str]
    not_assessed: str
    patient_id: str
    ordered_by: str
    baseline_study: str
    baseline_sum_mm: float | None
    targets: list[TargetOut]
    studies: list[StudyResponseOut]
    growth: list[GrowthOut]


class CellOut(BaseModel):
    """One track in one study; no lesion where it is not marked there."""

    study_id: str
    word: str = Field(description="to show; empty where nothing needs saying")
    tone: str = Field(description="sure, new, absent, joint, doubt or unknown")
    lesion_ids: list[str]
    change_pct: float | None
    notes: list[str]


class LineOut(BaseModel):
    """A line between two marks."""

    earlier: str
    later: str
    tone: str
    state: str | None
    score: float | None


class RowOut(BaseModel):
    """One track: a cell for every study in order, and the lines between its marks."""

    track_id: str
    cells: list[CellOut]
    lines: list[LineOut]


class TimelineOut(BaseModel):
    """What a drawing of the patient's timeline shows."""

    rows: list[RowOut]
    joins: list[LineOut] = Field(description="lines between rows")


class TracksOut(BaseModel):
    """A patient over time."""

    notice: str = Field(examples=["Research use only."])
    patient_id: str
    ordered_by: Literal["study_date", "study_number"]
    studies: list[StudyOut]
    tracks: list[TrackOut]
    links: list[LinkOut]
    timeline: TimelineOut
    response: ResponseOut
    warnings: list[str]


class MarksIn(RequestModel):
    """Whether every lesion of a study is marked."""

    patient_id: str
    study_id: str
    complete: bool


class MarksOut(BaseModel):
    """What is kept of the study now."""

    patient_id: str
    study_id: str
    marks: Literal["complete", "incomplete"]


class MatchIn(RequestModel):
    """A reader's decision on two lesions of one patient."""

    lesion_a: str
    lesion_b: str
    decision: Literal["confirm", "reject", "remove"] = Field(
        description="one lesion, two lesions, or take an earlier decision back"
    )


class MatchOut(BaseModel):
    """What is stored of the pair now."""

    lesion_a: str
    lesion_b: str
    verdict: Literal["confirmed", "rejected"] | None
