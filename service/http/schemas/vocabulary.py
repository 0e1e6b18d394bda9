"""The JSON of the vocabulary as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field

from retrieval.tracking.states import StateWords
from service.http.capabilities import Capabilities
from service.http.schemas.answer import answer_of


@answer_of(StateWords)
class StateWordsOut(BaseModel):
    pass


class TypeOut(BaseModel):
    """How lesions of one type are shown."""

    colour: str = Field(description="on a dark ground")
    window: str = Field(description="the display window that a reader would choose")


class WindowOut(BaseModel):
    """A display window in HU."""

    low_hu: float
    high_hu: float


class ToneOut(BaseModel):
    """How states of one tone are shown."""

    colour: str


class CategoryOut(BaseModel):
    """A RECIST category for people."""

    label: str
    colour: str


class TermOut(BaseModel):
    """A term that words may name: what a search field completes."""

    name: str
    kind: str = Field(description="body part, type or attribute")
    synonyms: list[str] = Field(description="phrases that mean it, its name among them")


class VocabularyOut(BaseModel):
    """Words, colours and windows by the values that answers carry."""

    lesion_types: dict[str, TypeOut]
    splits: list[str]
    windows: dict[str, WindowOut]
    usual_window: str
    terms: list[TermOut]
    tag_sources: dict[str, str] = Field(
        description="where a tag, or what a search by words knows of a term, comes from"
    )
    word_roles: list[str] = Field(description="what a search by words asks of its parts")
    follow_up_states: dict[str, StateWordsOut]
    link_states: dict[str, StateWordsOut]
    roles: dict[str, str]
    position_estimated: str = Field(description="stands wherever a location was estimated")
    tones: dict[str, ToneOut]
    response_categories: dict[str, CategoryOut]


@answer_of(Capabilities)
class CapabilitiesOut(BaseModel):
    pass
