"""Terms that a text says in parts: a side and an organ, a site and a node, an organ and a type.

Every rule is made of the vocabulary's own names, so that it holds for a user's terms too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrieval.labels.text.phrases import Mention, stems_of
from retrieval.labels.text.tokens import Token
from retrieval.labels.vocabulary.terms import TermKind, Vocabulary

NODE = "lymph node"
_NODE_ENDINGS = (("lymph", "node"), ("node",), ("adenopathy",), ("lymphadenopathy",))
_SIDES = ("left", "right")
_LOBES = ("upper", "middle", "mid", "lower")


@dataclass(frozen=True)
class TextRules:
    """Which rules read a text, and how far apart parts may stand, in words.

    Attributes:
        side_gap: words between a side and its organ; negative turns the rule off.
        lobe_gap: words between a side and `upper lobe`; negative turns the rule off.
        node_gap: words between a site and a node of it; negative turns the rule off.
        pairs: whether organ and type make the term of both (lung, nodule).
        vertebrae: whether L3 is the spine.
    """

    side_gap: int = 3
    lobe_gap: int = 3
    node_gap: int = 12
    pairs: bool = True
    vertebrae: bool = True


class Composer:
    """Composes mentions; prepared once for a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, rules: TextRules) -> None:
        self._vocabulary = vocabulary
        self._rules = rules
        self._sided = _sided(vocabulary)
        self._sites = _sites(vocabulary)
        self._pairs = _pairs(vocabulary)

    def composed(self, tokens: Sequence[Token], said: Sequence[Mention]) -> list[Mention]:
        """The mentions that follow from the parts, which are not among ``said``."""
        found = [
            *self._of_sides(tokens, said),
            *self._of_lobes(tokens),
            *self._of_sites(tokens, said),
            *self._of_vertebrae(tokens),
        ]
        if self._rules.pairs:
            found += self._of_pairs([*said, *found])
        known = {(one.term, one.first, one.last) for one in said}
        return [one for one in dict.fromkeys(found) if (one.term, one.first, one.last) not in known]

    def _of_sides(self, tokens: Sequence[Token], said: Sequence[Mention]) -> Iterator[Mention]:
        for mention in said:
            for side in _SIDES:
                whole = self._sided.get((side, mention.term))
                place = self._side_before(tokens, said, mention, side) if whole else None
                if whole is not None and place is not None:
                    yield Mention.composed(whole, (place, place + 1), *mention.spans)

    def _side_before(
        self, tokens: Sequence[Token], said: Sequence[Mention], mention: Mention, side: str
    ) -> int | None:
        """Where the side stands that this mention belongs to, None if there is none."""
        start = max(0, mention.first - 1 - self._rules.side_gap)
        for place in range(mention.first - 1, start - 1, -1):
            word = tokens[place].word
            if word == side:
                return place
            if word in _SIDES or not tokens[place].is_word or word in ("and", "to", "of"):
                return None
            if self._is_other_place(said, place, mention):
                return None
        return None

    def _is_other_place(self, said: Sequence[Mention], place: int, mention: Mention) -> bool:
        """Whether the word at a place says a body part that the mention does not imply."""
        own = {mention.term, *self._vocabulary.ancestors(mention.term)}
        terms = self._vocabulary.terms
        return any(
            one.first <= place < one.last
            and terms[one.term].kind is TermKind.BODY_PART
            and one.term not in own
            and mention.term not in self._vocabulary.ancestors(one.term)
            and one.term not in ("hilum", "perihilar")
            for one in said
        )

    def _of_lobes(self, tokens: Sequence[Token]) -> Iterator[Mention]:
        """``right posterior medial lower lobe``, ``lower lobe of the right lung``."""
        words = [token.word for token in tokens]
        for place, word in enumerate(words[:-1]):
            if word not in _LOBES or words[place + 1] not in ("lobe", "lung"):
                continue
            near = words[max(0, place - 1 - self._rules.lobe_gap) : place][::-1]
            behind = words[place + 2 : place + 5] if self._rules.lobe_gap >= 0 else []
            side = next((one for one in near if one in _SIDES), None)
            if side is None and behind[:1] == ["of"]:
                side = next((one for one in behind if one in _SIDES), None)
            yield from self._known(_LOBE_TERMS.get((side or "", word), ""), place, place + 2)

    def _of_sites(self, tokens: Sequence[Token], said: Sequence[Mention]) -> Iterator[Mention]:
        nodes = [one for one in said if NODE in {one.term, *self._vocabulary.ancestors(one.term)}]
        if not nodes:
            return
        stems = [token.stem for token in tokens]
        for start in range(len(stems)):
            for site, term in self._sites.get(stems[start], ()):
                end = start + len(site)
                if tuple(stems[start:end]) != site:
                    continue
                near = min(nodes, key=lambda one: _distance(one, start, end))
                if _distance(near, start, end) <= self._rules.node_gap:
                    yield Mention.composed(term, (start, end), *near.spans)

    def _of_vertebrae(self, tokens: Sequence[Token]) -> Iterator[Mention]:
        if not self._rules.vertebrae:
            return
        for place, token in enumerate(tokens):
            letter, number = token.word[:1], token.word[1:]
            most = _VERTEBRAE.get(letter, 0)
            if not (number.isdigit() and 1 <= int(number) <= most):
                continue
            yield from self._known("spine", place, place + 1)
            before = [token.word for token in tokens[max(0, place - 6) : place]]
            if "body" in before:
                yield from self._known(
                    "vertebral body", place - before[::-1].index("body") - 1, place + 1
                )

    def _known(self, term: str, first: int, last: int) -> Iterator[Mention]:
        if term in self._vocabulary:
            yield Mention(term, first, last)

    def _of_pairs(self, said: Sequence[Mention]) -> Iterator[Mention]:
        by_term: dict[str, list[Mention]] = {}
        for one in said:
            by_term.setdefault(one.term, []).append(one)
        for name, (first, second) in self._pairs.items():
            for one in by_term.get(first, ()):
                for other in by_term.get(second, ()):
                    yield Mention.composed(name, *one.spans, *other.spans)


_LOBE_TERMS = {
    ("right", "upper"): "right upper lobe",
    ("right", "middle"): "right mid lung",
    ("right", "mid"): "right mid lung",
    ("right", "lower"): "right lower lobe",
    ("left", "upper"): "left upper lung",
    ("left", "lower"): "left lower lobe",
}
_VERTEBRAE = {"c": 7, "t": 12, "l": 5, "s": 5}


def _distance(mention: Mention, start: int, end: int) -> int:
    return max(0, mention.first - end, start - mention.last)


def _sided(vocabulary: Vocabulary) -> dict[tuple[str, str], str]:
    """The term of a side and an organ: (left, kidney) is left kidney."""
    found = {}
    for term in vocabulary.terms.values():
        for phrase in (term.name, *term.synonyms):
            side, _, organ = phrase.lower().partition(" ")
            for parent in term.parents:
                names = {name.lower() for name in vocabulary.terms[parent].synonyms}
                if side in _SIDES and organ in names:
                    found[(side, parent)] = term.name
    return found


def _sites(vocabulary: Vocabulary) -> Mapping[str, list[tuple[tuple[str, ...], str]]]:
    """The words of each site of nodes by their first word: axillary -> axilla lymph node."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for term in vocabulary.terms.values():
        if NODE not in vocabulary.ancestors(term.name):
            continue
        for phrase in term.synonyms:
            stems = stems_of(phrase)
            for ending in _NODE_ENDINGS:
                site = stems[: -len(ending)]
                if site and stems[-len(ending) :] == ending:
                    entry = (site, term.name)
                    if entry not in found.setdefault(site[0], []):
                        found[site[0]].append(entry)
    return found


def _pairs(vocabulary: Vocabulary) -> dict[str, tuple[str, str]]:
    """Terms whose name is that of two other terms: lung nodule is lung and nodule."""
    by_stems: dict[tuple[str, ...], str] = {}
    for term in vocabulary.terms.values():
        for phrase in term.synonyms:
            by_stems.setdefault(stems_of(phrase), term.name)
    found = {}
    for term in vocabulary.terms.values():
        words = stems_of(term.name)
        if len(words) != 2 or term.kind is TermKind.BODY_PART:
            continue
        parts = by_stems.get(words[:1]), by_stems.get(words[1:])
        implied = vocabulary.ancestors(term.name)
        if parts[0] in implied and parts[1] in implied:
            found[term.name] = (str(parts[0]), str(parts[1]))
    return found
