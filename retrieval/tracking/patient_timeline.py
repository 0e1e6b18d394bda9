"""One patient's lesions over time: graph, merges, links, tracks and follow-ups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.lesion import Lesion
from retrieval.tracking.decisions import Decisions
from retrieval.tracking.edges import FloatArray, PairTerms, TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.lesion_graph import LesionGraph, link_lesions
from retrieval.tracking.matcher import MatcherModel
from retrieval.tracking.merges import Merge, find_merges
from retrieval.tracking.searched import SearchedStudy
from retrieval.tracking.states import ComparisonRole, FollowUpState, LinkState, OrderedBy
from retrieval.tracking.study_order import numbers_tell_order, order_studies
from retrieval.tracking.track_types import FollowUp, PatientTracks, StudyOrder, Track, TrackLink


@dataclass(frozen=True, slots=True)
class PatientEvidence:
    """What is known of a patient beside the lesions themselves.

    Attributes:
        confirmed: pairs of lesion ids that a reader said are the same lesion.
        rejected: pairs that a reader said are not.
        complete: studies in which every lesion is marked: evidence of absence.
        searched: what following a lesion in a study found; evidence where it covered the place.
    """

    confirmed: Collection[tuple[str, str]] = ()
    rejected: Collection[tuple[str, str]] = ()
    complete: Collection[str] = field(default=frozenset())
    searched: Collection[SearchedStudy] = ()


@dataclass(frozen=True, slots=True)
class PatientTimeline:
    """Everything known of one patient, nodes in canonical order so that input order is nothing."""

    nodes: Sequence[TrackNode]
    order: StudyOrder
    study_of: Sequence[int]
    model: MatcherModel
    decisions: Decisions
    terms: PairTerms
    contributions: FloatArray
    graph: LesionGraph
    merges: Sequence[Merge]

    @classmethod
    def of(
        cls,
        nodes: Sequence[TrackNode],
        model: MatcherModel,
        known: PatientEvidence,
    ) -> PatientTimeline:
        """The timeline of all lesions of one patient; errors as those of ``track_patient``."""
        if not nodes:
            raise TrackingError("tracking needs at least one lesion: none was given")
        _check_one_patient(nodes)
        order = replace(
            order_studies((node.lesion for node in nodes), _about(nodes, known.searched)),
            complete=frozenset(known.complete),
        )
        number = {study_id: place for place, study_id in enumerate(order.study_ids)}
        ranked = sorted(nodes, key=lambda n: (number[n.lesion.study_id], n.lesion.lesion_id))
        study_of = [number[node.lesion.study_id] for node in ranked]
        ids = [node.lesion.lesion_id for node in ranked]
        decisions = Decisions.among(ids, known.confirmed, known.rejected)
        terms = PairTerms.of(ranked)
        contributions = terms.contributions(model)
        graph = link_lesions(contributions.sum(axis=-1), study_of, model, decisions)
        merges = find_merges(ranked, study_of, terms, graph, decisions)
        for merge in merges:
            graph = graph.joined(merge.parts[0], merge.whole, study_of, decisions)
        return cls(ranked, order, study_of, model, decisions, terms, contributions, graph, merges)

    def lesion(self, node: int) -> Lesion:
        """The lesion of a node."""
        return self.nodes[node].lesion

    def joined_score(self, a: int, b: int) -> float:
        """The pair's probability, directly or through a third lesion of its track."""
        own = self.graph.component[a]
        best = float(self.graph.score[a, b])
        if own == self.graph.component[b]:
            for via in self.graph.members(own):
                best = max(best, float(self.graph.score[a, via] * self.graph.score[via, b]))
        return best

    def link_state(self, a: int, b: int) -> LinkState | None:
        """How two nodes hang together, None if not at all."""
        if (min(a, b), max(a, b)) in self.decisions.confirmed:
            return LinkState.CONFIRMED
        for merge in self.merges:
            for part, whole in ((a, b), (b, a)):
                if whole == merge.whole and part in merge.parts:
                    merging = self.study_of[part] < self.study_of[whole]
                    return LinkState.MERGED if merging else LinkState.SPLIT
        low, high = self.model.abstain
        joined = self.graph.component[a] == self.graph.component[b]
        score = self.joined_score(a, b)
        if joined and score >= high:
            return LinkState.MATCHED
        if joined or score >= low:
            return LinkState.UNCERTAIN
        return None

    def patient_tracks(self) -> PatientTracks:
        """Every component as a track, with all links."""
        numbers = sorted(set(self.graph.component))
        return PatientTracks(
            patient_id=self.nodes[0].lesion.patient_id,
            order=self.order,
            tracks=tuple(self._track(number) for number in numbers),
            links=tuple(self._links()),
        )

    def _track_id(self, number: int) -> str:
        return f"T{number + 1}"

    def _track(self, number: int) -> Track:
        members = self.graph.members(number)
        first, last = self.study_of[members[0]], self.study_of[members[-1]]
        ids = self.order.study_ids
        into, split_from = self._neighbour_tracks(members)
        made = {m.whole for m in self.merges if self.study_of[m.parts[0]] < self.study_of[m.whole]}
        undone = {merge.whole for merge in self.merges} - made
        came_from_nothing = split_from is None and members[0] not in made
        went_to_nothing = into is None and members[-1] not in undone
        later = (n for n in range(last + 1, len(ids)) if self._is_absent(members, n))
        vanished = next(later, None) if went_to_nothing else None
        is_new = came_from_nothing and any(self._is_absent(members, n) for n in range(first))
        return Track(
            track_id=self._track_id(number),
            lesions=tuple(self.lesion(node) for node in members),
            new_in=ids[first] if is_new else None,
            vanished_in=None if vanished is None else ids[vanished],
            merged_into=into,
            split_from=split_from,
        )

    def _is_absent(self, members: Sequence[int], study: int) -> bool:
        """Whether there is evidence that the lesion of these marks is not in the study."""
        return self.order.is_complete(study) or self._search_of(members, study) is not None

    def _search_of(self, members: Sequence[int], study: int) -> SearchedStudy | None:
        return self.order.search_of((self.lesion(one).lesion_id for one in members), study)

    def _neighbour_tracks(self, members: Sequence[int]) -> tuple[str | None, str | None]:
        """The track this one merged into, and the one it split from."""
        into = split_from = None
        for merge in self.merges:
            whole = self.graph.component[merge.whole]
            for part in merge.parts:
                if part not in members or self.graph.component[part] == whole:
                    continue
                if self.study_of[part] < self.study_of[merge.whole]:
                    into = self._track_id(whole)
                else:
                    split_from = self._track_id(whole)
        return into, split_from

    def _links(self) -> list[TrackLink]:
        links = []
        for a, b in self._possible_links():
            state = self.link_state(a, b)
            if state is not None:
                ids = (self.lesion(a).lesion_id, self.lesion(b).lesion_id)
                terms = self.terms.explain(a, b, self.contributions)
                links.append(TrackLink(*ids, state, self.joined_score(a, b), terms))
        return links

    def _possible_links(self) -> list[tuple[int, int]]:
        """Pairs of different studies, the earlier first, that are joined, likely or merged."""
        component, study = np.array(self.graph.component), np.array(self.study_of)
        possible = component[:, None] == component[None, :]
        possible |= self.graph.score >= self.model.abstain[0]
        for merge in self.merges:
            for part in merge.parts:
                possible[part, merge.whole] = possible[merge.whole, part] = True
        earlier, later = np.nonzero(possible & (study[:, None] < study[None, :]))
        return list(zip(earlier.tolist(), later.tolist(), strict=True))

    def follow_ups_of(self, lesion_id: str) -> list[FollowUp]:
        """One answer for each study but the lesion's own, in study order."""
        query = next(n for n, node in enumerate(self.nodes) if node.lesion.lesion_id == lesion_id)
        return [
            self._follow_up(query, study)
            for study in range(len(self.order.study_ids))
            if study != self.study_of[query]
        ]

    def _follow_up(self, query: int, study: int) -> FollowUp:
        candidates = [
            (self._strength(query, node), node)
            for node, own in enumerate(self.study_of)
            if own == study and _pair(query, node) not in self.decisions.rejected
        ]
        study_id, role = self.order.study_ids[study], self._role(query, study)
        if not candidates:
            state = self._absence(query, study)
            search = self._evidence(query, study, state)
            return FollowUp(study_id, role, state, None, 0.0, None, None, None, None, search)
        _, best = max(candidates, key=lambda ranked: (ranked[0], -ranked[1]))
        link = self.link_state(query, best)
        earlier, later = sorted((query, best), key=lambda node: self.study_of[node])
        state = self._absence(query, study) if link is None else _STATE_OF_LINK[link]
        compared = link is not None and role is not None
        change = _change_mm(self.lesion(earlier), self.lesion(later)) if compared else None
        start_mm = self.lesion(earlier).long_mm
        terms = self.terms.explain(earlier, later, self.contributions)
        return FollowUp(
            study_id=study_id,
            role=role,
            state=state,
            similarity=terms.similarity,
            score=self.joined_score(query, best),
            change_mm=change,
            change_pct=None if change is None or not start_mm else 100.0 * change / start_mm,
            terms=terms,
            lesion=None if link is None else self.lesion(best),
            searched=self._evidence(query, study, state),
        )

    def _role(self, query: int, study: int) -> ComparisonRole | None:
        """What the study is to the query's; not known where the query's own study is not."""
        own = self.lesion(query)
        if own.study_id == "" and own.study_date is None:
            return None
        place, order = self.study_of[query], self.order
        if order.ordered_by is OrderedBy.DATE:
            earlier = study < place
        elif (its := order.dates[study]) and (own_day := order.dates[place]) and its != own_day:
            earlier = its < own_day
        elif any(order.dates) or not numbers_tell_order(own.study_id, order.study_ids[study]):
            return None
        else:
            earlier = study < place
        return ComparisonRole.PRIOR if earlier else ComparisonRole.CURRENT

    def _strength(self, query: int, node: int) -> tuple[int, float, float]:
        """Candidates are ranked by their link's firmness, then by probability, then by cosine."""
        link = self.link_state(query, node)
        firmness = 0 if link is None else 1 + _FIRMNESS.index(link)
        return firmness, self.joined_score(query, node), float(self.terms.similarity[query, node])

    def _absence(self, query: int, study: int) -> FollowUpState:
        """What it means that the query has no partner there.

        A lesion marked before and after but not in between has not vanished, and a missing mark
        is no evidence where marks are incomplete and nobody looked.
        """
        members = self.graph.members(self.graph.component[query])
        seen = [self.study_of[node] for node in members]
        between = min(seen) < study < max(seen)
        role = self._role(query, study)
        if between or role is None or not self._is_absent(members, study):
            return FollowUpState.NOT_MARKED
        return FollowUpState.NEW if role is ComparisonRole.PRIOR else FollowUpState.VANISHED

    def _evidence(self, query: int, study: int, state: FollowUpState) -> SearchedStudy | None:
        """The search that a state of absence rests on."""
        if state not in {FollowUpState.NEW, FollowUpState.VANISHED}:
            return None
        return self._search_of(self.graph.members(self.graph.component[query]), study)


_FIRMNESS = (
    LinkState.UNCERTAIN,
    LinkState.SPLIT,
    LinkState.MERGED,
    LinkState.MATCHED,
    LinkState.CONFIRMED,
)

_STATE_OF_LINK = {
    LinkState.CONFIRMED: FollowUpState.PERSISTENT,
    LinkState.MATCHED: FollowUpState.PERSISTENT,
    LinkState.UNCERTAIN: FollowUpState.UNCERTAIN,
    LinkState.MERGED: FollowUpState.MERGED,
    LinkState.SPLIT: FollowUpState.SPLIT,
}


def _pair(a: int, b: int) -> tuple[int, int]:
    return (min(a, b), max(a, b))


def _change_mm(earlier: Lesion, later: Lesion) -> float | None:
    if earlier.long_mm is None or later.long_mm is None:
        return None
    return later.long_mm - earlier.long_mm


def _about(nodes: Sequence[TrackNode], searched: Collection[SearchedStudy]) -> list[SearchedStudy]:
    """The searches for lesions that are among the nodes."""
    known = {node.lesion.lesion_id for node in nodes}
    return [one for one in searched if one.lesion_id in known]


def _check_one_patient(nodes: Sequence[TrackNode]) -> None:
    patients = sorted({node.lesion.patient_id for node in nodes})
    if len(patients) > 1:
        raise TrackingError(
            f"lesions of {len(patients)} patients ({', '.join(patients[:3])}): tracks are made "
            "within one patient"
        )
    repeated = [i for i, n in Counter(node.lesion.lesion_id for node in nodes).items() if n > 1]
    if repeated:
        raise TrackingError(f"lesion {repeated[0]} is given twice: each lesion once")
