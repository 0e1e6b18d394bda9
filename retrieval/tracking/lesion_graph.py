"""Links between a patient's lesions, made consistent over all studies.

Between each two studies lesions are paired one to one; over more than two studies such pairs can
contradict each other (a-b, b-c, but c with another lesion of a's study). Tracks are therefore
joined from the surest pair down, and a join that would put two lesions of one study, or a rejected
pair, into one track is refused. What a reader confirmed is joined first, whatever its score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from retrieval.tracking.association import best_assignment, match_marginals
from retrieval.tracking.decisions import Components, Decisions, join_confirmed
from retrieval.tracking.matcher import MatcherModel

FloatArray = NDArray[np.float64]


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
        components = Components(study_of, decisions.rejected)
        for node, number in enumerate(self.component):
            components.join(node, self.component.index(number))
        if components.together(a, b) or not components.may_join(a, b):
            return self
        components.join(a, b)
        return LesionGraph(components.numbers(), self.score)


def link_lesions(
    log_odds: FloatArray, study_of: Sequence[int], model: MatcherModel, decisions: Decisions
) -> LesionGraph:
    """The graph of n lesions from the log-odds (n, n) of their pairs and the study of each.

    Raises MatchConflictError where a reader confirmed a match within one study, or confirmed a
    chain of matches whose ends were rejected.
    """
    components = Components(study_of, decisions.rejected)
    join_confirmed(components, study_of, decisions)
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
