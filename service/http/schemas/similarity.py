"""The JSON of the scale of similarities."""

from __future__ import annotations

from pydantic import BaseModel

from service.engine.similarity_scale import SimilarityScale
from service.http.schemas.answer import answer_of


@answer_of(SimilarityScale)
class SimilarityScaleOut(BaseModel):
    pass
