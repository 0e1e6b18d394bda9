"""Terms of lesions and what follows from them: parents hold too, exclusive terms do not."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from retrieval.lesion import LesionSearchError


class VocabularyError(LesionSearchError):
    """A vocabulary or a term that cannot be."""


class TermKind(StrEnum):
    """What a term says of a lesion."""

    BODY_PART = "body part"
    TYPE = "type"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True)
class Term:
    """One term of a vocabulary.

    Attributes:
        name: what tags call it.
        kind: body part, type or attribute.
        synonyms: phrases of reports that mean it, its name among them; none for a term that is
            only ever implied by others.
        parents: terms that hold wherever this one does.
        exclusive: terms that never hold together with it.
        code: its number in the vocabulary that it comes from, such as `LesaNet:507`, or null.
    """

    name: str
    kind: TermKind
    synonyms: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    exclusive: tuple[str, ...] = ()
    code: str | None = None


class Vocabulary:
    """Terms by name, with their closures."""

    def __init__(self, terms: Iterable[Term]) -> None:
        """Puts a vocabulary together; raises VocabularyError for a term that names no other."""
        self.terms: Mapping[str, Term] = {term.name: term for term in terms}
        for term in self.terms.values():
            for other in (*term.parents, *term.exclusive):
                if other not in self.terms:
                    raise VocabularyError(
                        f"term {term.name!r} names {other!r}, which is no term of the vocabulary: "
                        "add it, or correct its spelling"
                    )

    def __contains__(self, name: object) -> bool:
        return name in self.terms

    def __len__(self) -> int:
        return len(self.terms)

    def named(self, words: str) -> Term:
        """The term of a name or synonym; raises VocabularyError with the nearest known ones."""
        cleaned = " ".join(words.lower().split())
        name = self._names.get(cleaned)
        if name is None:
            raise VocabularyError(
                f"term {words[:60]!r} is not in the vocabulary: {self._suggestion(cleaned)}"
            )
        return self.terms[name]

    def nearest(self, words: str, *, most: int = 3) -> list[str]:
        """Names of the terms whose spelling is nearest to some words, nearest first."""
        found = difflib.get_close_matches(words.lower(), self._names, n=4 * most, cutoff=0.7)
        return list(dict.fromkeys(self._names[phrase] for phrase in found))[:most]

    def expand(self, names: Collection[str]) -> frozenset[str]:
        """The terms with every term that they imply."""
        implied: set[str] = set(names)
        for name in names:
            implied |= self._ancestors[name]
        return frozenset(implied)

    def ancestors(self, name: str) -> frozenset[str]:
        """Every term that one implies, itself left out."""
        return self._ancestors[name]

    def descendants(self, name: str) -> frozenset[str]:
        """Every term that implies this one, itself left out."""
        return self._descendants[name]

    def exclusive(self, name: str) -> frozenset[str]:
        """The terms that cannot hold with one.

        What excludes a term excludes whatever implies it, on both sides (LesaNet, section 3.1).
        """
        if name not in self._exclusive:
            found: set[str] = set()
            for own in (name, *self._ancestors[name]):
                for other in self._direct_exclusive[own]:
                    found |= {other, *self._descendants[other]}
            # Some listed pairs contradict the listed parents; what is implied is never excluded.
            found -= {name} | self._ancestors[name] | self._descendants[name]
            self._exclusive[name] = frozenset(found)
        return self._exclusive[name]

    @cached_property
    def _exclusive(self) -> dict[str, frozenset[str]]:
        """What ``exclusive`` has answered; thousands of lesions ask the same of a search."""
        return {}

    @cached_property
    def _ancestors(self) -> Mapping[str, frozenset[str]]:
        closed: dict[str, frozenset[str]] = {}
        for name in self.terms:
            found: set[str] = set()
            waiting = list(self.terms[name].parents)
            while waiting:
                parent = waiting.pop()
                if parent not in found:
                    found.add(parent)
                    waiting += self.terms[parent].parents
            closed[name] = frozenset(found - {name})
        return closed

    @cached_property
    def _descendants(self) -> Mapping[str, frozenset[str]]:
        below: dict[str, set[str]] = {name: set() for name in self.terms}
        for name, ancestors in self._ancestors.items():
            for ancestor in ancestors:
                below[ancestor].add(name)
        return {name: frozenset(found) for name, found in below.items()}

    @cached_property
    def _direct_exclusive(self) -> Mapping[str, frozenset[str]]:
        pairs: dict[str, set[str]] = {name: set() for name in self.terms}
        for term in self.terms.values():
            for other in term.exclusive:
                pairs[term.name].add(other)
                pairs[other].add(term.name)
        return {name: frozenset(found) for name, found in pairs.items()}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        names = {
            phrase.lower(): term.name for term in self.terms.values() for phrase in term.synonyms
        }
        return {**names, **{name.lower(): name for name in self.terms}}

    def _suggestion(self, words: str) -> str:
        near = self.nearest(words)
        if not near:
            return "`GET /v1/vocabulary` and docs/tags.md list the terms"
        return f"the nearest known are {', '.join(near)}"
