"""What a text denies, is unsure of or reports as past, in the manner of NegEx.

Chapman et al., A simple algorithm for identifying negated findings and diseases in discharge
summaries, J Biomed Inform 2001: a trigger phrase has a scope of words before or behind it, which
ends at a word that turns the sentence. Phrases that only look like triggers are read first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrieval.labels.text.tokens import Token
from retrieval.labels.text.triggers import (
    BEFORE,
    BEHIND,
    CURRENT,
    LOOKS_LIKE,
    MOST_WORDS,
    TURNS,
    TURNS_OF,
    Status,
)

_STRONGEST_FIRST = (
    Status.NEGATED,
    Status.PAST,
    Status.UNCERTAIN,
    Status.BESIDE,
    Status.NEXT_TO,
)

Phrases = Mapping[str, Sequence[tuple[list[str], Status]]]
"""By its first word: the words of each phrase, longest first, with its status."""


@dataclass(frozen=True, slots=True)
class TriggerScope:
    """The tokens ``first`` to ``last`` - 1 that a trigger speaks of."""

    status: Status
    first: int
    last: int


class Assertions:
    """The scopes of one text."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._words = [token.word for token in tokens]
        self._taken = [False] * len(tokens)
        self.scopes = list(self._scopes())

    def status(self, spans: Sequence[tuple[int, int]], *, is_place: bool) -> Status:
        """How the tokens of some spans are said; the strongest word decides.

        A place behind a preposition in a denial is only where nothing was found: "no nodule in the
        liver" says nothing of the lesion's place.
        """
        within = {
            (scope.status, self._is_governed(scope.first, first))
            for scope in self.scopes
            for first, last in spans
            if scope.first <= first and last <= scope.last
        }
        for status in _STRONGEST_FIRST:
            if is_place and (status, True) in within and status is Status.NEGATED:
                return Status.BESIDE
            if (status, True) in within or (status, False) in within:
                return status
        return Status.RELEVANT

    def _is_governed(self, start: int, place: int) -> bool:
        return any(word in ("in", "of", "within", "at") for word in self._words[start:place])

    def _scopes(self) -> Iterator[TriggerScope]:
        for first, last, _ in self._places(_LOOKS_LIKE):
            self._take(first, last)
        # A trigger behind its finding ("no longer seen") is longer than one that it begins with.
        for table, scope_of in ((_BEHIND, self._behind), (_BEFORE, self._before)):
            for first, last, status in self._places(table):
                found = scope_of(status, first, last)
                if found is not None:
                    self._take(first, last)
                    yield found

    def _before(self, status: Status, first: int, last: int) -> TriggerScope | None:
        """The scope of a trigger that stands before what it speaks of."""
        if status is Status.PAST and self._is_current(first):
            return None
        is_one_thing = self._words[first:last] in _OF_ONE_THING
        return TriggerScope(
            status,
            last,
            min(last + 2, len(self._words)) if is_one_thing else self._end(status, last),
        )

    def _behind(self, status: Status, first: int, _last: int) -> TriggerScope | None:
        start = first
        while start > 0 and first - start < MOST_WORDS[status] + 2:
            if self._words[start - 1] in TURNS:
                break
            start -= 1
        return TriggerScope(status, start, first) if start < first else None

    def _end(self, status: Status, start: int) -> int:
        turns = TURNS_OF[status]
        end = start
        while end < len(self._words) and end - start < MOST_WORDS[status]:
            word = self._words[end]
            if word in turns and not (word == "." and self._is_decimal(end)):
                break
            if word == "," and not self._list_goes_on(end, turns):
                break
            end += 1
        return end

    def _list_goes_on(self, comma: int, turns: frozenset[str]) -> bool:
        """Whether ``or`` or ``nor`` still comes before the sentence turns."""
        for word in self._words[comma + 1 : comma + 10]:
            if word in turns:
                return False
            if word in ("or", "nor"):
                return True
        return False

    def _is_current(self, place: int) -> bool:
        """Whether the sentence goes on to say how it is now."""
        for word in self._words[place:]:
            if word in (".", ";"):
                return False
            if word in CURRENT:
                return True
        return False

    def _is_decimal(self, place: int) -> bool:
        words = self._words
        return (
            0 < place < len(words) - 1 and words[place - 1].isdigit() and words[place + 1].isdigit()
        )

    def _places(self, table: Phrases) -> Iterator[tuple[int, int, Status]]:
        for start, word in enumerate(self._words):
            for words, status in table.get(word, ()):
                last = start + len(words)
                is_free = not any(self._taken[start:last])
                if is_free and self._words[start:last] == words:
                    yield start, last, status
                    break

    def _take(self, first: int, last: int) -> None:
        for place in range(first, last):
            self._taken[place] = True


def _by_first_word(phrases: Iterable[tuple[str, Status]]) -> Phrases:
    table = defaultdict(list)
    for phrase, status in phrases:
        words = phrase.replace("/", " / ").replace("?", " ? ").split()
        table[words[0]].append((words, status))
    return {word: sorted(found, key=lambda one: -len(one[0])) for word, found in table.items()}


_OF_ONE_THING = [phrase.split() for phrase in ("rather than", "instead of")]
"""Triggers that speak of the next two words only."""

_BEFORE = _by_first_word((one, status) for status, listed in BEFORE.items() for one in listed)
_BEHIND = _by_first_word((one, status) for status, listed in BEHIND.items() for one in listed)
_LOOKS_LIKE = _by_first_word((one, Status.RELEVANT) for one in LOOKS_LIKE)
