"""Words into what must hold, should hold and must not, with limits; what is unknown is told.

    calcified lung nodule under 1 cm, not spiculated

The words are read as a report is (``retrieval.labels.text``): what is denied must not hold, what
is uncertain or an alternative (``nodule or mass``) should. A term that another one implies is
left out: a lung nodule is in the lung.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from retrieval.labels.text.reading import SaidTerm, TextReader
from retrieval.labels.text.tokens import levelled, tokenise
from retrieval.labels.text.triggers import BEFORE, BEHIND, CURRENT, Status
from retrieval.labels.vocabulary.terms import VocabularyError
from retrieval.labels.words.limits import Limit, limits_of, side_limit

MOST_CHARACTERS = 500
"""The longest search by words."""

MOST_TERMS = 24
"""Terms of one search."""


class WordRole(StrEnum):
    """What a search asks of a term."""

    MUST = "must"
    SHOULD = "should"
    NOT = "not"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Chip:
    """One part of a search as it was understood, which a reader may take away.

    Attributes:
        role: must, should or not for a term; filter for a limit.
        label: the part for people, such as `calcified` or `long diameter up to 10 mm`.
        term: the vocabulary's name of it; null for a limit.
        words: the words that said it.
        text_without: the search without these words: what to send once it is taken away.
    """

    role: WordRole
    label: str
    term: str | None
    words: str
    text_without: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "role": self.role.value,
            "label": self.label,
            "term": self.term,
            "words": self.words,
            "text_without": self.text_without,
        }


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A word that says nothing to the search, with the nearest known terms."""

    word: str
    nearest: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"word": self.word, "nearest": list(self.nearest)}


@dataclass(frozen=True)
class WordQuery:
    """A search by words, understood.

    Attributes:
        text: the words as they were typed.
        must: terms that must hold.
        should: terms that should.
        excluded: terms that must not hold.
        limits: sizes, days, patients and sides.
        chips: all of it in the order of the words.
        unknown: words that say nothing to the search.
    """

    text: str
    must: tuple[str, ...]
    should: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    chips: tuple[Chip, ...] = ()
    unknown: tuple[UnknownWord, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Whether nothing of it was understood."""
        return not (self.must or self.should or self.excluded or self.limits)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "text": self.text,
            "chips": [chip.to_json() for chip in self.chips],
            "unknown": [word.to_json() for word in self.unknown],
        }


def parse_words(text: str, reader: TextReader) -> WordQuery:
    """What some words ask for.

    Raises VocabularyError for words that are too many, or of which none is understood.
    """
    if len(text) > MOST_CHARACTERS:
        raise VocabularyError(
            f"the search has {len(text)} characters: at most {MOST_CHARACTERS} are accepted"
        )
    level = levelled(text)
    limits = limits_of(level)
    said = _without_implied(reader.said(_blanked(level, limits)), reader)
    limits += _sides(level, limits, said)
    limits = [_as_written(limit, text) for limit in limits]
    roles = {one: _role(one, level, said) for one in said}
    used = [one for one, role in roles.items() if role is not None]
    named = {
        role: tuple(dict.fromkeys(one.term for one in used if roles[one] is role))
        for role in WordRole
    }
    must = named[WordRole.MUST]
    query = WordQuery(
        text,
        must,
        tuple(term for term in named[WordRole.SHOULD] if term not in must),
        tuple(term for term in named[WordRole.NOT] if term not in must),
        tuple(limits),
        _chips(level, {one: role for one, role in roles.items() if role is not None}, limits),
        _unknown(level, said, limits, reader),
    )
    if len(used) > MOST_TERMS:
        raise VocabularyError(f"the search names {len(used)} terms: at most {MOST_TERMS}")
    if query.says_nothing:
        raise VocabularyError(_nothing(text, query.unknown))
    return query


def _without_implied(said: Sequence[SaidTerm], reader: TextReader) -> list[SaidTerm]:
    """Without terms that another one of the same status implies, each term once."""
    kept: dict[tuple[str, Status], SaidTerm] = {}
    for one in said:
        implied = any(
            one.term in reader.vocabulary.ancestors(other.term)
            for other in said
            if other.status is one.status
        )
        if not implied:
            kept.setdefault((one.term, one.status), one)
    return list(kept.values())


def _role(said: SaidTerm, level: str, others: Sequence[SaidTerm]) -> WordRole | None:
    """What is asked of a term; None for one of the past, or beside the lesion.

    ``possibly`` speaks of the next term alone: a possibly cavitary lung mass is a lung mass.
    """
    if said.status is Status.NEGATED:
        return WordRole.NOT
    if _is_alternative(said, level):
        return WordRole.SHOULD
    if said.status is Status.UNCERTAIN:
        follows = any(
            other.status is Status.UNCERTAIN
            and other.end <= said.start
            and not level[other.end : said.start].strip()
            for other in others
        )
        return WordRole.MUST if follows else WordRole.SHOULD
    return WordRole.MUST if said.status is Status.RELEVANT else None


def _as_written(limit: Limit, text: str) -> Limit:
    """The limit with a patient's id in the case in which it was typed."""
    place = text.lower().find(limit.name) if limit.name else -1
    return limit if place < 0 else replace(limit, name=text[place : place + len(limit.name)])


def _is_alternative(said: SaidTerm, level: str) -> bool:
    before, behind = level[: said.start].rstrip(), level[said.end :].lstrip()
    return before.endswith((" or", " ideally", " preferably")) or behind.startswith("or ")


def _sides(level: str, limits: Sequence[Limit], said: Sequence[SaidTerm]) -> list[Limit]:
    """The sides that are no part of a term."""
    taken = {start for one in said for start in one.words}
    return [
        side_limit(match[0], match.start(), match.end())
        for match in re.finditer(r"\b(?:left|right)\b", level)
        if match.start() not in taken and not _is_within(limits, match.start())
    ][:1]


def _chips(
    level: str, roles: dict[SaidTerm, WordRole], limits: Sequence[Limit]
) -> tuple[Chip, ...]:
    parts = [
        (one.start, one.end, Chip(role, one.term, one.term, *_cut(level, one.words)))
        for one, role in roles.items()
    ]
    for limit in limits:
        words = level[limit.start : limit.end].strip()
        without = _tidy(level[: limit.start] + " " + level[limit.end :])
        chip = Chip(WordRole.FILTER, limit.words, None, words, without)
        parts.append((limit.start, limit.end, chip))
    return tuple(chip for _, _, chip in sorted(parts, key=lambda part: part[:2]))


def _cut(level: str, starts: frozenset[int]) -> tuple[str, str]:
    """The words that begin at some places, and the text without them."""
    tokens = tokenise(level)
    words = [token.word for token in tokens if token.start in starts]
    kept, place = "", 0
    for token in tokens:
        if token.start in starts:
            kept += level[place : token.start]
            place = token.end
    return " ".join(words), _tidy(kept + level[place:])


_LEFT_OVER = re.compile(r"(?:^|(?<=[,;]))\s*(?:not|no|without|and|or|with|,)\s*(?=[,;]|$)")


def _tidy(text: str) -> str:
    """The text without words and commas that join or deny nothing any more."""
    text = _LEFT_OVER.sub(" ", text)
    text = re.sub(r",[\s,]*,", ", ", text)
    text = re.sub(r"\b(?:not|no|without|and|or|with|in|the|since)\s*$", "", text.strip())
    text = re.sub(r"^(?:and|or|,)\s+", "", text)
    return " ".join(text.split()).strip(" ,;")


def _unknown(
    level: str, said: Sequence[SaidTerm], limits: Sequence[Limit], reader: TextReader
) -> tuple[UnknownWord, ...]:
    known = {start for one in reader.said(_blanked(level, limits)) for start in one.words}
    known |= {start for one in said for start in one.words}
    words = [
        token.word
        for token in tokenise(level)
        if token.start not in known
        and not _is_within(limits, token.start)
        and token.word.isalpha()
        and len(token.word) > 1
        and token.word not in _SAY_NOTHING
    ]
    nearest = reader.vocabulary.nearest
    return tuple(UnknownWord(word, tuple(nearest(word))) for word in dict.fromkeys(words))


def _blanked(level: str, limits: Sequence[Limit]) -> str:
    for limit in limits:
        level = level[: limit.start] + " " * (limit.end - limit.start) + level[limit.end :]
    return level


def _is_within(limits: Sequence[Limit], place: int) -> bool:
    return any(limit.start <= place < limit.end for limit in limits)


def _nothing(text: str, unknown: Sequence[UnknownWord]) -> str:
    near = [term for word in unknown for term in word.nearest]
    hint = (
        f"the nearest known terms are {', '.join(near[:5])}"
        if near
        else ("write terms such as 'calcified lung nodule under 1 cm'")
    )
    return f"nothing of {text[:60]!r} is understood: {hint}"


_SAY_NOTHING = frozenset(
    (
        "lesion", "lesions", "finding", "findings", "and", "or", "with", "in", "on", "at", "of",
        "the", "an", "to", "for", "from", "by", "is", "are", "be", "that", "which", "has", "have",
        "having", "show", "find", "me", "all", "any", "some", "like", "similar", "case", "cases",
        "patient", "patients", "side", "sided", "lobe", "segment", "region", "area", "size",
        "sized", "diameter", "measuring", "than", "but", "ct", "scan", "study", "studies",
        "please", "there", "it", "its", "as", "within", "along", "only", "ideally", "preferably",
    )
) | (CURRENT - {"enlarged", "growing", "grown", "increased", "decreased"}) | {
    word for table in (BEFORE, BEHIND) for listed in table.values() for one in listed
    for word in one.split()
}  # fmt: skip
