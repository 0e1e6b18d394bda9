"""The JSON of uploads, slices, patients and the map as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field

from index.reports import IndexedPatient
from service.decoding.identity import ImageIdentity
from service.http.map_points import LesionPoint, MapDocument
from service.http.schemas.answer import answer_of
from service.http.slices import HeldUpload, LesionSlices, ShownStack, UploadIdentity


@answer_of(ShownStack)
class SlicesOut(BaseModel):
    pass


@answer_of(UploadIdentity, omit=["identity"])
@answer_of(ImageIdentity, omit=["image_uids"])
class IdentityOut(BaseModel):
    pass


@answer_of(HeldUpload, omit=["stack"])
class UploadOut(SlicesOut):
    pass


@answer_of(LesionSlices, omit=["stack"])
class LesionSlicesOut(SlicesOut):
    pass


@answer_of(IndexedPatient)
class PatientOut(BaseModel):
    pass


class PatientPage(BaseModel):
    """Some of the patients, in the order of their ids."""

    patients: list[PatientOut]
    next_after: str | None = Field(description="send as `after` for the next page; null at the end")


@answer_of(LesionPoint)
class MapPoint(BaseModel):
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


@answer_of(MapDocument)
class MapOut(BaseModel):
    pass
