"""RECIST 1.1 response between a patient's studies, from lesion tracks.

The rules are those of Eisenhauer et al., "New response evaluation criteria in solid tumours:
revised RECIST guideline (version 1.1)", European Journal of Cancer 2009;45:228-247. What the
guideline leaves to a reader is decided by ``ResponsePolicy``, named in every document. Worsening
of non-target lesions needs a reader's judgement and is not assessed. Research use only.
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
    PatientCourse,
    ResponsePolicy,
    Target,
    choose_targets,
)
from retrieval.tracking.track_types import RESEARCH_USE, PatientTracks

PARTIAL_RESPONSE_PCT = -30.0
PROGRESSION_PCT = 20.0
PROGRESSION_MM = 5.0
GUIDELINE = "RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228-247)"


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

    ``sum_mm`` adds the diameters of the target lesions that can be told, ``nadir_mm`` is the
    smallest complete sum before it (the baseline's included). ``new_tracks`` appeared since the
    baseline beyond doubt, ``possibly_new_tracks`` with doubt: these do not make progression.
    ``not_evaluable_tracks`` are targets whose diameter is not known here.
    """

    study_id: str
    study_date: date | None
    category: ResponseCategory
    reason: str
    sum_mm: float
    nadir_mm: float
    change_from_baseline_pct: float | None
    change_from_nadir_mm: float
    change_from_nadir_pct: float | None
    new_tracks: tuple[str, ...]
    possibly_new_tracks: tuple[str, ...]
    not_evaluable_tracks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The study's response as JSON values."""
        return {
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "category": self.category.value,
            "reason": self.reason,
            "sum_mm": round(self.sum_mm, 2),
            "nadir_mm": round(self.nadir_mm, 2),
            "change_from_baseline_pct": _rounded(self.change_from_baseline_pct),
            "change_from_nadir_mm": round(self.change_from_nadir_mm, 2),
            "change_from_nadir_pct": _rounded(self.change_from_nadir_pct),
            "new_tracks": list(self.new_tracks),
            "possibly_new_tracks": list(self.possibly_new_tracks),
            "not_evaluable_tracks": list(self.not_evaluable_tracks),
        }


@dataclass(frozen=True, slots=True)
class PatientResponse:
    """A patient's course: target lesions at the baseline, response of every later study."""

    tracks: PatientTracks
    policy: ResponsePolicy
    baseline_study: str
    baseline_sum_mm: float
    targets: tuple[Target, ...]
    studies: tuple[StudyResponse, ...]
    growth: tuple[TrackGrowth, ...]

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
            "baseline_sum_mm": round(self.baseline_sum_mm, 2),
            "targets": [target.to_json() for target in self.targets],
            "studies": [study.to_json() for study in self.studies],
            "growth": [growth.to_json() for growth in self.growth],
        }


def patient_response(
    tracks: PatientTracks,
    *,
    policy: ResponsePolicy | None = None,
    baseline_study: str | None = None,
) -> PatientResponse:
    """The RECIST 1.1 course of one patient.

    Args:
        tracks: the patient's lesion tracks, from ``retrieval.tracking.tracks.track_patient``.
        policy: how nodes and absent marks are taken; its defaults if None.
        baseline_study: the study to measure against; the first if None.

    Raises:
        TrackingError: for a baseline that is not a study of the patient.
    """
    ids = tracks.order.study_ids
    baseline = ids[0] if baseline_study is None else baseline_study
    if baseline not in ids:
        raise TrackingError(f"baseline study {baseline} is unknown: studies are {', '.join(ids)}")
    chosen = policy or ResponsePolicy()
    course = PatientCourse(tracks, chosen, ids.index(baseline))
    targets = choose_targets(course)
    start_mm = sum(target.baseline_mm for target in targets)
    studies: list[StudyResponse] = []
    nadir_mm = start_mm
    for study in range(ids.index(baseline) + 1, len(ids)):
        answer = _study_response(course, targets, study, (start_mm, nadir_mm))
        studies.append(answer)
        if not answer.not_evaluable_tracks:
            nadir_mm = min(nadir_mm, answer.sum_mm)
    growth = tuple(track_growth(track) for track in tracks.tracks)
    return PatientResponse(tracks, chosen, baseline, start_mm, targets, tuple(studies), growth)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sums a category is decided by, in mm."""

    now: float
    baseline: float
    nadir: float


def _study_response(
    course: PatientCourse, targets: Sequence[Target], study: int, sums_mm: tuple[float, float]
) -> StudyResponse:
    sizes = course.target_sizes(targets, study)
    sums = _Sums(sum(size for size in sizes.values() if size is not None), *sums_mm)
    new, possible = course.new_tracks(study)
    unknown = tuple(track_id for track_id, size in sizes.items() if size is None)
    left = course.non_targets_present(targets, study)
    gone = all(_has_disappeared(target, sizes[target.track_id]) for target in targets)
    progression = _progression(new, sums)
    if progression is not None:
        category, reason = ResponseCategory.PROGRESSIVE_DISEASE, progression
    elif unknown or not targets:
        category = ResponseCategory.NOT_EVALUABLE
        reason = f"not evaluable: {', '.join(unknown) or 'no measurable target at the baseline'}"
    else:
        category, reason = _shrinkage(sums, gone=gone, non_targets_left=left)
    return StudyResponse(
        study_id=course.tracks.order.study_ids[study],
        study_date=course.tracks.order.dates[study],
        category=category,
        reason=reason,
        sum_mm=sums.now,
        nadir_mm=sums.nadir,
        change_from_baseline_pct=_pct(sums.now, sums.baseline),
        change_from_nadir_mm=sums.now - sums.nadir,
        change_from_nadir_pct=_pct(sums.now, sums.nadir),
        new_tracks=new,
        possibly_new_tracks=possible,
        not_evaluable_tracks=unknown,
    )


def _progression(new_tracks: Sequence[str], sums: _Sums) -> str | None:
    """Why it is progression, None if it is not (section 4.3.1, table 1).

    Asked before anything else, since a target that is not evaluable could only add to the sum.
    """
    if new_tracks:
        return f"new lesions: {', '.join(new_tracks)}"
    growth_mm = sums.now - sums.nadir
    if growth_mm >= PROGRESSION_MM and sums.now >= sums.nadir * (1 + PROGRESSION_PCT / 100):
        return f"sum {growth_mm:.1f} mm above the smallest: at least 5 mm and 20 %"
    return None


def _shrinkage(sums: _Sums, *, gone: bool, non_targets_left: bool) -> tuple[ResponseCategory, str]:
    """The category where there is no progression, by section 4.3.1 and table 1."""
    if gone and not non_targets_left:
        return ResponseCategory.COMPLETE_RESPONSE, "all lesions gone"
    if gone:
        return ResponseCategory.PARTIAL_RESPONSE, "targets gone, non-target lesions left"
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
