"""The JSON of a patient over time as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from retrieval.tracking.response.growth import DiameterPoint, TrackGrowth
from retrieval.tracking.response.recist import PatientResponse, ResponsePolicy, StudyResponse
from retrieval.tracking.response.targets import Target
from retrieval.tracking.response.volumes import (
    StudyVolumes,
    TrackVolumes,
    VolumePoint,
    VolumeResponse,
)
from retrieval.tracking.searched import SearchedStudy
from retrieval.tracking.timeline_table import (
    TimelineCell,
    TimelineLine,
    TimelineRow,
    TimelineTable,
)
from retrieval.tracking.track_types import OrderedStudy, Track, TrackLink
from service.http.schemas.answer import answer_of
from service.http.schemas.request import RequestModel
from service.http.schemas.search import LesionOut, MatchTermsOut


@answer_of(OrderedStudy)
class StudyOut(BaseModel):
    pass


@answer_of(Track)
class TrackOut(BaseModel):
    lesions: list[LesionOut]


@answer_of(TrackLink)
class LinkOut(BaseModel):
    terms: MatchTermsOut


@answer_of(Target, omit=["nodal"])
class TargetOut(BaseModel):
    axis: Literal["long", "short"] = Field(description="the diameter that counts")


@answer_of(StudyResponse)
class StudyResponseOut(BaseModel):
    pass


@answer_of(DiameterPoint)
class PointOut(BaseModel):
    pass


@answer_of(TrackGrowth)
class GrowthOut(BaseModel):
    pass


@answer_of(ResponsePolicy)
class PolicyOut(BaseModel):
    pass


@answer_of(VolumePoint)
class VolumePointOut(BaseModel):
    pass


@answer_of(TrackVolumes)
class TrackVolumesOut(BaseModel):
    pass


@answer_of(StudyVolumes)
class StudyVolumesOut(BaseModel):
    pass


@answer_of(VolumeResponse)
class VolumeResponseOut(BaseModel):
    pass


@answer_of(PatientResponse, omit=["tracks"])
class ResponseOut(BaseModel):
    notice: str
    guideline: str
    policy: PolicyOut
    not_assessed: str
    patient_id: str
    ordered_by: Literal["study_date", "study_number"]


@answer_of(TimelineCell, omit=["lesions"])
class CellOut(BaseModel):
    lesion_ids: list[str]


@answer_of(TimelineLine)
class LineOut(BaseModel):
    pass


@answer_of(TimelineRow)
class RowOut(BaseModel):
    pass


@answer_of(TimelineTable, omit=["study_ids"])
class TimelineOut(BaseModel):
    pass


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


@answer_of(SearchedStudy)
class KeptSearchOut(BaseModel):
    state: Literal["found", "uncertain", "not found"]
    searched_at: str | None = Field(description="when, in UTC")
    is_evidence: bool = Field(
        description="whether it tells that the lesion is not in the study: not found where all of "
        "its place was covered"
    )


class KeptSearchesOut(BaseModel):
    """Where a patient's lesions were looked for, and what was found."""

    patient_id: str
    searches: list[KeptSearchOut]


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
