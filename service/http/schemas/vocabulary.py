"""The JSON of the vocabulary as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel

from retrieval.tracking.states import StateWords
from service.figures.vocabulary import (
    ShownCategory,
    ShownLungRule,
    ShownTerm,
    ShownTone,
    ShownType,
    ShownVocabulary,
    ShownWindow,
)
from service.http.capabilities import Capabilities
from service.http.schemas.answer import answer_of


@answer_of(StateWords)
class StateWordsOut(BaseModel):
    pass


@answer_of(ShownType)
class TypeOut(BaseModel):
    pass


@answer_of(ShownWindow)
class WindowOut(BaseModel):
    pass


@answer_of(ShownLungRule)
class LungRuleOut(BaseModel):
    pass


@answer_of(ShownTone)
class ToneOut(BaseModel):
    pass


@answer_of(ShownCategory)
class CategoryOut(BaseModel):
    pass


@answer_of(ShownTerm)
class TermOut(BaseModel):
    pass


@answer_of(ShownVocabulary)
class VocabularyOut(BaseModel):
    pass


@answer_of(Capabilities)
class CapabilitiesOut(BaseModel):
    pass
