"""Lesion tracks as readers linked them: marks of several studies under one tracking id."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.verdicts import JudgedMark

_TOOL = re.compile(r"@|Tools?:|^(length|bidirectional|ellipse|circle|line|arrow|roi|measurement)$")
"""Tracking identifiers that name a viewer's tool (``Cornerstone3DTools@^0.1.0:Length``) or the
kind of a graphic, not a lesion."""

NO_LINK = "its tracking id names several places of one series: no link"

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
) -> LinkedTracks:
    """The tracks of one patient: of two studies at least, ``t01``, ``t02``, ... by first study.

    A lesion has the tracking ids of its copies too. A tracking id that names two places in one
    series is a writer's constant and links nothing.
    """
    by_name: dict[str, list[JudgedMark]] = defaultdict(list)
    for one in kept:
        marks = [one.mark, *(copy.mark for copy in copies.get(one.mark.mark_id, ()))]
        for name in sorted({link_of(mark) for mark in marks} - {""}):
            by_name[name].append(one)
    dropped: dict[str, str] = {}
    groups: list[dict[str, JudgedMark]] = []
    for members in by_name.values():
        own = {one.mark.mark_id: one for one in members}
        if _contradicts(members):
            dropped |= dict.fromkeys(own, NO_LINK)
            continue
        joined = [group for group in groups if group.keys() & own.keys()]
        groups = [group for group in groups if not group.keys() & own.keys()]
        groups.append({mark_id: one for group in (*joined, own) for mark_id, one in group.items()})
    linked = [group for group in groups if len({_study(one) for one in group.values()}) > 1]
    linked.sort(key=lambda group: _first(group, study_numbers))
    tracks = {
        mark_id: f"t{number:02d}"
        for number, group in enumerate(linked, start=1)
        for mark_id in group
    }
    return LinkedTracks(tracks, dropped)


def _first(group: Mapping[str, JudgedMark], studies: Mapping[str, int]) -> tuple[int, str]:
    return min(studies[_study(one)] for one in group.values()), min(group)


def link_of(mark: Mark) -> str:
    """What links a mark to others of its lesion: the tracking UID, else a telling tracking id."""
    if mark.tracking_uid:
        return f"uid {mark.tracking_uid}"
    name = mark.tracking_id.strip()
    return f"id {name.casefold()}" if name and not _TOOL.search(name.casefold()) else ""


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
