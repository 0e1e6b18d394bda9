"""The phrases by which a text denies, doubts or remembers, and the words that end their scope."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How a text says a term."""

    RELEVANT = "relevant"
    UNCERTAIN = "uncertain"
    NEGATED = "negated"
    PAST = "past"
    BESIDE = "beside"
    NEXT_TO = "next to"


MOST_WORDS = {
    Status.NEGATED: 10,
    Status.UNCERTAIN: 8,
    Status.PAST: 6,
    Status.BESIDE: 4,
    Status.NEXT_TO: 4,
}
"""How many words a scope reaches."""

BEFORE: dict[Status, tuple[str, ...]] = {
    Status.NEGATED: (
        "no evidence of", "no evidence for", "no sign of", "no signs of", "no definite",
        "no suspicious", "without evidence of", "negative for", "free of", "absence of",
        "absent", "lack of", "lacks", "lacking", "denies", "rather than", "no", "without",
        "w/o", "not", "neither", "nor", "never", "ruled out", "rules out", "excludes",
        "instead of", "resolution of", "resolved", "interval resolution of", "devoid of",
        "disappearance of", "no longer", "aside from", "other than", "except for",
    ),
    Status.UNCERTAIN: (
        "may represent", "may be", "may reflect", "may have", "may", "might represent",
        "might be", "might", "could represent", "could be", "could reflect", "could",
        "possible", "possibly", "probable", "probably", "likely", "suspicious for",
        "suspected", "suspect", "suspicion of", "suspicion for", "suggest", "suggests",
        "suggesting", "suggestive of", "concern for", "concerning for", "worrisome for",
        "cannot exclude", "can not exclude", "cannot rule out", "can not rule out",
        "questionable", "question of", "equivocal", "presumed", "presumably", "perhaps",
        "favor", "favors", "favored", "favoring", "versus", "vs", "rule out", "r/o",
        "differential includes", "differential diagnosis includes", "?", "apparent",
        "not excluded", "unlikely", "equivocal for", "less likely", "potentially", "potential",
    ),
    Status.PAST: (
        "history of", "h/o", "hx of", "history", "status post", "s/p", "post", "previously seen",
        "previously noted", "previously described", "previously identified", "previous",
        "previously", "prior", "past", "remote", "old", "former", "known history of",
        "treated", "compared with", "compared to", "since resection of", "after resection of",
    ),
    Status.BESIDE: (
        "compresses", "compressing", "displaces", "displacing", "surrounds", "surrounding",
        "abuts", "abutting", "encases", "encasing", "effaces", "effacing", "narrowing",
        "deviates", "deviating",
    ),
    Status.NEXT_TO: (
        "medial to", "lateral to", "anterior to", "posterior to", "superior to", "inferior to",
        "cranial to", "caudal to", "adjacent to", "next to", "near", "close to", "ventral to",
        "dorsal to", "distal to", "proximal to",
    ),
}  # fmt: skip
"""Phrases that speak of what comes behind them."""

BEHIND: dict[Status, tuple[str, ...]] = {
    Status.NEGATED: (
        "is not seen", "are not seen", "not seen", "not identified", "not present", "not visible",
        "not visualized", "not evident", "not demonstrated", "not appreciated", "not detected",
        "is absent", "are absent", "absent", "has resolved", "have resolved", "resolved",
        "is resolved", "has disappeared", "have disappeared", "no longer seen",
        "no longer visible", "no longer present", "no longer identified", "is excluded",
        "are excluded", "ruled out", "has been excluded", "is gone", "unlikely",
    ),
    Status.UNCERTAIN: (
        "is possible", "are possible", "is suspected", "are suspected", "suspected",
        "cannot be excluded", "can not be excluded", "not excluded", "not entirely excluded",
        "cannot be ruled out", "not ruled out", "is likely", "is probable", "is considered",
        "is favored", "is questioned", "questionable", "is a possibility", "?", "not certain",
        "uncertain",
    ),
    Status.PAST: (
        "was resected", "was removed", "has been resected", "has been removed", "were removed",
        "were resected", "on the prior study", "on prior study", "on the previous study",
        "on the prior ct", "on prior ct", "on the previous ct", "in the past", "years ago",
        "year ago", "months ago", "previously", "was excised",
    ),
}  # fmt: skip
"""Phrases that speak of what stands before them."""

LOOKS_LIKE = (
    "no change", "no significant change", "no interval change", "no significant interval change",
    "no increase", "no decrease", "not significantly changed", "not changed",
    "without change", "without significant change", "without interval change", "not only",
    "no larger", "no smaller", "not significantly different", "no further growth", "no growth",
    "not enlarged since", "compatible with", "consistent with", "post contrast",
    "too small to characterize", "not calcified", "likely stable",
    "not fully characterized", "not completely characterized", "not well seen",
    "no significant growth", "not otherwise",
)  # fmt: skip
"""Phrases that only look like triggers."""

TURNS = frozenset(
    (".", ";", ":", "but", "however", "although", "though", "which", "except", "yet", "whereas")
)
"""Words at which a sentence turns."""

TURNS_OF = {
    Status.NEGATED: TURNS | {"with", "is", "are", "measuring", "measures", "there", "has"},
    Status.UNCERTAIN: TURNS
    | {"in", "of", "within", "at", "along", "near", "measuring", "measures"},
    Status.PAST: TURNS | {"with", "now", "is", "are", "has", "there", "measuring", "shows"},
    Status.BESIDE: TURNS | {"with", "and", ","},
    Status.NEXT_TO: TURNS | {"with", "and", ",", "in"},
}
"""Words at which a scope of each kind ends."""

CURRENT = frozenset(
    (
        "unchanged", "stable", "again", "persistent", "persists", "increased", "decreased",
        "larger", "smaller", "enlarged", "growing", "grown", "now", "remains", "measures",
        "currently", "redemonstrated",
    )
)  # fmt: skip
"""Words by which a sentence about the past goes on to how it is now."""
