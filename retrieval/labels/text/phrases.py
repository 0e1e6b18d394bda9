"""The vocabulary's phrases found among the words of a text: every match, long ones and nested."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from retrieval.labels.text.tokens import Token, levelled, tokenise
from retrieval.labels.vocabulary.terms import TermKind, Vocabulary

SHORTEST_CORRECTED = 8
"""Letters of a word whose spelling is corrected: shorter words are too alike."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A term said by the tokens ``first`` to ``last`` - 1.

    ``parts`` are the spans (first, last) of a term that is said in parts, empty for a phrase.
    """

    term: str
    first: int
    last: int
    parts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def composed(cls, term: str, *spans: tuple[int, int]) -> Mention:
        """A term that is said by several spans together."""
        firsts, lasts = zip(*spans, strict=True)
        return cls(term, min(firsts), max(lasts), spans)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """What says it: its parts, or its one span."""
        return self.parts or ((self.first, self.last),)

    def holds(self, other: Mention) -> bool:
        """Whether the other's tokens are among these, and fewer."""
        within = self.first <= other.first and other.last <= self.last
        return within and self.last - self.first > other.last - other.first


@dataclass
class _Node:
    terms: list[str] = field(default_factory=list)
    after: dict[str, _Node] = field(default_factory=dict)


class PhraseMatcher:
    """Finds phrases by their words; a text of n words takes a time proportional to n."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._root = _Node()
        self.words: frozenset[str] = frozenset()
        """Every stem that some phrase has."""
        known: set[str] = set()
        for term in vocabulary.terms.values():
            for phrase in (*term.synonyms, *_turned_round(vocabulary, term.name)):
                stems = stems_of(phrase)
                known.update(stems)
                self._add(stems, term.name)
        self.words = frozenset(known)
        self._respelled = _one_letter_less(self.words)

    def corrected(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with long words that are one letter away from a known word as that word."""
        return [self._corrected(token) for token in tokens]

    def _corrected(self, token: Token) -> Token:
        stem = token.stem
        if len(stem) < SHORTEST_CORRECTED or stem in self.words or not stem.isalpha():
            return token
        near = {word for form in _forms(stem) for word in self._respelled.get(form, ())}
        near = {word for word in near if _is_slip(stem, word)}
        return replace(token, stem=near.pop()) if len(near) == 1 else token

    def mentions(self, tokens: Sequence[Token]) -> list[Mention]:
        """Every term that the words say, in their order.

        A body part inside the phrase of another one counts only if the other implies it: the
        femoral nodes are no femur. So does an attribute: what is part solid is not solid.
        """
        found = [one for start in range(len(tokens)) for one in self._from(tokens, start)]
        found = list(dict.fromkeys(found))
        return [one for one in found if not any(self._swallows(other, one) for other in found)]

    def _swallows(self, outer: Mention, inner: Mention) -> bool:
        if not outer.holds(inner) or outer.term == inner.term:
            return False
        terms = self._vocabulary.terms
        kinds = {terms[name].kind for name in (outer.term, inner.term)}
        are_alike = len(kinds) == 1 and TermKind.TYPE not in kinds
        return are_alike and inner.term not in self._vocabulary.ancestors(outer.term)

    def _from(self, tokens: Sequence[Token], start: int) -> Iterator[Mention]:
        node: _Node | None = self._root
        for place in range(start, len(tokens)):
            if tokens[place].word in "-/" and place > start:
                continue
            node = node.after.get(tokens[place].stem) if node is not None else None
            if node is None:
                return
            for term in node.terms:
                yield Mention(term, start, place + 1)

    def _add(self, stems: Sequence[str], term: str) -> None:
        node = self._root
        for one in stems:
            node = node.after.setdefault(one, _Node())
        if term not in node.terms:
            node.terms.append(term)


def _one_letter_less(words: Collection[str]) -> dict[str, set[str]]:
    """Long words by what is left of them without one letter, and by themselves."""
    found: dict[str, set[str]] = {}
    for word in words:
        if len(word) >= SHORTEST_CORRECTED:
            for form in _forms(word):
                found.setdefault(form, set()).add(word)
    return found


def _is_slip(written: str, word: str) -> bool:
    """Whether a letter is doubled, lacking or changed places with the next.

    Another letter in one place makes another word too often: pericarinal is not pericardial.
    """
    if len(written) == len(word):
        unlike = [n for n in range(len(word)) if written[n] != word[n]]
        return len(unlike) == 2 and sorted(written) == sorted(word) and unlike[1] == unlike[0] + 1
    shorter, longer = sorted((written, word), key=len)
    return len(longer) == len(shorter) + 1 and shorter in _forms(longer)


def _forms(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def stems_of(phrase: str) -> tuple[str, ...]:
    """The levelled words of a phrase."""
    return tuple(token.stem for token in tokenise(levelled(phrase)) if token.is_word)


def _turned_round(vocabulary: Vocabulary, name: str) -> Iterator[str]:
    """``head of the pancreas`` for ``pancreatic head``, from the synonyms of the parents."""
    term = vocabulary.terms[name]
    for phrase in term.synonyms:
        adjective, _, part = phrase.lower().partition(" ")
        for parent in term.parents:
            names = [other.lower() for other in vocabulary.terms[parent].synonyms]
            if part and adjective in names:
                for whole in names:
                    yield f"{part} of {whole}"
                    yield f"{part} of the {whole}"
