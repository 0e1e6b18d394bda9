"""Response by measured volume, beside RECIST's diameters and never in their place.

The volume of a sphere whose diameter falls by 30 % falls by 66 %, and rises by 73 % where the
diameter rises by 20 %: these bounds are used, and no category of RECIST is given by them. Only
volumes of followed masks count; nothing is said of what was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from retrieval.lesion import Lesion
from retrieval.tracking.response.targets import Target
from retrieval.tracking.track_types import PatientTracks, Track

SHRINKAGE_PCT = 100 * (0.7**3 - 1)
GROWTH_PCT = 100 * (1.2**3 - 1)
BASIS = (
    "measured volumes of the target lesions; bounds of -66 % and +73 % are those of a sphere whose "
    "diameter changes by -30 % and +20 %; not a category of RECIST"
)


class VolumeChange(StrEnum):
    """How the sum of volumes changed beyond the bounds."""

    SHRUNK = "shrunk"
    GROWN = "grown"
    WITHIN = "within the bounds"


@dataclass(frozen=True, slots=True)
class VolumePoint:
    """A track's measured volume in one study.

    Attributes:
        study_id: the study.
        study_date: its date; null where it has none.
        lesion_ids: the marks there.
        volume_mm3: null where it was not measured, or only in part.
        interval_90: nine of ten lesions lie within.
        change_pct: from the track's first measured volume; null before a second one.
    """

    study_id: str
    study_date: date | None
    lesion_ids: tuple[str, ...]
    volume_mm3: float | None
    interval_90: tuple[float, float] | None
    change_pct: float | None

    def to_json(self) -> dict[str, Any]:
        """The point as JSON values."""
        return {
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "lesion_ids": list(self.lesion_ids),
            "volume_mm3": self.volume_mm3,
            "interval_90": None if self.interval_90 is None else list(self.interval_90),
            "change_pct": _rounded(self.change_pct),
        }


@dataclass(frozen=True, slots=True)
class TrackVolumes:
    """The measured volumes of one lesion track.

    Attributes:
        track_id: the track.
        points: one for each study that holds it.
    """

    track_id: str
    points: tuple[VolumePoint, ...]

    def to_json(self) -> dict[str, Any]:
        """The volumes as JSON values."""
        return {"track_id": self.track_id, "points": [point.to_json() for point in self.points]}


@dataclass(frozen=True, slots=True)
class StudyVolumes:
    """The target lesions' volumes in one study after the baseline.

    Attributes:
        study_id: the study.
        sum_mm3: of all targets; null where one was not measured.
        change_from_baseline_pct: null without both sums.
        change_from_nadir_pct: from the smallest whole sum before it.
        change: beyond the bounds or not; null where it cannot be told.
        not_measured_tracks: the targets without a volume there.
    """

    study_id: str
    sum_mm3: float | None
    change_from_baseline_pct: float | None
    change_from_nadir_pct: float | None
    change: VolumeChange | None
    not_measured_tracks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The study as JSON values."""
        return {
            "study_id": self.study_id,
            "sum_mm3": _rounded(self.sum_mm3),
            "change_from_baseline_pct": _rounded(self.change_from_baseline_pct),
            "change_from_nadir_pct": _rounded(self.change_from_nadir_pct),
            "change": None if self.change is None else self.change.value,
            "not_measured_tracks": list(self.not_measured_tracks),
        }


@dataclass(frozen=True, slots=True)
class VolumeResponse:
    """Volumes of a patient's tracks, and of its target lesions together.

    Attributes:
        basis: what the bounds are, in words.
        baseline_sum_mm3: of all targets at the baseline; null where one was not measured.
        studies: after the baseline.
        tracks: those with at least one measured volume.
    """

    basis: str
    baseline_sum_mm3: float | None
    studies: tuple[StudyVolumes, ...]
    tracks: tuple[TrackVolumes, ...]

    def to_json(self) -> dict[str, Any]:
        """The response by volume as JSON values."""
        return {
            "basis": self.basis,
            "baseline_sum_mm3": _rounded(self.baseline_sum_mm3),
            "studies": [study.to_json() for study in self.studies],
            "tracks": [track.to_json() for track in self.tracks],
        }


def volume_response(
    tracks: PatientTracks, targets: Sequence[Target], baseline: int
) -> VolumeResponse:
    """The response by volume of the same targets that RECIST counts.

    A target without a mark in a study has no volume there, also where it is known to be gone.

    Args:
        tracks: the patient's tracks.
        targets: those of the baseline.
        baseline: the place of the baseline study.
    """
    by_id = {track.track_id: track for track in tracks.tracks}
    own = [by_id[target.track_id] for target in targets]
    start, _ = _sum(own, tracks.order.study_ids[baseline])
    smallest, studies = start, []
    for study_id in tracks.order.study_ids[baseline + 1 :]:
        now, missing = _sum(own, study_id)
        since, above = _pct(now, start), _pct(now, smallest)
        studies.append(StudyVolumes(study_id, now, since, above, _change(since, above), missing))
        if now is not None and smallest is not None:
            smallest = min(smallest, now)
    found = [_track(track) for track in tracks.tracks]
    measured = [one for one in found if any(point.volume_mm3 is not None for point in one.points)]
    return VolumeResponse(BASIS, start, tuple(studies), tuple(measured))


def _track(track: Track) -> TrackVolumes:
    by_study: dict[str, list[Lesion]] = {}
    for lesion in track.lesions:
        by_study.setdefault(lesion.study_id, []).append(lesion)
    points: list[VolumePoint] = []
    first: float | None = None
    for study_id, marks in by_study.items():
        volume = _volume(marks)
        points.append(
            VolumePoint(
                study_id,
                marks[0].study_date,
                tuple(mark.lesion_id for mark in marks),
                _rounded(volume),
                _interval(marks),
                None if first is None else _pct(volume, first),
            )
        )
        first = volume if first is None else first
    return TrackVolumes(track.track_id, tuple(points))


def _volume(marks: Sequence[Lesion]) -> float | None:
    """Of one study: marks on several series are one lesion; two on one series are not."""
    found = [None if one.measured is None else one.measured.whole_volume_mm3 for one in marks]
    known = [volume for volume in found if volume is not None and volume > 0]
    several = len({mark.series_id for mark in marks}) < len(marks)
    if several or not known or len(known) < len(found):
        return None
    return sum(known) / len(known)


def _interval(marks: Sequence[Lesion]) -> tuple[float, float] | None:
    measured = marks[0].measured
    if len(marks) > 1 or measured is None or measured.whole_volume_mm3 is None:
        return None
    return None if measured.volume_mm3 is None else measured.volume_mm3.interval_90


def _sum(targets: Sequence[Track], study_id: str) -> tuple[float | None, tuple[str, ...]]:
    """The sum of all targets' volumes, None unless all are known; and those that are not."""
    total, missing = 0.0, []
    for track in targets:
        marks = [lesion for lesion in track.lesions if lesion.study_id == study_id]
        volume = _volume(marks) if marks else None
        if volume is None:
            missing.append(track.track_id)
        else:
            total += volume
    return (total if targets and not missing else None), tuple(missing)


def _change(since: float | None, above: float | None) -> VolumeChange | None:
    if since is None or above is None:
        return None
    if above >= GROWTH_PCT:
        return VolumeChange.GROWN
    return VolumeChange.SHRUNK if since <= SHRINKAGE_PCT else VolumeChange.WITHIN


def _pct(value: float | None, reference: float | None) -> float | None:
    if value is None or reference is None or reference <= 0:
        return None
    return 100.0 * (value - reference) / reference


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
