"""Merges and splits: two lesions of one study that are one larger lesion in the next.

One-to-one matching leaves one of the two without a partner. It is recognised by geometry alone,
and only where all three locations are given, since an estimated one is too coarse for it: both
small lesions lie where the large one is, they lie beside each other, and the large one is larger
than either and holds most of their joint area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.tracking.decisions import Decisions
from retrieval.tracking.edges import PairTerms, TrackNode
from retrieval.tracking.lesion_graph import LesionGraph
from retrieval.tracking.matcher import LocationSource

PLACE_TOLERANCE_MM = 8.0
"""Slack for breathing and for the error of normalised locations, in nominal mm."""

LEAST_AREA_KEPT = 0.7
"""Share of the two areas (as squares of the long diameters) that the joint lesion must hold."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Nodes ``parts`` of one study that are the node ``whole`` of a neighbouring study.

    ``parts[0]`` is the part that one-to-one matching gives to the whole.
    """

    parts: tuple[int, ...]
    whole: int


def find_merges(
    nodes: Sequence[TrackNode],
    study_of: Sequence[int],
    terms: PairTerms,
    graph: LesionGraph,
    decisions: Decisions,
) -> list[Merge]:
    """Wholes whose parts lie in the study before (a merge) or after (a split), each node once."""
    found: list[Merge] = []
    taken: set[int] = set()
    distance_mm = np.linalg.norm(terms.offset_mm, axis=-1)
    long_mm = np.array([node.lesion.long_mm or math.nan for node in nodes])
    given = list(LocationSource).index(LocationSource.GIVEN)
    placed = np.where(terms.source == given, distance_mm, np.nan)
    reach = long_mm / 2 + PLACE_TOLERANCE_MM
    for whole in np.argsort(-np.nan_to_num(long_mm), kind="stable"):
        for step in (-1, 1):
            near = [
                part
                for part in range(len(nodes))
                if study_of[part] == study_of[whole] + step
                and placed[part, whole] <= reach[whole]
                and long_mm[part] < long_mm[whole]
            ]
            if len(near) < 2 or whole in taken:
                continue
            free = [
                part
                for part in near
                if part not in taken
                and _free_for(part, int(whole), study_of, graph)
                and (min(part, whole), max(part, whole)) not in decisions.rejected
                and terms.type_agreement[part, whole] != -1.0
            ]
            parts = _parts_of(int(whole), free, placed, long_mm)
            if len(parts) < 2:
                continue
            parts.sort(key=lambda p: (graph.component[p] != graph.component[whole], -long_mm[p], p))
            found.append(Merge(tuple(parts), int(whole)))
            taken.update((*parts, int(whole)))
    return found


def _free_for(part: int, whole: int, study_of: Sequence[int], graph: LesionGraph) -> bool:
    """Whether the part has no partner in the whole's study, or has the whole itself."""
    partners = [
        node for node in graph.members(graph.component[part]) if study_of[node] == study_of[whole]
    ]
    return partners in ([], [whole])


def _parts_of(
    whole: int,
    inside: Sequence[int],
    placed: NDArray[np.float64],
    long_mm: NDArray[np.float64],
) -> list[int]:
    """Of the nodes that lie in the whole, those beside each other, if it holds their joint area."""
    reach = long_mm / 2
    beside = [
        part
        for part in inside
        if any(
            placed[part, other] <= reach[part] + reach[other] + PLACE_TOLERANCE_MM
            for other in inside
            if other != part
        )
    ]
    joint = sum(long_mm[part] ** 2 for part in beside)
    return beside if long_mm[whole] ** 2 >= LEAST_AREA_KEPT * joint else []
