"""Links between a patient's lesions, made consistent over all studies.

Between each two studies lesions are paired one to one; over more than two studies such pairs can
contradict each other (a-b, b-c, but c with another lesion of a's study). Tracks are therefore
joined from the surest pair down, and a join that would put two lesions of one study, or a rejected
pair, into one track is refused. What a reader confirmed is joined first, whatever its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from retrieval.tracking.association import best_assignment, match_marginals
from retrieval.tracking.matcher import MatcherModel, TrackingError

FloatArray = NDArray[np.float64]
Pair = tuple[int, int]


class MatchConflictError(TrackingError):
    """Confirmed and rejected matches of one patient that contradict each other."""


@dataclass(frozen=True, slots=True)
class LesionGraph:
    """The nodes' components and the probability of every pair.

    ``component`` numbers each node's track; ``score`` (n, n) is the probability that two lesions
    of different studies are the same while all lesions of both studies compete, 0 within a study.
    """

    component: tuple[int, ...]
    score: FloatArray

    def members(self, number: int) -> list[int]:
        """The nodes of one component."""
        return [node for node, own in enumerate(self.component) if own == number]

    def joined(self, a: int, b: int, study_of: Sequence[int], decisions: Decisions) -> LesionGraph:
        """The graph with the tracks of two nodes made one, unless that breaks a rule of tracks."""
        components = _Components(study_of, decisions.rejected)
        for node, number in enumerate(self.component):
            components.join(node, self.component.index(number))
        if components.together(a, b) or not components.may_join(a, b):
            return self
        components.join(a, b)
        return LesionGraph(components.numbers(), self.score)


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


class _Components:
    """Union-find over nodes, with the study of each node and the pairs kept apart."""

    def __init__(self, study_of: Sequence[int], apart: frozenset[Pair]) -> None:
        self._nodes = [{node} for node in range(len(study_of))]
        self._own = list(range(len(study_of)))
        self._study_of = study_of
        self._apart = apart

    def together(self, a: int, b: int) -> bool:
        return self._own[a] == self._own[b]

    def may_join(self, a: int, b: int) -> bool:
        ours, theirs = self._nodes[self._own[a]], self._nodes[self._own[b]]
        if {self._study_of[n] for n in ours} & {self._study_of[n] for n in theirs}:
            return False
        return not any((min(x, y), max(x, y)) in self._apart for x in ours for y in theirs)

    def join(self, a: int, b: int) -> None:
        keep, drop = sorted((self._own[a], self._own[b]))
        if keep == drop:
            return
        for node in self._nodes[drop]:
            self._own[node] = keep
        self._nodes[keep] |= self._nodes[drop]
        self._nodes[drop] = set()

    def numbers(self) -> tuple[int, ...]:
        order = {own: number for number, own in enumerate(sorted(set(self._own)))}
        return tuple(order[own] for own in self._own)


def check_decisions(
    study_of: Mapping[str, str],
    confirmed: Iterable[tuple[str, str]],
    rejected: Iterable[tuple[str, str]],
) -> None:
    """Raises MatchConflictError where decisions contradict each other, as ``link_lesions`` does.

    ``study_of`` names the study of each lesion id of one patient; scores are not needed.
    """
    ids = list(study_of)
    studies = list(study_of.values())
    numbers = [studies.index(study) for study in studies]
    decisions = Decisions.among(ids, confirmed, rejected)
    _join_confirmed(_Components(numbers, decisions.rejected), numbers, decisions)


def link_lesions(
    log_odds: FloatArray, study_of: Sequence[int], model: MatcherModel, decisions: Decisions
) -> LesionGraph:
    """The graph of n lesions from the log-odds (n, n) of their pairs and the study of each.

    Raises MatchConflictError where a reader confirmed a match within one study, or confirmed a
    chain of matches whose ends were rejected.
    """
    components = _Components(study_of, decisions.rejected)
    _join_confirmed(components, study_of, decisions)
    score = np.zeros_like(log_odds)
    proposals: list[tuple[float, int, int]] = []
    studies = [np.flatnonzero(np.asarray(study_of) == study) for study in sorted(set(study_of))]
    for first, second in combinations(studies, 2):
        weight = _competing_weight(log_odds, first, second, decisions)
        marginal = match_marginals(weight)
        score[np.ix_(first, second)] = marginal
        score[np.ix_(second, first)] = marginal.T
        for row, column in best_assignment(weight):
            if marginal[row, column] >= model.threshold:
                proposals.append((-marginal[row, column], int(first[row]), int(second[column])))
    for a, b in decisions.confirmed:
        score[a, b] = score[b, a] = 1.0
    for _, a, b in sorted(proposals):
        if not components.together(a, b) and components.may_join(a, b):
            components.join(a, b)
    return LesionGraph(components.numbers(), score)


def _join_confirmed(components: _Components, study_of: Sequence[int], decisions: Decisions) -> None:
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


def _competing_weight(
    log_odds: FloatArray,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    decisions: Decisions,
) -> FloatArray:
    """Log-weights of the pairs of two studies; a confirmed lesion takes no further partner."""
    weight = log_odds[np.ix_(first, second)]
    row_of = {int(node): row for row, node in enumerate(first)}
    column_of = {int(node): column for column, node in enumerate(second)}
    for pairs, whole in ((decisions.rejected, False), (decisions.confirmed, True)):
        for pair in pairs:
            a, b = pair if pair[0] in row_of else pair[::-1]
            if a in row_of and b in column_of:
                weight[row_of[a], column_of[b]] = -np.inf
                if whole:
                    weight[row_of[a], :] = -np.inf
                    weight[:, column_of[b]] = -np.inf
    return weight
