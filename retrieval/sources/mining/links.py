"""Lesion tracks as readers linked them: marks of several studies under one tracking id."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx

from retrieval.lesion import LesionType
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.verdicts import JudgedMark

_TOOL = re.compile(r"@|Tools?:|^(length|bidirectional|ellipse|circle|line|arrow|roi|measurement)$")
"""Tracking identifiers that name a viewer's tool (``Cornerstone3DTools@^0.1.0:Length``) or the
kind of a graphic, not a lesion."""

NO_LINK = "its tracking id names several places of one series: no link"

NAME_ALONE = "a name alone links nothing: type, size or place of the others differ"

_UID, _ID = "uid ", "id "

_COUNTED = frozenset({"new", "non", "target", "index", "lesion", "nodule", "node", "mass", "tumor"})
_COUNTED |= {"tumour", "finding", "met", "metastasis", "measurement", "segment", "region", "recist"}
_TOKEN = re.compile(r"[a-z]+|\d+")

MOST_SHORT = 3
"""Letters of a token that says nothing: T1, NT2, LN 3."""

MOST_APART_MM, MOST_LOG_CHANGE = 40.0, 0.5
"""Across the body and in log diameter: 92.5 % of the 906 pairs of the Deep Longitudinal Study's
validation part lie within both, of other pairs of the same patients 47 % do."""

MOST_HEIGHT = 0.06
"""In body height: twice the usual error of both estimates."""

FAR_MM = 30.0
"""One lesion's marks in one series lie nearer to each other than this, or its own length."""


@dataclass(frozen=True)
class LinkedTracks:
    """What readers linked.

    Attributes:
        tracks: for each kept mark's id, the name of its track; marks of none are left out.
        dropped: for each mark whose link contradicts itself, why.
    """

    tracks: dict[str, str]
    dropped: dict[str, str]


def linked_tracks(
    kept: Sequence[JudgedMark],
    copies: Mapping[str, Sequence[JudgedMark]],
    study_numbers: Mapping[str, int],
    heights: Mapping[str, float] | None = None,
) -> LinkedTracks:
    """The tracks of one patient: of two studies at least, ``t01``, ``t02``, ... by first study.

    A lesion has the tracking ids of its copies too. A tracking id that names two places in one
    series is a writer's constant and links nothing. A UID links; a name links only lesions that
    may be one by place and size (``is_consistent``): readers number each study's lesions anew.

    ``heights`` are body heights (z of the location) by mark id, where they are known.
    """
    by_name: dict[str, list[JudgedMark]] = defaultdict(list)
    for one in kept:
        marks = [one.mark, *(copy.mark for copy in copies.get(one.mark.mark_id, ()))]
        for name in sorted({link_of(mark) for mark in marks} - {""}):
            by_name[name].append(one)
    dropped: dict[str, str] = {}
    graph = networkx.Graph()
    graph.add_nodes_from(one.mark.mark_id for one in kept)
    for name, members in by_name.items():
        ids = [one.mark.mark_id for one in members]
        if _contradicts(members):
            dropped |= dict.fromkeys(ids, NO_LINK)
        elif name.startswith(_UID):
            graph.add_edges_from(itertools.pairwise(ids))
        else:
            pairs = [
                (one.mark.mark_id, other.mark.mark_id)
                for one, other in itertools.combinations(members, 2)
                if is_consistent(one, other, name.removeprefix(_ID), heights or {})
            ]
            graph.add_edges_from(pairs)
            alone = set(ids) - {mark_id for pair in pairs for mark_id in pair}
            dropped |= dict.fromkeys(alone if len(ids) > 1 else (), NAME_ALONE)
    by_id = {one.mark.mark_id: one for one in kept}
    groups = [{n: by_id[n] for n in part} for part in networkx.connected_components(graph)]
    linked = [group for group in groups if len({_study(one) for one in group.values()}) > 1]
    linked.sort(key=lambda group: _first(group, study_numbers))
    tracks = {
        mark_id: f"t{number:02d}"
        for number, group in enumerate(linked, start=1)
        for mark_id in sorted(group)
    }
    return LinkedTracks(tracks, {one: why for one, why in dropped.items() if one not in tracks})


def is_consistent(
    one: JudgedMark, other: JudgedMark, name: str, heights: Mapping[str, float]
) -> bool:
    """Whether two marks of one name may be one lesion: type, size, place, height in the body.

    A name that only counts ("Lesion 1") needs both heights; for others an unknown one will do.
    """
    if one.plane is None or other.plane is None or one.box is None or other.box is None:
        return False
    types = {one.lesion_type, other.lesion_type} - {LesionType.UNKNOWN}
    sizes = (one.long_mm or 0.0, other.long_mm or 0.0)
    if len(types) > 1 or min(sizes) <= 0 or abs(math.log(sizes[0] / sizes[1])) > MOST_LOG_CHANGE:
        return False
    if math.dist(_from_middle_mm(one), _from_middle_mm(other)) > MOST_APART_MM:
        return False
    found = [heights.get(mark.mark.mark_id) for mark in (one, other)]
    known = [height for height in found if height is not None]
    if len(known) < len(found):
        return not _only_counts(name)
    return abs(known[0] - known[1]) <= MOST_HEIGHT


def _only_counts(name: str) -> bool:
    """Whether every study's lesions may have a name: a counter, with or without "lesion"."""
    tokens = _TOKEN.findall(name)
    return all(
        one.isdigit() or one in _COUNTED or (one.isascii() and len(one) <= MOST_SHORT)
        for one in tokens
    )


def _from_middle_mm(one: JudgedMark) -> tuple[float, float]:
    """A mark's place across the body: from the middle of the image."""
    assert one.plane is not None
    assert one.box is not None
    (x, y), (x_mm, y_mm) = one.box.center, one.plane.spacing_mm_px or (1.0, 1.0)
    return (x - (one.plane.columns - 1) / 2) * x_mm, (y - (one.plane.rows - 1) / 2) * y_mm


def _first(group: Mapping[str, JudgedMark], studies: Mapping[str, int]) -> tuple[int, str]:
    return min(studies[_study(one)] for one in group.values()), min(group)


def link_of(mark: Mark) -> str:
    """What links a mark to others of its lesion: the tracking UID, else a telling tracking id."""
    if mark.tracking_uid:
        return f"{_UID}{mark.tracking_uid}"
    name = mark.tracking_id.strip()
    return f"{_ID}{name.casefold()}" if name and not _TOOL.search(name.casefold()) else ""


def _study(one: JudgedMark) -> str:
    assert one.plane is not None
    return one.plane.image.study_uid


def _contradicts(members: Sequence[JudgedMark]) -> bool:
    by_series: dict[str, list[JudgedMark]] = defaultdict(list)
    for one in members:
        assert one.plane is not None
        by_series[one.plane.image.series_uid].append(one)
    return any(
        _distance_mm(one, other) > max(FAR_MM, one.long_mm or 0.0, other.long_mm or 0.0)
        for group in by_series.values()
        for place, one in enumerate(group)
        for other in group[:place]
    )


def _distance_mm(one: JudgedMark, other: JudgedMark) -> float:
    assert one.plane is not None
    assert other.plane is not None
    if one.box is None or other.box is None:
        return math.inf
    spacing = one.plane.spacing_mm_px or (1.0, 1.0)
    across, down = (a - b for a, b in zip(one.box.center, other.box.center, strict=True))
    deep = one.plane.depth_mm - other.plane.depth_mm
    return math.hypot(across * spacing[0], down * spacing[1], deep)
