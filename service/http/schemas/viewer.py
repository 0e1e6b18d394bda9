"""The JSON of uploads, slices, patients and the map as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from retrieval.grid import Grid
from retrieval.lesion import LesionType
from service.http.schemas.answer import Numbers


class SlicesOut(BaseModel):
    """A stack of slices and its geometry, as its grid has them."""

    slices: int
    rows: int
    columns: int
    spacing_mm_px: Numbers = Field(description="along x and y")
    slice_interval_mm: float
    first_slice_index: int
    key_slice_index: int
    feet_first: bool = Field(description="slice numbers grow from the feet to the head")


class IdentityOut(BaseModel):
    """Whose images an upload holds, as its files say it; null for what they do not say as one."""

    patient_id: str | None
    study_id: str | None
    study_date: str | None
    series_id: str | None
    series_name: str | None
    source: Literal["dicom", "file_name"]
    indexed_lesions: int = Field(description="lesions of this patient in the index")
    reportable: bool = Field(description="a DICOM report (SR) of a mark on it can be made")


class UploadOut(SlicesOut):
    """A held upload."""

    grid: Grid = Field(description="what rows, columns and slice numbers are in: file or display")
    warnings: list[str] = Field(description="what to know of how the files were read")
    upload_id: str
    identity: IdentityOut | None = Field(description="null where the files say nothing of it")
    expires_in_s: float = Field(description="seconds after its last use")


class LesionSlicesOut(SlicesOut):
    """The slices around an indexed lesion, and its box on the key slice."""

    box: Numbers


class PatientOut(BaseModel):
    """A patient of the index, and how much of theirs is indexed."""

    patient_id: str
    studies: int
    lesions: int


class PatientPage(BaseModel):
    """Some of the patients, in the order of their ids."""

    patients: list[PatientOut]
    next_after: str | None = Field(description="send as `after` for the next page; null at the end")


class MapPoint(BaseModel):
    """A lesion on the map."""

    lesion_id: str
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    lesion_type: LesionType
    long_mm: float | None
    patient_id: str
    category: str | None


class MapOut(BaseModel):
    """The index as points in the plane, near where their vectors are near."""

    method: Literal["pca", "umap"]
    total: int = Field(description="lesions that fit the filter; `points` may show fewer")
    points: list[MapPoint]
