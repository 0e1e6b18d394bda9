"""Which lesions RECIST 1.1 measures, and how large they are in each study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.lesion import Lesion, LesionType
from retrieval.tag import TagSource
from retrieval.tracking.states import LinkState
from retrieval.tracking.track_types import PatientTracks, Track

MOST_TARGETS = 5
MOST_TARGETS_AN_ORGAN = 2
LEAST_LONG_MM = 10.0
LEAST_NODE_SHORT_MM = 15.0
NODE_NORMAL_SHORT_MM = 10.0
"""Limits of Eisenhauer et al. 2009, sections 3.1 (measurable), 4.1 and 4.3.1 (nodes)."""


NODE_TAGS = frozenset({"lymph node", "lymph nodes", "lymphadenopathy", "adenopathy", "node"})
"""Tags that say of a lesion that it is a lymph node. Its type never does: DeepLesion's mediastinal
lesions are nodes and other things, and its types name no nodes."""


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
class MeasuredTracks:
    """A patient's tracks read study by study; ``baseline`` is the place of the baseline study."""

    tracks: PatientTracks
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
        if self._is_doubtful(track) or not self.tracks.order.is_complete(study):
            return None
        return 0.0

    def new_tracks(self, study: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tracks first marked after the baseline, up to a study: beyond doubt, and with doubt.

        Beyond doubt are those that stand in no study from the baseline on whose marks are
        complete, though one came before them, and that no uncertain link joins to an earlier one.
        """
        since = set(self.tracks.order.study_ids[self.baseline + 1 : study + 1])
        certain: list[str] = []
        possible: list[str] = []
        for track in self.tracks.tracks:
            first = track.lesions[0]
            if first.study_id not in since or track.split_from or self._is_small_node(track):
                continue
            before = range(self.baseline, self.tracks.order.study_ids.index(first.study_id))
            doubt = first.lesion_id in self._doubtful or not self.tracks.order.any_complete(before)
            (possible if doubt else certain).append(track.track_id)
        return tuple(certain), tuple(possible)

    def non_targets_left(self, targets: Sequence[Target], study: int) -> bool:
        """Whether a baseline lesion that is no target is still marked, or not known to be gone."""
        measured = {target.track_id for target in targets}
        for track in self.tracks.tracks:
            if track.track_id in measured or not self.in_study(track, self.baseline):
                continue
            if not self.in_study(track, study):
                if not self.tracks.order.is_complete(study):
                    return True
                continue
            size = self.size_mm(track, study, nodal=is_nodal(track))
            if not (is_nodal(track) and size is not None and size < NODE_NORMAL_SHORT_MM):
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
        return is_nodal(track) and first is not None and first < NODE_NORMAL_SHORT_MM


def choose_targets(measured: MeasuredTracks) -> tuple[Target, ...]:
    """The largest measurable lesions of the baseline, at most five and two an organ."""
    measurable = []
    for track in measured.tracks.tracks:
        nodal = is_nodal(track)
        size = measured.size_mm(track, measured.baseline, nodal=nodal)
        if size is not None and size >= (LEAST_NODE_SHORT_MM if nodal else LEAST_LONG_MM):
            measurable.append(Target(track.track_id, _organ(track), nodal, size))
    chosen: list[Target] = []
    taken: Counter[LesionType] = Counter()
    for target in sorted(measurable, key=lambda t: (-t.baseline_mm, t.track_id)):
        if len(chosen) < MOST_TARGETS and taken[target.organ] < MOST_TARGETS_AN_ORGAN:
            chosen.append(target)
            taken[target.organ] += 1
    return tuple(chosen)


def is_nodal(track: Track) -> bool:
    """Whether a tag of one of the track's lesions says that it is a lymph node.

    A prediction alone does not make it one: a node is measured across, any other lesion along.
    """
    return any(
        tag.term.strip().lower().replace("_", " ") in NODE_TAGS
        for lesion in track.lesions
        for tag in lesion.tags
        if tag.holds and tag.source is not TagSource.PREDICTED
    )


def _organ(track: Track) -> LesionType:
    """The type most of the track's lesions have, unknown only where none has one."""
    known = Counter(
        lesion.lesion_type
        for lesion in track.lesions
        if lesion.lesion_type is not LesionType.UNKNOWN
    )
    return max(sorted(known), key=known.__getitem__) if known else LesionType.UNKNOWN
