"""Every word, colour and window that an answer may need to be shown: a page copies none of them."""

from __future__ import annotations

from typing import Any

from retrieval.image import CT_HU
from retrieval.labels.vocabulary.bundled import vocabulary as bundled_terms
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.labels.words.parsing import WordRole
from retrieval.labels.words.scoring import KNOWN_WORDS, Known
from retrieval.lesion import LesionType, Split
from retrieval.tracking.response.recist import ResponseCategory
from retrieval.tracking.states import tracking_vocabulary
from service.figures.colours import CATEGORY_COLOURS, TONE_COLOURS, TYPE_COLOURS

WINDOW_OF_TYPE = {LesionType.LUNG: "lung", LesionType.LIVER: "liver", LesionType.BONE: "bone"}
USUAL_WINDOW = "soft tissue"


def window_of(lesion_type: LesionType) -> str:
    """The name of the display window that a reader would choose for that type."""
    return WINDOW_OF_TYPE.get(lesion_type, USUAL_WINDOW)


def vocabulary(known: Vocabulary | None = None) -> dict[str, Any]:
    """The document of ``GET /v1/vocabulary``; its terms are those of ``known``, or the bundled."""
    return {
        "lesion_types": {
            one.value: {"colour": TYPE_COLOURS[one], "window": window_of(one)} for one in LesionType
        },
        "splits": [one.value for one in Split if one is not Split.UNKNOWN],
        "windows": {
            name: {"low_hu": low, "high_hu": high} for name, (low, high) in CT_HU.windows.items()
        },
        "usual_window": USUAL_WINDOW,
        "terms": [
            {"name": term.name, "kind": term.kind.value, "synonyms": list(term.synonyms)}
            for term in (known or bundled_terms()).terms.values()
            if term.synonyms
        ],
        "tag_sources": {source.value: KNOWN_WORDS[source] for source in Known},
        "word_roles": [role.value for role in WordRole],
        **tracking_vocabulary(),
        "tones": {tone.value: {"colour": colour} for tone, colour in TONE_COLOURS.items()},
        "response_categories": {
            one.value: {
                "label": _label(one),
                "colour": CATEGORY_COLOURS[one],
            }
            for one in ResponseCategory
        },
    }


def _label(category: ResponseCategory) -> str:
    return category.name.lower().replace("_", " ")
