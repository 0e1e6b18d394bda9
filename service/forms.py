"""The multipart forms of the service as pydantic models: what a request may say of its image."""

from __future__ import annotations

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field


class FileForm(BaseModel):
    """CT in one file, or in several slices of one series."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile | None = None
    files: list[UploadFile] = []
    key_slice_index: int | None = Field(
        default=None, description="the slice the lesion lies on; the middle one if absent"
    )
    spacing: str | None = Field(
        default=None, description="mm: x,y,slice interval; for PNG", examples=["0.8,0.8,5"]
    )

    @property
    def uploads(self) -> list[UploadFile]:
        """Every file that was sent."""
        return [*([self.file] if self.file is not None else []), *self.files]


class ImageForm(FileForm):
    """CT sent with the request, or held from ``POST /v1/uploads``."""

    upload_id: str | None = Field(default=None, description="CT that POST /v1/uploads holds")


class SearchForm(ImageForm):
    """A query: exactly one of an image, an ``upload_id``, a ``lesion_id`` or a ``vector``."""

    lesion_id: str | None = None
    vector: str | None = Field(default=None, description="numbers of the encoder's dimension")
    box: str | None = Field(default=None, examples=["210,188,243,221"])
    recist: str | None = Field(default=None, description="x1,y1,...,x4,y4, long diameter first")
    point: str | None = Field(
        default=None, description="x,y: the detector's best box that holds it", examples=["225,204"]
    )
    patient_id: str | None = None
    study_id: str | None = None
    k: int = Field(default=10, ge=1)
    where: str | None = Field(default=None, examples=["type=liver and long_mm=10..30"])
