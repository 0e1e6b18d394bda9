"""The multipart forms of the service as pydantic models: what a request may say of its image."""

from __future__ import annotations

from datetime import date

from fastapi import UploadFile
from pydantic import Field

from retrieval.grid import Grid
from retrieval.lesion import LesionType
from retrieval.tag import given_tags
from service.engine.query import ImageChoice, LesionQuery
from service.http.schemas.request import RequestModel
from service.http.uploads.added_lesions import LesionFields

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What an id may be that stands in paths, in filters and in a lesion's own id."""

TAGS = r"^([A-Za-z0-9_-]{1,40}(,[A-Za-z0-9_-]{1,40}){0,19})?$"
"""Up to 20 tags, comma-separated."""


class FileForm(RequestModel):
    """CT in one file, or in several slices of one series."""

    file: UploadFile | None = None
    files: list[UploadFile] = Field(default=[])
    key_slice_index: int | None = Field(
        default=None, description="the slice the lesion lies on; the middle one if absent"
    )
    spacing: str | None = Field(
        default=None, description="mm: x,y,slice interval; for PNG", examples=["0.8,0.8,5"]
    )

    assume_hu: bool = Field(
        default=False,
        description="take the values for Hounsfield units where they do not look like it; the "
        "answer's `warnings` say so",
    )
    grid: Grid = Field(
        default=Grid.FILE,
        description="what key_slice_index, box, recist and point are in, and the answer: the "
        "pixels as the file stores them, or as radiology shows them (patient's right on the left, "
        "front up, slices from 0 at the feet)",
    )

    series: str | None = Field(
        default=None,
        max_length=64,
        description="which one of several DICOM series: its number in the list that the error "
        "shows, or its UID",
    )

    @property
    def uploads(self) -> list[UploadFile]:
        """Every file that was sent."""
        return [*([self.file] if self.file is not None else []), *self.files]

    def choice(self) -> ImageChoice:
        """Which slice is meant, and what the files do not tell; raises LesionError."""
        return ImageChoice.parse(
            key_slice_index=self.key_slice_index,
            spacing=self.spacing,
            series=self.series,
            assume_hu=self.assume_hu,
        )


class ImageForm(FileForm):
    """CT sent with the request, or held from ``POST /v1/uploads``."""

    upload_id: str | None = Field(default=None, description="CT that POST /v1/uploads holds")


class DetectForm(ImageForm):
    """An image on which the detector is asked."""

    all: bool = Field(
        default=False,
        description="every proposal of the detector; otherwise the five best that are likely",
    )


class SearchForm(ImageForm):
    """A query: one of an image, an ``upload_id``, a ``lesion_id``, a ``vector``, or words alone."""

    lesion_id: str | None = None
    vector: str | None = Field(default=None, description="numbers of the encoder's dimension")
    box: str | None = Field(default=None, examples=["210,188,243,221"])
    recist: str | None = Field(default=None, description="x1,y1,...,x4,y4, long diameter first")
    point: str | None = Field(
        default=None, description="x,y: the detector's best box that holds it", examples=["225,204"]
    )
    patient_id: str | None = None
    study_id: str | None = None
    study_date: date | None = Field(
        default=None,
        description="the day of the query's study: says which studies are prior",
        examples=["2024-05-17"],
    )
    k: int = Field(default=10, ge=1)
    where: str | None = Field(default=None, examples=["type=liver and long_mm=10..30"])
    text: str | None = Field(
        default=None,
        max_length=500,
        description="words that the hits must fit; alone they are the query, beside a lesion they "
        "order its neighbours anew",
        examples=["calcified lung nodule under 1 cm, not spiculated"],
    )

    def query(self) -> LesionQuery:
        """What the form asks; raises LesionSearchError."""
        return LesionQuery.parse(
            box=self.box,
            recist=self.recist,
            point=self.point,
            lesion_id=self.lesion_id,
            vector=self.vector,
            key_slice_index=self.key_slice_index,
            spacing=self.spacing,
            series=self.series,
            assume_hu=self.assume_hu,
            patient_id=self.patient_id,
            study_id=self.study_id,
            study_date=self.study_date,
            k=self.k,
            where=self.where,
            grid=self.grid,
            text=self.text,
        )


class LesionForm(ImageForm):
    """A lesion to index: an image, a mark on it, and whose lesion it is."""

    box: str | None = Field(default=None, examples=["210,188,243,221"])
    recist: str | None = Field(default=None, description="x1,y1,...,x4,y4, long diameter first")
    patient_id: str = Field(pattern=IDENTIFIER, examples=["000123"])
    study_id: str = Field(pattern=IDENTIFIER, examples=["000123_02"])
    series_id: str | None = Field(
        default=None, pattern=IDENTIFIER, description="the study's own id with `_added` if absent"
    )
    lesion_type: str = Field(default="unknown", examples=["liver"])
    study_date: date | None = Field(default=None, examples=["2024-05-17"])
    tags: str = Field(default="", pattern=TAGS, examples=["calcified,biopsied"])

    def query(self) -> LesionQuery:
        """The mark of the lesion; raises LesionSearchError."""
        return LesionQuery.parse(box=self.box, recist=self.recist, grid=self.grid)

    def fields(self) -> LesionFields:
        """What the form says of the lesion; raises LesionError for a type there is none of."""
        return LesionFields(
            patient_id=self.patient_id,
            study_id=self.study_id,
            series_id=self.series_id or f"{self.study_id}_added",
            lesion_type=LesionType.parse(self.lesion_type),
            study_date=self.study_date,
            tags=given_tags(*(tag for tag in self.tags.split(",") if tag)),
        )
