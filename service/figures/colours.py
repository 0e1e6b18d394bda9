"""The colours of lesion types and of states on a dark ground: figures and page show the same."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval.lesion import LesionType
from retrieval.tracking.response.recist import ResponseCategory
from retrieval.tracking.states import Tone

QUERY_COLOUR = "#f2cc60"
HIT_COLOUR = "#58a6ff"
FOLLOW_UP_COLOUR = "#56d364"
DOUBT_COLOUR = "#a4adb8"
JOINT_COLOUR = "#c297ff"
PROGRESSION_COLOUR = "#ff8f86"

TYPE_COLOURS: Mapping[LesionType, str] = {
    LesionType.BONE: "#c8a27c",
    LesionType.ABDOMEN: "#f0b429",
    LesionType.MEDIASTINUM: "#ea6fae",
    LesionType.LIVER: "#f2695c",
    LesionType.LUNG: "#5ea8f2",
    LesionType.KIDNEY: "#a98bfa",
    LesionType.SOFT_TISSUE: "#4fc48f",
    LesionType.PELVIS: "#5fd3e0",
    LesionType.UNKNOWN: "#a4adb8",
}
"""Each type keeps its colour in all views."""

TONE_COLOURS: Mapping[Tone, str] = {
    Tone.SURE: FOLLOW_UP_COLOUR,
    Tone.NEW: HIT_COLOUR,
    Tone.JOINT: JOINT_COLOUR,
    Tone.DOUBT: DOUBT_COLOUR,
    Tone.ABSENT: DOUBT_COLOUR,
    Tone.UNKNOWN: DOUBT_COLOUR,
}

CATEGORY_COLOURS: Mapping[ResponseCategory, str] = {
    ResponseCategory.COMPLETE_RESPONSE: FOLLOW_UP_COLOUR,
    ResponseCategory.PARTIAL_RESPONSE: FOLLOW_UP_COLOUR,
    ResponseCategory.STABLE_DISEASE: HIT_COLOUR,
    ResponseCategory.PROGRESSIVE_DISEASE: PROGRESSION_COLOUR,
    ResponseCategory.NOT_EVALUABLE: DOUBT_COLOUR,
}
