"""Which lesions RECIST 1.1 measures, and how large they are in each study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from retrieval.lesion import Lesion, LesionType
from retrieval.tracking.track_types import LinkState, PatientTracks, Track

MOST_TARGETS = 5
MOST_TARGETS_AN_ORGAN = 2
LEAST_LONG_MM = 10.0
LEAST_NODE_SHORT_MM = 15.0
NODE_NORMAL_SHORT_MM = 10.0
"""Limits of Eisenhauer et al. 2009, sections 3.1 (measurable), 4.1 and 4.3.1 (nodes)."""


class NodePolicy(StrEnum):
    """Which lesions are lymph nodes, measured by their short axis.

    DeepLesion's types do not name nodes. Most of its mediastinal lesions are lymph nodes, others
    are not, so the rule is a choice and never silent.
    """

    MEDIASTINUM_IS_NODAL = "mediastinum_is_nodal"
    NOTHING_IS_NODAL = "nothing_is_nodal"


class MarkPolicy(StrEnum):
    """Whether every lesion of every study was marked.

    ``complete``: a target without a mark has vanished (0 mm) and a lesion first marked later is
    new. ``incomplete``: such a target is not evaluable and such a lesion only possibly new.
    """

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class ResponsePolicy:
    """What RECIST leaves to a reader, decided by name. Organs are DeepLesion's lesion types."""

    nodes: NodePolicy = NodePolicy.MEDIASTINUM_IS_NODAL
    marks: MarkPolicy = MarkPolicy.COMPLETE

    def to_json(self) -> dict[str, Any]:
        """The policy as JSON values."""
        return {"nodes": self.nodes.value, "marks": self.marks.value, "organs": "lesion_type"}


@dataclass(frozen=True, slots=True)
class Target:
    """A target lesion: the long diameter at the baseline, or a node's short one."""

    track_id: str
    organ: LesionType
    nodal: bool
    baseline_mm: float

    def to_json(self) -> dict[str, Any]:
        """The target as JSON values."""
        return {
            "track_id": self.track_id,
            "organ": self.organ.value,
            "axis": "short" if self.nodal else "long",
            "baseline_mm": round(self.baseline_mm, 2),
        }


@dataclass(frozen=True, slots=True)
class PatientCourse:
    """A patient's tracks read study by study; ``baseline`` is the place of the baseline study."""

    tracks: PatientTracks
    policy: ResponsePolicy
    baseline: int
    _by_id: dict[str, Track] = field(init=False, repr=False)
    _doubtful: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_id = {track.track_id: track for track in self.tracks.tracks}
        own = {x.lesion_id: track.track_id for track in self.tracks.tracks for x in track.lesions}
        doubtful = frozenset(
            lesion_id
            for link in self.tracks.links
            if link.state is LinkState.UNCERTAIN and own[link.earlier] != own[link.later]
            for lesion_id in (link.earlier, link.later)
        )
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_doubtful", doubtful)

    def in_study(self, track: Track, study: int) -> list[Lesion]:
        """The track's lesions in one study."""
        return [x for x in track.lesions if x.study_id == self.tracks.order.study_ids[study]]

    def is_nodal(self, track: Track) -> bool:
        """Whether the policy takes the track for a lymph node."""
        by_mediastinum = self.policy.nodes is NodePolicy.MEDIASTINUM_IS_NODAL
        return by_mediastinum and _organ(track) is LesionType.MEDIASTINUM

    def size_mm(self, track: Track, study: int, *, nodal: bool) -> float | None:
        """Sum of the diameters marked in the study that count; None where one is not measured."""
        lesions = self.in_study(track, study)
        sizes = [lesion.short_mm if nodal else lesion.long_mm for lesion in lesions]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None

    def target_sizes(self, targets: Sequence[Target], study: int) -> dict[str, float | None]:
        """What each target adds to the sum of a study, None where it is not evaluable.

        Lesions that merged count by the joint lesion's diameter, once; the parts of one that split
        count together (Eisenhauer et al. 2009, section 4.3.2).
        """
        measured = {target.track_id for target in targets}
        return {target.track_id: self._target_mm(target, study, measured) for target in targets}

    def _target_mm(self, target: Target, study: int, measured: set[str]) -> float | None:
        track = self._by_id[target.track_id]
        if self.in_study(track, study):
            own = self.size_mm(track, study, nodal=target.nodal)
            return None if own is None else own + self._split_parts_mm(target, study)
        if self._last_study(track) > study:
            return None
        if track.merged_into is not None:
            joint = self._by_id[track.merged_into]
            counted = track.merged_into in measured
            return 0.0 if counted else self.size_mm(joint, study, nodal=target.nodal)
        if self._is_doubtful(track) or self.policy.marks is MarkPolicy.INCOMPLETE:
            return None
        return 0.0

    def new_tracks(self, study: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tracks that appeared after the baseline, up to a study: beyond doubt, and with doubt."""
        since = set(self.tracks.order.study_ids[self.baseline + 1 : study + 1])
        certain: list[str] = []
        possible: list[str] = []
        for track in self.tracks.tracks:
            if track.new_in not in since or self._is_small_node(track):
                continue
            incomplete = self.policy.marks is MarkPolicy.INCOMPLETE
            doubt = incomplete or track.lesions[0].lesion_id in self._doubtful
            (possible if doubt else certain).append(track.track_id)
        return tuple(certain), tuple(possible)

    def non_targets_present(self, targets: Sequence[Target], study: int) -> bool:
        """Whether a baseline lesion that is no target is still marked in the study."""
        measured = {target.track_id for target in targets}
        for track in self.tracks.tracks:
            if track.track_id in measured or not self.in_study(track, self.baseline):
                continue
            size = self.size_mm(track, study, nodal=self.is_nodal(track))
            normal_node = self.is_nodal(track) and size is not None and size < NODE_NORMAL_SHORT_MM
            if self.in_study(track, study) and not normal_node:
                return True
        return False

    def _split_parts_mm(self, target: Target, study: int) -> float:
        parts = [t for t in self.tracks.tracks if t.split_from == target.track_id]
        sizes = [self.size_mm(part, study, nodal=target.nodal) for part in parts]
        return sum(size for size in sizes if size is not None)

    def _last_study(self, track: Track) -> int:
        return self.tracks.order.study_ids.index(track.lesions[-1].study_id)

    def _is_doubtful(self, track: Track) -> bool:
        return any(lesion.lesion_id in self._doubtful for lesion in track.lesions)

    def _is_small_node(self, track: Track) -> bool:
        first = track.lesions[0].short_mm
        return self.is_nodal(track) and first is not None and first < NODE_NORMAL_SHORT_MM


def choose_targets(course: PatientCourse) -> tuple[Target, ...]:
    """The largest measurable lesions of the baseline, at most five and two an organ."""
    measurable = []
    for track in course.tracks.tracks:
        nodal = course.is_nodal(track)
        size = course.size_mm(track, course.baseline, nodal=nodal)
        if size is not None and size >= (LEAST_NODE_SHORT_MM if nodal else LEAST_LONG_MM):
            measurable.append(Target(track.track_id, _organ(track), nodal, size))
    chosen: list[Target] = []
    taken: Counter[LesionType] = Counter()
    for target in sorted(measurable, key=lambda t: (-t.baseline_mm, t.track_id)):
        if len(chosen) < MOST_TARGETS and taken[target.organ] < MOST_TARGETS_AN_ORGAN:
            chosen.append(target)
            taken[target.organ] += 1
    return tuple(chosen)


def _organ(track: Track) -> LesionType:
    """The type most of the track's lesions have, unknown only where none has one."""
    known = Counter(
        lesion.lesion_type
        for lesion in track.lesions
        if lesion.lesion_type is not LesionType.UNKNOWN
    )
    return max(sorted(known), key=known.__getitem__) if known else LesionType.UNKNOWN
