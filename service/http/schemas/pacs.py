"""The JSON of queries and reports by DICOMweb reference, shown in OpenAPI."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from service.engine.query import LesionQuery
from service.http.schemas.answer import answer_of
from service.http.schemas.request import RequestModel
from service.http.schemas.search import LesionOut, SearchOut
from service.pacs.answers import FoundInPacs, ReportsAnswer, StoredReport, StudyInPacs

Uid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64, examples=["1.2.840.1"])]


class PacsReferenceIn(RequestModel):
    """An image in the configured PACS. A request never names a host."""

    series_instance_uid: Uid
    study_instance_uid: Uid | None = Field(default=None, description="looked up if absent")
    sop_instance_uid: Uid | None = Field(default=None, description="the key slice")
    key_slice_index: int | None = Field(
        default=None, ge=0, description="position of the key slice from 0, instead of its UID"
    )
    assume_hu: bool = Field(default=False, description="take values for HU that do not look so")


class PacsMarkIn(PacsReferenceIn):
    """A lesion in the PACS: its image, and how it is marked; unmarked, the detector proposes."""

    box: list[float] | None = Field(
        default=None, min_length=4, max_length=4, examples=[[210, 188, 243, 221]]
    )
    recist: list[float] | None = Field(
        default=None, min_length=8, max_length=8, description="x1,y1,...,x4,y4, long first"
    )
    point: list[float] | None = Field(
        default=None, min_length=2, max_length=2, description="the detector's box that holds it"
    )

    def query(self) -> LesionQuery:
        """What is asked of the lesion; raises LesionSearchError."""
        return LesionQuery.parse(box=self.box, recist=self.recist, point=self.point)


class PacsSearchIn(PacsMarkIn):
    """A query by reference."""

    k: int = Field(default=10, ge=1)
    where: str | None = Field(default=None, examples=["type=liver and long_mm=10..30"])

    def query(self) -> LesionQuery:
        """What is asked of the lesion, and which hits are wanted; raises LesionSearchError."""
        return LesionQuery.parse(
            box=self.box, recist=self.recist, point=self.point, k=self.k, where=self.where
        )


class PacsReportIn(PacsMarkIn):
    """A report: of the marked lesion and its follow-ups, or of all indexed tracks."""

    all_tracks: bool = Field(
        default=False, description="all tracks that the index has of the series' patient"
    )


@answer_of(StudyInPacs)
class PacsStudyOut(BaseModel):
    pass


class PacsStudySearch(BaseModel):
    """Which studies are looked for: `*` stands for any characters, `?` for one."""

    patient: str | None = Field(
        default=None, max_length=64, description="PatientID", examples=["*53"]
    )
    accession: str | None = Field(default=None, max_length=16, description="AccessionNumber")
    description: str | None = Field(
        default=None,
        max_length=64,
        description="a part of StudyDescription; the whole where it holds `*` or `?`",
    )
    first: date | None = Field(default=None, description="the first day")
    last: date | None = Field(default=None, description="the last day")
    study: Uid | None = Field(default=None, description="one study")


class PacsListedStudyOut(BaseModel):
    """A study of the PACS's list, under the PACS's own identifiers."""

    study_instance_uid: str
    patient_id: str
    study_date: str | None
    description: str
    accession_number: str
    modalities: list[str]
    instances: int | None


class PacsStudyListOut(BaseModel):
    """Studies of the PACS, the newest first."""

    studies: list[PacsListedStudyOut]
    is_cut: bool = Field(description="there may be more: narrow the search")


class PacsSeriesOut(BaseModel):
    """A CT series of a study in the PACS."""

    series_instance_uid: str
    description: str
    instances: int | None


@answer_of(FoundInPacs)
class PacsOut(BaseModel):
    pass


class PacsSearchOut(SearchOut):
    """The answer to a query by reference."""

    query: LesionOut
    pacs: PacsOut


@answer_of(StoredReport)
class StoredReportOut(BaseModel):
    pass


@answer_of(ReportsAnswer)
class PacsReportOut(BaseModel):
    pass
