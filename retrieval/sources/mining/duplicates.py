"""One lesion from several marks: copies over carriers, and versions of one measurement.

Two kept marks are one lesion where they lie on the same image and their boxes overlap by
``SAME_IOU``, or where one tracking UID names both, their boxes overlap in one series and their
slices lie no farther apart than the lesion is long. Of the
195 pairs of different lesions that share an official DeepLesion key slice the most alike overlap
by 0.596, so none of them would be taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from retrieval.lesion import LesionType
from retrieval.sources.marks.mark import MarkKind
from retrieval.sources.marks.verdicts import JudgedMark, Verdict

SAME_IOU = 0.6

LEAST_REACH_MM = 5.0
"""Marks under one tracking UID are of one lesion where their slices lie no farther apart than it
is long, or than this."""

_PREFERRED = (
    MarkKind.RECIST,
    MarkKind.ELLIPSE,
    MarkKind.MASK,
    MarkKind.POLYGON,
    MarkKind.ELLIPSOID,
    MarkKind.CIRCLE,
    MarkKind.BOX,
)
"""Whose mark stands for the lesion: two drawn diameters before an outline before a box."""


_REPLACEABLE = frozenset({Verdict.KEPT, Verdict.PROPOSED, Verdict.PROPOSAL_NEEDED})


@dataclass(frozen=True)
class DistinctMarks:
    """Verdicts after copies and replaced versions were told.

    Attributes:
        judged: all of them in their order.
        copies: for the id of each mark that stands for a lesion, its copies.
    """

    judged: list[JudgedMark]
    copies: dict[str, list[JudgedMark]]


def without_duplicates(judged: Sequence[JudgedMark]) -> DistinctMarks:
    """Tells copies and replaced versions; a lesion whose type only a copy tells has that type."""
    replaced = _replaced(judged)
    kept = [one for one in replaced if one.verdict.is_lesion]
    stands: list[JudgedMark] = []
    told: dict[int, JudgedMark] = {}
    copies: dict[str, list[JudgedMark]] = {}
    for one in sorted(kept, key=_preference):
        same = next((other for other in stands if _are_one(one, other)), None)
        if same is None:
            stands.append(one)
        else:
            told[id(one)] = _copy(one, same)
            copies.setdefault(same.mark.mark_id, []).append(one)
    for one in stands:
        types = (copy.lesion_type for copy in copies.get(one.mark.mark_id, ()))
        known = next((kind for kind in types if kind is not LesionType.UNKNOWN), None)
        if one.lesion_type is LesionType.UNKNOWN and known is not None:
            told[id(one)] = replace(one, lesion_type=known)
    return DistinctMarks([told.get(id(one), one) for one in replaced], copies)


def _copy(one: JudgedMark, same: JudgedMark) -> JudgedMark:
    words = f"duplicate of {same.mark.mark_id} ({same.mark.carrier.value})"
    return replace(one, verdict=Verdict.DUPLICATE, duplicate_of=same.mark.mark_id, words=words)


def _replaced(judged: Sequence[JudgedMark]) -> list[JudgedMark]:
    """Marks of a carrier that another one names as its predecessor."""
    successors = {
        uid: one.mark.source_uid for one in judged for uid in one.mark.predecessors if uid
    }
    found = []
    for one in judged:
        newer = successors.get(one.mark.source_uid)
        if one.verdict in _REPLACEABLE and newer not in {None, one.mark.source_uid}:
            words = "a later version of its report replaces it"
            found.append(replace(one, verdict=Verdict.REPLACED, words=words))
        else:
            found.append(one)
    return found


def _preference(one: JudgedMark) -> tuple[int, int, str]:
    kind = one.mark.kind
    rank = _PREFERRED.index(kind) if kind in _PREFERRED else len(_PREFERRED)
    drawn = one.mark.drawn_on or date.min
    return rank, -drawn.toordinal(), one.mark.mark_id


def _are_one(one: JudgedMark, other: JudgedMark) -> bool:
    if one.plane is None or other.plane is None or one.box is None or other.box is None:
        return False
    if _image(one) == _image(other):
        return one.box.iou(other.box) >= SAME_IOU
    same_track = one.mark.tracking_uid and one.mark.tracking_uid == other.mark.tracking_uid
    same_series = one.plane.image.series_uid == other.plane.image.series_uid
    if not (same_track and same_series):
        return False
    reach_mm = max(one.long_mm or 0.0, other.long_mm or 0.0, LEAST_REACH_MM)
    near = abs(one.plane.depth_mm - other.plane.depth_mm) <= reach_mm
    return near and one.box.overlap_area(other.box) > 0


def _image(one: JudgedMark) -> tuple[str, int | None]:
    assert one.plane is not None
    return one.plane.image.sop_uid, one.plane.image.frame
