"""The JSON of detection as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel

from service.engine.results import DetectedLesions, DetectorIdentity
from service.http.schemas import search  # noqa: F401 (its models are parts of these)
from service.http.schemas.answer import answer_of


@answer_of(DetectorIdentity)
class DetectorOut(BaseModel):
    pass


@answer_of(DetectedLesions)
class DetectOut(BaseModel):
    pass
