"""The word on all candidates of a series: which is the lesion, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval.detection.proposals import estimated_long_mm
from retrieval.lesion import Lesion
from retrieval.tracking.association import match_marginals
from retrieval.tracking.edges import MatchTerms, PairTerms, TrackNode
from retrieval.tracking.following.dense_search import Sighting, first_apart, points_mm
from retrieval.tracking.following.evidence import FloatArray, weighable
from retrieval.tracking.following.findings import Finding, FollowState
from retrieval.tracking.following.model import EVIDENCE_NAMES, FollowModel
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import MatcherModel
from retrieval.tracking.terms.lesion_size import size_of_box

LEAST_APART_MM = 12.0
APART_SHARE = 0.7
"""Candidates nearer than this share of the lesion's extent are one place."""

MOST_CANDIDATES = 12


@dataclass(frozen=True)
class Sought:
    """The lesion that is sought, and the other lesions of its study, as nodes.

    Their locations are those expected in the searched series.
    """

    node: TrackNode
    others: Sequence[TrackNode] = ()

    @classmethod
    def at(cls, node: TrackNode, others: Sequence[TrackNode], area: SearchArea) -> Sought:
        """The nodes where the series should show them: all are shifted as the sought one is."""
        expected = area.expected
        own = node.lesion.location
        moved = node.lesion.with_changes(location=expected.location, location_error=expected.error)
        if own is None:
            return cls(replace(node, lesion=moved))
        shift = np.subtract(expected.location, own)
        rest = [replace(one, lesion=_shifted(one.lesion, shift, expected.error)) for one in others]
        return cls(replace(node, lesion=moved), rest)

    @property
    def rows(self) -> list[TrackNode]:
        """All of them, the sought one first."""
        return [self.node, *self.others]


@dataclass(frozen=True)
class Judgement:
    """The candidates, likeliest first, the state of the best, and how likely any of them is it."""

    state: FollowState
    findings: Sequence[Finding]
    probability_there: float


def evidence_of(
    sightings: Sequence[Sighting], sought: Sought, area: SearchArea, model: MatcherModel
) -> FloatArray:
    """(lesions, sightings, evidence) of every sighting, before neighbouring ones are joined."""
    nodes = [_node(number, one, area) for number, one in enumerate(sightings)]
    return weighable(sought.rows, nodes, sightings, area.expected, model)


def decide(
    sightings: Sequence[Sighting],
    sought: Sought,
    area: SearchArea,
    matcher: MatcherModel,
    model: FollowModel,
) -> Judgement:
    """The state, and the candidates, likeliest first.

    Neighbouring sightings are one candidate, which is the likeliest of them. The candidates
    compete for the lesion, and the other lesions of its study for the candidates.
    """
    if not sightings:
        return Judgement(FollowState.NOT_FOUND, [], 0.0)
    evidence = evidence_of(sightings, sought, area, matcher)
    points, distance = points_mm(sightings, area.slab), apart_mm(_extent_mm(sightings, area))
    chosen, scores = place_scores(evidence, points, distance, model)
    nodes = [_node(number, sightings[number], area) for number in chosen]
    pairs = PairTerms.of([sought.node, *nodes])
    unweighed = np.zeros((len(nodes) + 1, len(nodes) + 1, 5))
    findings = []
    for place, (number, score) in enumerate(zip(chosen, scores, strict=True), start=1):
        weighed = evidence[0, number] * np.array(model.weights)
        added = dict(zip(EVIDENCE_NAMES, weighed.tolist(), strict=True))
        terms = replace(
            pairs.explain(0, place, unweighed),
            contributions={"intercept": model.intercept, **added},
        )
        findings.append(_finding(sightings[number], float(score), terms, area))
    findings.sort(key=lambda one: -one.score)
    there = float(scores.sum())
    if findings[0].score >= model.found:
        state = FollowState.FOUND
    else:
        state = FollowState.NOT_FOUND if there <= model.gone else FollowState.UNCERTAIN
    return Judgement(state, findings, min(there, 1.0))


def place_scores(
    evidence: FloatArray, points: FloatArray, distance_mm: float, model: FollowModel
) -> tuple[list[int], FloatArray]:
    """The sightings (by number) that stand for a place each, likeliest first, and their scores.

    Args:
        evidence: (lesions, sightings, evidence), the sought lesion first.
        points: (sightings, 3) in mm.
        distance_mm: sightings nearer than this to a likelier one are the same place.
        model: how the evidence is weighed.
    """
    log_odds = model.intercept + evidence @ np.array(model.weights)
    order = np.argsort(-log_odds[0], kind="stable")
    chosen = first_apart(points, order.tolist(), distance_mm, MOST_CANDIDATES)
    return chosen, match_marginals(log_odds[:, chosen])[0]


def apart_mm(extent_mm: float) -> float:
    """Sightings of a lesion of this extent that are nearer than this are one place."""
    return max(LEAST_APART_MM, APART_SHARE * extent_mm)


def _node(number: int, seen: Sighting, area: SearchArea) -> TrackNode:
    """A sighting as a lesion: the whole error of its location is with the one that is sought."""
    lesion = Lesion(
        lesion_id=f"sighting {number}",
        patient_id="",
        study_id="searched series",
        series_id="",
        key_slice_index=seen.position,
        box=seen.box,
        location=area.location_of(seen.position, seen.box.center),
        location_error=(0.0, 0.0, 0.0),
    )
    proposed = seen.detector_score is not None
    size = size_of_box(seen.box, area.slab.spacing_mm_px) if proposed else None
    return TrackNode(lesion, seen.vector, size)


def _finding(seen: Sighting, score: float, terms: MatchTerms, area: SearchArea) -> Finding:
    slab = area.slab
    proposed = seen.detector_score is not None
    return Finding(
        box=slab.grid.to_file_box(seen.box),
        key_slice_index=slab.grid.to_file_slice(seen.position),
        score=score,
        similarity=seen.similarity,
        long_mm=estimated_long_mm(seen.box, slab.spacing_mm_px) if proposed else None,
        detector_score=seen.detector_score,
        terms=terms,
    )


def _extent_mm(sightings: Sequence[Sighting], area: SearchArea) -> float:
    dense = [one for one in sightings if one.detector_score is None] or list(sightings)
    return estimated_long_mm(dense[0].box, area.slab.spacing_mm_px)


def _shifted(lesion: Lesion, shift: np.ndarray, error: tuple[float, float, float]) -> Lesion:
    if lesion.location is None:
        return lesion
    x, y, z = (float(a + b) for a, b in zip(lesion.location, shift, strict=True))
    return lesion.with_changes(location=(x, y, z), location_error=error)
