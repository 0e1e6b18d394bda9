"""The matcher's word on all candidates of a series: which is the lesion, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval.detection.proposals import estimated_long_mm
from retrieval.lesion import Lesion
from retrieval.tracking.association import match_marginals
from retrieval.tracking.edges import NOMINAL_BODY_MM, MatchTerms, PairTerms, TrackNode
from retrieval.tracking.following.dense_search import Sighting, apart
from retrieval.tracking.following.findings import Finding, FollowState
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import TERM_NAMES, MatcherModel
from retrieval.tracking.terms.lesion_size import size_of_box

SEARCHED_LOG_ODDS = -1.7
"""Log-odds that a place which a search turned up has less than a mark that a reader drew: the
best of many looks alike by chance. Set by eye on a few phantom patients, seed 90515; not fitted."""

NOT_FOUND_BELOW = 0.02
"""Only a best score below this is `not found`: half of the lowest score (0.04) of a lesion that was
there on the phantoms it was measured on. Unsure is an answer, wrong is not."""

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


def decide(
    sightings: Sequence[Sighting], sought: Sought, area: SearchArea, model: MatcherModel
) -> tuple[FollowState, list[Finding]]:
    """The state, and the candidates, likeliest first.

    Neighbouring sightings are one candidate, which is the likeliest of them. The candidates
    compete for the lesion, and the other lesions of its study for the candidates.
    """
    if not sightings:
        return FollowState.NOT_FOUND, []
    model = _for_searches(model, area.expected.error)
    rows = [sought.node, *sought.others]
    nodes = [_node(number, one, area) for number, one in enumerate(sightings)]
    alone = _log_odds([sought.node, *nodes], 1, model)[0]
    order = np.argsort(-alone, kind="stable")
    distance = max(LEAST_APART_MM, APART_SHARE * _extent_mm(sightings, area))
    kept = apart([sightings[one] for one in order], area.slab, distance)[:MOST_CANDIDATES]
    number_of = {id(one): number for number, one in enumerate(sightings)}
    chosen = [nodes[number_of[id(one)]] for one in kept]
    pairs = PairTerms.of([*rows, *chosen])
    contributions = pairs.contributions(model)
    log_odds = contributions.sum(axis=-1)[: len(rows), len(rows) :]
    scores = match_marginals(log_odds)[0]
    findings = [
        _finding(one, float(score), pairs.explain(0, len(rows) + place, contributions), area)
        for place, (one, score) in enumerate(zip(kept, scores, strict=True))
    ]
    findings.sort(key=lambda one: -one.score)
    best = findings[0].score
    if best >= model.abstain[1]:
        return FollowState.FOUND, findings
    is_gone = best < NOT_FOUND_BELOW
    return (FollowState.NOT_FOUND if is_gone else FollowState.UNCERTAIN), findings


def _for_searches(model: MatcherModel, error: tuple[float, float, float]) -> MatcherModel:
    """The matcher for places that were searched for about the expected one.

    That they lie near it says nothing: all of them do. So the location counts from what the
    expected place itself would be worth, downwards.
    """
    location = TERM_NAMES.index("location")
    error_mm = np.array(error) * np.array(NOMINAL_BODY_MM)
    most = float(model.scatter.location_ratio(np.zeros((1, 3)), error_mm[None])[0])
    return replace(
        model,
        intercept=model.intercept - model.weights[location] * most + SEARCHED_LOG_ODDS,
    )


def _log_odds(nodes: Sequence[TrackNode], rows: int, model: MatcherModel) -> np.ndarray:
    odds = PairTerms.of(nodes).contributions(model).sum(axis=-1)
    return np.asarray(odds[:rows, rows:])


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
