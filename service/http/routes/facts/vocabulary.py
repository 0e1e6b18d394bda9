"""The HTTP route of the vocabulary."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.figures.vocabulary import ShownVocabulary, vocabulary
from service.http.schemas.vocabulary import VocabularyOut

vocabulary_router = APIRouter(tags=["vocabulary"])


@vocabulary_router.get("/v1/vocabulary", response_model=VocabularyOut)
async def words(request: Request) -> ShownVocabulary:
    """Types, display windows and states with their words and colours, and the terms of searches."""
    service = getattr(request.app.state, "service", None)
    return vocabulary(None if service is None else service.engine.words.reader.vocabulary)
