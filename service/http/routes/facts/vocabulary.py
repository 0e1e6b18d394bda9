"""The HTTP route of the vocabulary."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.figures.vocabulary import vocabulary
from service.http.schemas.vocabulary import VocabularyOut

vocabulary_router = APIRouter(tags=["vocabulary"])


@vocabulary_router.get("/v1/vocabulary", response_model=VocabularyOut)
async def words() -> dict[str, Any]:
    """Types, display windows and states with their words and colours; the same for every index."""
    return vocabulary()
