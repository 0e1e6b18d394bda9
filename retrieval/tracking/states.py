"""The states of lesions and links over time, and the words that every answer uses for them.

Figure, page and command line draw from these words, so that one state is never called two names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FollowUpState(StrEnum):
    """What became of a lesion between two studies.

    ``new`` and ``vanished`` need evidence of absence: every lesion of the other study is marked,
    and this one is not among them, or it was looked for there. Without that evidence a lesion is
    ``not marked`` there.
    ``merged`` and ``split`` name what happened from the prior to the current study.
    """

    PERSISTENT = "persistent"
    NEW = "new"
    VANISHED = "vanished"
    NOT_MARKED = "not marked"
    MERGED = "merged"
    SPLIT = "split"
    UNCERTAIN = "uncertain"


class LinkState(StrEnum):
    """How two lesions of different studies are linked."""

    CONFIRMED = "confirmed"
    MATCHED = "matched"
    UNCERTAIN = "uncertain"
    MERGED = "merged"
    SPLIT = "split"


class ComparisonRole(StrEnum):
    """A study's part in a comparison of two: the earlier is the prior, the later the current."""

    PRIOR = "prior"
    CURRENT = "current"


class OrderedBy(StrEnum):
    """How studies were put in order: by date, or by number because not all have a date."""

    DATE = "study_date"
    NUMBER = "study_number"


class Tone(StrEnum):
    """What a state means to whoever colours it."""

    SURE = "sure"
    NEW = "new"
    ABSENT = "absent"
    JOINT = "joint"
    DOUBT = "doubt"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state for people: a short label, a sentence that explains it, and its tone."""

    label: str
    meaning: str
    tone: Tone


FOLLOW_UP_WORDS: Mapping[FollowUpState, StateWords] = {
    FollowUpState.PERSISTENT: StateWords(
        "same lesion", "The same lesion is marked in both studies.", Tone.SURE
    ),
    FollowUpState.NEW: StateWords(
        "new",
        "It is not in the prior study: all lesions are marked there, or it was looked for.",
        Tone.NEW,
    ),
    FollowUpState.VANISHED: StateWords(
        "vanished",
        "It is not in the current study: all lesions are marked there, or it was looked for.",
        Tone.ABSENT,
    ),
    FollowUpState.NOT_MARKED: StateWords(
        "not marked",
        "No mark in this study is this lesion; not every lesion there need be marked.",
        Tone.UNKNOWN,
    ),
    FollowUpState.MERGED: StateWords(
        "merged", "Two lesions of the prior study are one in the current study.", Tone.JOINT
    ),
    FollowUpState.SPLIT: StateWords(
        "split", "One lesion of the prior study is two in the current study.", Tone.JOINT
    ),
    FollowUpState.UNCERTAIN: StateWords(
        "uncertain",
        "A marked lesion may be the same one: the evidence is too weak to say.",
        Tone.DOUBT,
    ),
}

LINK_WORDS: Mapping[LinkState, StateWords] = {
    LinkState.CONFIRMED: StateWords("confirmed by a reader", "A reader confirmed it.", Tone.SURE),
    LinkState.MATCHED: StateWords("same lesion", "The matcher is sure of it.", Tone.SURE),
    LinkState.UNCERTAIN: StateWords(
        "uncertain", "The score lies in the matcher's abstention band.", Tone.DOUBT
    ),
    LinkState.MERGED: FOLLOW_UP_WORDS[FollowUpState.MERGED],
    LinkState.SPLIT: FOLLOW_UP_WORDS[FollowUpState.SPLIT],
}

ROLE_WORDS: Mapping[ComparisonRole, str] = {
    ComparisonRole.PRIOR: "prior",
    ComparisonRole.CURRENT: "current",
}

POSITION_ESTIMATED = "position estimated"
"""Stands wherever a lesion's location was estimated from its image."""
