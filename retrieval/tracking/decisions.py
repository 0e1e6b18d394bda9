"""A reader's confirmed and rejected matches, and whether they can all hold at once.

Apart from the matcher, so that an index can refuse a contradiction without loading it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from retrieval.tracking.errors import MatchConflictError

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Decisions:
    """A reader's confirmed and rejected matches, as pairs of node numbers (low, high)."""

    confirmed: frozenset[Pair] = frozenset()
    rejected: frozenset[Pair] = frozenset()

    @classmethod
    def among(
        cls,
        lesion_ids: Sequence[str],
        confirmed: Iterable[tuple[str, str]],
        rejected: Iterable[tuple[str, str]],
    ) -> Decisions:
        """The decisions about these lesions; one that names any other lesion has no effect."""
        number = {lesion_id: node for node, lesion_id in enumerate(lesion_ids)}

        def numbered(pairs: Iterable[tuple[str, str]]) -> frozenset[Pair]:
            return frozenset(
                (min(number[a], number[b]), max(number[a], number[b]))
                for a, b in pairs
                if a in number and b in number
            )

        return cls(numbered(confirmed), numbered(rejected))


class Components:
    """Union-find over nodes, with the study of each node and the pairs kept apart."""

    def __init__(self, study_of: Sequence[int], apart: frozenset[Pair]) -> None:
        self._nodes = [{node} for node in range(len(study_of))]
        self._own = list(range(len(study_of)))
        self._study_of = study_of
        self._apart = apart

    def together(self, a: int, b: int) -> bool:
        """Whether two nodes are of one component."""
        return self._own[a] == self._own[b]

    def may_join(self, a: int, b: int) -> bool:
        """Whether joining two nodes keeps a study at one node and rejected pairs apart."""
        ours, theirs = self._nodes[self._own[a]], self._nodes[self._own[b]]
        if {self._study_of[n] for n in ours} & {self._study_of[n] for n in theirs}:
            return False
        return not any((min(x, y), max(x, y)) in self._apart for x in ours for y in theirs)

    def join(self, a: int, b: int) -> None:
        """Makes the components of two nodes one."""
        keep, drop = sorted((self._own[a], self._own[b]))
        if keep == drop:
            return
        for node in self._nodes[drop]:
            self._own[node] = keep
        self._nodes[keep] |= self._nodes[drop]
        self._nodes[drop] = set()

    def numbers(self) -> tuple[int, ...]:
        """The number of each node's component, from 0."""
        order = {own: number for number, own in enumerate(sorted(set(self._own)))}
        return tuple(order[own] for own in self._own)


def check_decisions(
    study_of: Mapping[str, str],
    confirmed: Iterable[tuple[str, str]],
    rejected: Iterable[tuple[str, str]],
) -> None:
    """Raises MatchConflictError where decisions contradict each other.

    ``study_of`` names the study of each lesion id of one patient; scores are not needed.
    """
    ids = list(study_of)
    studies = list(study_of.values())
    numbers = [studies.index(study) for study in studies]
    decisions = Decisions.among(ids, confirmed, rejected)
    join_confirmed(Components(numbers, decisions.rejected), numbers, decisions)


def join_confirmed(components: Components, study_of: Sequence[int], decisions: Decisions) -> None:
    """Joins what a reader confirmed; raises MatchConflictError where it cannot hold."""
    for a, b in sorted(decisions.confirmed):
        if study_of[a] == study_of[b]:
            raise MatchConflictError(
                "a confirmed match joins two lesions of one study: a match joins two studies"
            )
        components.join(a, b)
    if any(components.together(a, b) for a, b in decisions.rejected):
        raise MatchConflictError(
            "confirmed matches join two lesions whose match was rejected: remove one of these "
            "decisions"
        )
