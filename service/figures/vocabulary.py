"""Every word, colour and window that an answer may need to be shown: a page copies none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.image import CT_HU
from retrieval.labels.vocabulary.bundled import vocabulary as bundled_terms
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.labels.words.parsing import WordRole
from retrieval.labels.words.scoring import KNOWN_WORDS, Known
from retrieval.lesion import LesionType, Split
from retrieval.tracking.response.recist import ResponseCategory
from retrieval.tracking.states import (
    FOLLOW_UP_WORDS,
    LINK_WORDS,
    POSITION_ESTIMATED,
    ROLE_WORDS,
    StateWords,
)
from service.figures.colours import CATEGORY_COLOURS, TONE_COLOURS, TYPE_COLOURS

WINDOW_OF_TYPE = {LesionType.LUNG: "lung", LesionType.LIVER: "liver", LesionType.BONE: "bone"}
USUAL_WINDOW = "soft tissue"


def window_of(lesion_type: LesionType) -> str:
    """The name of the display window that a reader would choose for that type."""
    return WINDOW_OF_TYPE.get(lesion_type, USUAL_WINDOW)


@dataclass(frozen=True, slots=True)
class ShownType:
    """How lesions of one type are shown.

    Attributes:
        colour: on a dark ground.
        window: the display window that a reader would choose.
    """

    colour: str
    window: str


@dataclass(frozen=True, slots=True)
class ShownWindow:
    """A display window in HU."""

    low_hu: float
    high_hu: float


@dataclass(frozen=True, slots=True)
class ShownTone:
    """How states of one tone are shown."""

    colour: str


@dataclass(frozen=True, slots=True)
class ShownCategory:
    """A RECIST category for people."""

    label: str
    colour: str


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """A term that words may name: what a search field completes.

    Attributes:
        name: what tags call it.
        kind: body part, type or attribute.
        synonyms: phrases that mean it, its name among them.
    """

    name: str
    kind: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownVocabulary:
    """Words, colours and windows by the values that answers carry.

    Attributes:
        tag_sources: where a tag, or what a search by words knows of a term, comes from.
        word_roles: what a search by words asks of its parts.
        position_estimated: stands wherever a location was estimated.
    """

    lesion_types: Mapping[str, ShownType]
    splits: tuple[str, ...]
    windows: Mapping[str, ShownWindow]
    usual_window: str
    terms: tuple[ShownTerm, ...]
    tag_sources: Mapping[str, str]
    word_roles: tuple[str, ...]
    follow_up_states: Mapping[str, StateWords]
    link_states: Mapping[str, StateWords]
    roles: Mapping[str, str]
    position_estimated: str
    tones: Mapping[str, ShownTone]
    response_categories: Mapping[str, ShownCategory]


def vocabulary(known: Vocabulary | None = None) -> ShownVocabulary:
    """What ``GET /v1/vocabulary`` answers; its terms are those of ``known``, or the bundled."""
    return ShownVocabulary(
        lesion_types={
            one.value: ShownType(TYPE_COLOURS[one], window_of(one)) for one in LesionType
        },
        splits=tuple(one.value for one in Split if one is not Split.UNKNOWN),
        windows={name: ShownWindow(*limits) for name, limits in CT_HU.windows.items()},
        usual_window=USUAL_WINDOW,
        terms=tuple(
            ShownTerm(term.name, term.kind.value, term.synonyms)
            for term in (known or bundled_terms()).terms.values()
            if term.synonyms
        ),
        tag_sources={source.value: KNOWN_WORDS[source] for source in Known},
        word_roles=tuple(role.value for role in WordRole),
        follow_up_states={state.value: words for state, words in FOLLOW_UP_WORDS.items()},
        link_states={state.value: words for state, words in LINK_WORDS.items()},
        roles={role.value: word for role, word in ROLE_WORDS.items()},
        position_estimated=POSITION_ESTIMATED,
        tones={tone.value: ShownTone(colour) for tone, colour in TONE_COLOURS.items()},
        response_categories={
            one.value: ShownCategory(_label(one), CATEGORY_COLOURS[one]) for one in ResponseCategory
        },
    )


def _label(category: ResponseCategory) -> str:
    return category.name.lower().replace("_", " ")
