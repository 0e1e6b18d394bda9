"""RECIST 1.1 response between a patient's studies, from lesion tracks.

The rules are those of Eisenhauer et al., "New response evaluation criteria in solid tumours:
revised RECIST guideline (version 1.1)", European Journal of Cancer 2009;45:228-247. What the
guideline leaves to a reader stands in ``ResponsePolicy``, named in every document. Nothing is said
of what was not measured: no sum, no percentage and no category. Worsening of non-target lesions
needs a reader's judgement and is not assessed. Research use only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.response.growth import TrackGrowth, track_growth
from retrieval.tracking.response.targets import (
    NODE_NORMAL_SHORT_MM,
    MeasuredTracks,
    Target,
    choose_targets,
)
from retrieval.tracking.response.volumes import VolumeResponse, volume_response
from retrieval.tracking.track_types import RESEARCH_USE, Completeness, PatientTracks

PARTIAL_RESPONSE_PCT = -30.0
PROGRESSION_PCT = 20.0
PROGRESSION_MM = 5.0
GUIDELINE = "RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228-247)"


@dataclass(frozen=True, slots=True)
class ResponsePolicy:
    """What RECIST leaves to a reader, as it was decided.

    Lymph nodes are lesions that a tag calls so; organs are DeepLesion's lesion types.
    """

    marks: Completeness
    nodes: str = "by_tag"
    organs: str = "lesion_type"

    def to_json(self) -> dict[str, str]:
        """The fields under their names."""
        return {"nodes": self.nodes, "organs": self.organs, "marks": self.marks.value}


class ResponseCategory(StrEnum):
    """RECIST 1.1 categories of one study against the baseline and the smallest sum so far."""

    COMPLETE_RESPONSE = "CR"
    PARTIAL_RESPONSE = "PR"
    STABLE_DISEASE = "SD"
    PROGRESSIVE_DISEASE = "PD"
    NOT_EVALUABLE = "NE"


@dataclass(frozen=True, slots=True)
class StudyResponse:
    """One study after the baseline.

    ``sum_mm`` adds the diameters of the target lesions that are known here, None where none is;
    where some are not (``not_evaluable_tracks``) it is the least that the sum can be, and has no
    percentage. ``nadir_mm`` is the smallest complete sum before it (the baseline's included).
    ``new_tracks`` appeared since the baseline beyond doubt, ``possibly_new_tracks`` with doubt:
    these do not make progression. ``category`` is None where no target was measured and nothing
    is new beyond doubt.
    """

    study_id: str
    study_date: date | None
    category: ResponseCategory | None
    reason: str
    sum_mm: float | None
    nadir_mm: float | None
    change_from_baseline_pct: float | None
    change_from_nadir_mm: float | None
    change_from_nadir_pct: float | None
    new_tracks: tuple[str, ...]
    possibly_new_tracks: tuple[str, ...]
    not_evaluable_tracks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The study's response as JSON values."""
        return {
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "category": None if self.category is None else self.category.value,
            "reason": self.reason,
            "sum_mm": _rounded(self.sum_mm, 2),
            "nadir_mm": _rounded(self.nadir_mm, 2),
            "change_from_baseline_pct": _rounded(self.change_from_baseline_pct, 1),
            "change_from_nadir_mm": _rounded(self.change_from_nadir_mm, 2),
            "change_from_nadir_pct": _rounded(self.change_from_nadir_pct, 1),
            "new_tracks": list(self.new_tracks),
            "possibly_new_tracks": list(self.possibly_new_tracks),
            "not_evaluable_tracks": list(self.not_evaluable_tracks),
        }


@dataclass(frozen=True, slots=True)
class PatientResponse:
    """A patient over time: target lesions at the baseline, response of every later study.

    ``baseline_sum_mm`` is None where the baseline shows no measurable target.
    """

    tracks: PatientTracks
    baseline_study: str
    baseline_sum_mm: float | None
    targets: tuple[Target, ...]
    studies: tuple[StudyResponse, ...]
    growth: tuple[TrackGrowth, ...]
    volumes: VolumeResponse

    def to_json(self) -> dict[str, Any]:
        """The document, with the guideline, the policy and the notice in it."""
        return {
            "notice": RESEARCH_USE,
            "guideline": GUIDELINE,
            "policy": self.policy.to_json(),
            "not_assessed": "worsening of non-target lesions",
            "patient_id": self.tracks.patient_id,
            "ordered_by": self.tracks.order.ordered_by.value,
            "baseline_study": self.baseline_study,
            "baseline_sum_mm": _rounded(self.baseline_sum_mm, 2),
            "targets": [target.to_json() for target in self.targets],
            "studies": [study.to_json() for study in self.studies],
            "growth": [growth.to_json() for growth in self.growth],
            "volumes": self.volumes.to_json(),
        }

    @property
    def policy(self) -> ResponsePolicy:
        """What was decided where RECIST leaves it to a reader."""
        order = self.tracks.order
        known = [study_id in order.complete for study_id in order.study_ids]
        partly = Completeness.PARTLY_COMPLETE if any(known) else Completeness.INCOMPLETE
        return ResponsePolicy(Completeness.COMPLETE if all(known) else partly)


def patient_response(
    tracks: PatientTracks, *, baseline_study: str | None = None
) -> PatientResponse:
    """The RECIST 1.1 response of one patient over time.

    Marks are complete in the studies that ``tracks.order`` says so of: there a target without a
    mark is gone (0 mm). Elsewhere it is not evaluable, and no lesion is new beyond doubt after a
    study with incomplete marks.

    Args:
        tracks: the patient's lesion tracks, from ``retrieval.tracking.tracks.track_patient``.
        baseline_study: the study to measure against; the first if None.

    Raises:
        TrackingError: for a baseline that is not a study of the patient.
    """
    ids = tracks.order.study_ids
    baseline = ids[0] if baseline_study is None else baseline_study
    if baseline not in ids:
        raise TrackingError(f"baseline study {baseline} is unknown: studies are {', '.join(ids)}")
    measured = MeasuredTracks(tracks, ids.index(baseline))
    targets = choose_targets(measured)
    start_mm = sum(target.baseline_mm for target in targets) if targets else None
    studies: list[StudyResponse] = []
    nadir_mm = start_mm
    for study in range(ids.index(baseline) + 1, len(ids)):
        answer = _study_response(measured, targets, study, (start_mm, nadir_mm))
        studies.append(answer)
        if nadir_mm is not None and answer.sum_mm is not None and not answer.not_evaluable_tracks:
            nadir_mm = min(nadir_mm, answer.sum_mm)
    growth = tuple(track_growth(track) for track in tracks.tracks)
    volumes = volume_response(tracks, targets, ids.index(baseline))
    return PatientResponse(tracks, baseline, start_mm, targets, tuple(studies), growth, volumes)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sums a category is decided by, in mm; ``now`` is a lower bound unless ``all_known``."""

    now: float
    baseline: float
    nadir: float
    all_known: bool


def _study_response(
    measured: MeasuredTracks,
    targets: Sequence[Target],
    study: int,
    references_mm: tuple[float | None, float | None],
) -> StudyResponse:
    sizes = measured.target_sizes(targets, study)
    start_mm, nadir_mm = references_mm
    known = [size for size in sizes.values() if size is not None]
    sums = None
    if known and start_mm is not None and nadir_mm is not None:
        sums = _Sums(sum(known), start_mm, nadir_mm, len(known) == len(sizes))
    new, possible = measured.new_tracks(study)
    unknown = tuple(track_id for track_id, size in sizes.items() if size is None)
    left = measured.non_targets_left(targets, study)
    gone = all(_has_disappeared(target, sizes[target.track_id]) for target in targets)
    progression = _progression(new, sums)
    category: ResponseCategory | None
    if progression is not None:
        category, reason = ResponseCategory.PROGRESSIVE_DISEASE, progression
    elif sums is None:
        category = None
        reason = "no target measured" if targets else "no measurable target at the baseline"
    elif unknown:
        category = ResponseCategory.NOT_EVALUABLE
        reason = f"not evaluable: {', '.join(unknown)}"
    else:
        category, reason = _shrinkage(sums, gone=gone, non_targets_left=left)
    whole = sums if sums is not None and sums.all_known else None
    return StudyResponse(
        study_id=measured.tracks.order.study_ids[study],
        study_date=measured.tracks.order.dates[study],
        category=category,
        reason=reason,
        sum_mm=None if sums is None else sums.now,
        nadir_mm=nadir_mm,
        change_from_baseline_pct=None if whole is None else _pct(whole.now, whole.baseline),
        change_from_nadir_mm=None if whole is None else whole.now - whole.nadir,
        change_from_nadir_pct=None if whole is None else _pct(whole.now, whole.nadir),
        new_tracks=new,
        possibly_new_tracks=possible,
        not_evaluable_tracks=unknown,
    )


def _progression(new_tracks: Sequence[str], sums: _Sums | None) -> str | None:
    """Why it is progression, None if it is not (section 4.3.1, table 1).

    Asked before anything else, since a target that is not evaluable could only add to the sum.
    """
    if new_tracks:
        return f"new lesions: {', '.join(new_tracks)}"
    if sums is None:
        return None
    growth_mm = sums.now - sums.nadir
    if growth_mm >= PROGRESSION_MM and sums.now >= sums.nadir * (1 + PROGRESSION_PCT / 100):
        return f"sum {growth_mm:.1f} mm above the smallest: at least 5 mm and 20 %"
    return None


def _shrinkage(sums: _Sums, *, gone: bool, non_targets_left: bool) -> tuple[ResponseCategory, str]:
    """The category where there is no progression, by section 4.3.1 and table 1."""
    if gone and not non_targets_left:
        return ResponseCategory.COMPLETE_RESPONSE, "all lesions gone"
    if gone:
        return (
            ResponseCategory.PARTIAL_RESPONSE,
            "targets gone, other lesions left or not marked",
        )
    if sums.now <= sums.baseline * (1 + PARTIAL_RESPONSE_PCT / 100):
        return ResponseCategory.PARTIAL_RESPONSE, "sum at least 30 % below the baseline"
    return ResponseCategory.STABLE_DISEASE, "neither 30 % below the baseline nor progression"


def _has_disappeared(target: Target, size_mm: float | None) -> bool:
    """Gone, or for a node: back to a short axis below 10 mm."""
    if size_mm is None:
        return False
    return size_mm == 0.0 or (target.nodal and size_mm < NODE_NORMAL_SHORT_MM)


def _pct(value_mm: float, reference_mm: float) -> float | None:
    return 100.0 * (value_mm - reference_mm) / reference_mm if reference_mm > 0 else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
