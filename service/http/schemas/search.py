"""The service's JSON as pydantic models: DESIGN.md's names, shown in OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from retrieval.labels.words.parsing import Chip, UnknownWord, WordQuery
from retrieval.labels.words.scoring import WordReason
from retrieval.lesion import Lesion
from retrieval.measured_size import MeasuredSizes, MeasuredValue
from retrieval.tag import Tag
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.track_types import FollowUp
from service.engine.recognition import RecognisedMark
from service.engine.results import Candidate, Hit, HitTerms, SearchResult, Timing
from service.http.schemas.answer import answer_of
from service.http.schemas.request import RequestModel


@answer_of(Tag, omit=["model"])
class TagOut(BaseModel):
    pass


class TagCorrection(RequestModel):
    """A reader's word on one term of a lesion."""

    term: str = Field(max_length=200, description="a term of the vocabulary, or a synonym")
    holds: bool | None = Field(
        description="whether the lesion has the term; null takes an earlier word back"
    )


@answer_of(MeasuredValue)
class MeasuredValueOut(BaseModel):
    pass


@answer_of(MeasuredSizes)
class MeasuredSizesOut(BaseModel):
    pass


@answer_of(Lesion, omit=["category_confidence"])
class LesionOut(BaseModel):
    pass


@answer_of(Candidate)
class CandidateOut(BaseModel):
    pass


@answer_of(HitTerms)
class HitTermsOut(BaseModel):
    pass


@answer_of(WordReason)
class WordReasonOut(BaseModel):
    pass


@answer_of(Chip)
class ChipOut(BaseModel):
    pass


@answer_of(UnknownWord)
class UnknownWordOut(BaseModel):
    pass


@answer_of(WordQuery, omit=["must", "should", "excluded", "limits"])
class WordsOut(BaseModel):
    pass


@answer_of(Hit, omit=["match", "words"])
class HitOut(BaseModel):
    pass


class WordHitOut(HitOut):
    """A hit of a search with words: how well it fits them, and why."""

    match: float = Field(description="how well it fits the words, in [0, 1]")
    words: list[WordReasonOut] = Field(description="why, a reason for each term of the words")


@answer_of(MatchTerms)
class MatchTermsOut(BaseModel):
    pass


@answer_of(FollowUp, omit=("searched",))
class FollowUpOut(BaseModel):
    notes: list[str] = Field(
        description="what to know of the comparison: position estimated, what a search covered"
    )


@answer_of(Timing)
class TimingOut(BaseModel):
    total: float = Field(description="the sum of the steps")


@answer_of(RecognisedMark)
class RecognisedOut(BaseModel):
    pass


class EncoderOut(BaseModel):
    """Which encoder made the query's vector."""

    name: str
    fingerprint: str
    dimension: int


class SearchedOut(BaseModel):
    """What was searched."""

    lesions: int


@answer_of(SearchResult, omit=["words"])
class SearchOut(BaseModel):
    encoder: EncoderOut
    index: SearchedOut


class WordSearchOut(SearchOut):
    """The answer to a query with words: as without, and what was understood of them."""

    hits: list[WordHitOut]
    words: WordsOut


class LesionPage(BaseModel):
    """Some of the indexed lesions, in the order of their ids."""

    lesions: list[LesionOut]
    next_after: str | None = Field(description="send as `after` for the next page; null at the end")


class Health(BaseModel):
    """Whether the process runs."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether it can answer, and of how many lesions."""

    status: Literal["ready"]
    lesions: int


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = Field(default=None, description="also in X-Request-ID and the log")
