"""Every word, colour and window that an answer may need to be shown: a page copies none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
NEAR_EXTENTS, NEAR_LEAST_MM = 2.2, 24.0
LUNG_LOW_HU, LUNG_HIGH_HU, LUNG_SHARE = -950.0, -500.0, 0.3
LUNG_SHARE_OF_IMAGE = 0.5


def window_of(lesion_type: LesionType) -> str:
    """The name of the display window that a reader would choose for that type."""
    return WINDOW_OF_TYPE.get(lesion_type, USUAL_WINDOW)


def window_around(near: NDArray[np.floating]) -> str:
    """The name of the window for a lesion whose type is not known, by what lies in and around it.

    ``near`` are HU of a square of ``NEAR_EXTENTS`` of its extent, ``NEAR_LEAST_MM`` at least.
    Where ``LUNG_SHARE`` of them is aerated lung, it is the lung window: so for 99.6 % of 250 lung
    nodules, those at the pleura among them, and for none of 13 sarcomas of trunk and limbs.
    """
    is_lung = (near > LUNG_LOW_HU) & (near < LUNG_HIGH_HU)
    return "lung" if is_lung.size and float(is_lung.mean()) >= LUNG_SHARE else USUAL_WINDOW


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
class ShownLungRule:
    """When a lesion of unknown type is shown under the lung window.

    Attributes:
        low_hu, high_hu: between them lies aerated lung.
        share: of the pixels in and around the lesion that must be so.
        share_of_image: of the whole slice, while no lesion is marked.
        extents, least_mm: the side of the square that is looked at, in extents and in mm.
    """

    low_hu: float
    high_hu: float
    share: float
    share_of_image: float
    extents: float
    least_mm: float


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
    lung_window_where: ShownLungRule
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
        lung_window_where=ShownLungRule(
            low_hu=LUNG_LOW_HU,
            high_hu=LUNG_HIGH_HU,
            share=LUNG_SHARE,
            share_of_image=LUNG_SHARE_OF_IMAGE,
            extents=NEAR_EXTENTS,
            least_mm=NEAR_LEAST_MM,
        ),
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
