"""The courses of one patient's lesion tracks, and why some lesions have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion
from retrieval.tracking.growth.courses import Course, SizeMeasure, UnusableCourseError, course_of
from retrieval.tracking.states import LinkState
from retrieval.tracking.track_types import PatientTracks, Track

FIRM = frozenset({LinkState.CONFIRMED, LinkState.MATCHED})


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredMarks:
    """What is known of a patient's marks beside the lesions, by lesion id.

    Attributes:
        vectors: the embeddings; none if None.
        sizes: measured sizes; the long diameters if None.
        measure: what the sizes are.
    """

    vectors: Mapping[str, NDArray[np.float32]] | None = None
    sizes: Mapping[str, float | None] | None = None
    measure: SizeMeasure = SizeMeasure.LONG


@dataclass(frozen=True, slots=True, eq=False)
class PatientCourses:
    """A patient's courses; ``without`` tells in words why a lesion id is in none of them."""

    courses: tuple[Course, ...]
    without: Mapping[str, str]


def patient_courses(
    tracks: PatientTracks, marks: MeasuredMarks | None = None, *, today: date | None = None
) -> PatientCourses:
    """One course for each track, as far as its links are firm.

    A track is parted where its next mark hangs on an uncertain link alone, and has no course where
    it merged with another or split, since sizes before and after are not those of one lesion.
    """
    known = marks or MeasuredMarks()
    firm = {frozenset((link.earlier, link.later)) for link in tracks.links if link.state in FIRM}
    joined = _joined_tracks(tracks)
    courses: list[Course] = []
    without: dict[str, str] = {}
    for track in tracks.tracks:
        for part in _firm_parts(track, firm):
            if track.track_id in joined:
                reason = (
                    f"track {track.track_id} merged with another or split: its sizes before and "
                    "after are not those of one lesion"
                )
                without.update({lesion.lesion_id: reason for lesion in part})
                continue
            try:
                made = course_of(
                    part,
                    tracks.order,
                    sizes=known.sizes,
                    vectors=known.vectors,
                    measure=known.measure,
                    today=today,
                )
            except UnusableCourseError as wrong:
                without.update({lesion.lesion_id: str(wrong) for lesion in part})
                continue
            courses.append(made)
            without.update(_left_out(made, part))
    return PatientCourses(tuple(courses), without)


def _firm_parts(track: Track, firm: set[frozenset[str]]) -> list[list[Lesion]]:
    """The track's marks, parted where none before is firmly linked to the next."""
    parts: list[list[Lesion]] = []
    for lesion in track.lesions:
        held = parts and any(
            frozenset((other.lesion_id, lesion.lesion_id)) in firm
            or other.study_id == lesion.study_id
            for other in parts[-1]
        )
        if held:
            parts[-1].append(lesion)
        else:
            parts.append([lesion])
    return parts


def _joined_tracks(tracks: PatientTracks) -> set[str]:
    """Tracks with a merge or a split, in themselves or with another track."""
    joint = {
        lesion_id
        for link in tracks.links
        if link.state in {LinkState.MERGED, LinkState.SPLIT}
        for lesion_id in (link.earlier, link.later)
    }
    return {
        track.track_id
        for track in tracks.tracks
        if track.merged_into is not None
        or track.split_from is not None
        or any(lesion.lesion_id in joint for lesion in track.lesions)
    }


def _left_out(course: Course, part: Sequence[Lesion]) -> dict[str, str]:
    used = {lesion_id for point in course.points for lesion_id in point.lesion_ids}
    told = "; ".join(course.left_out)
    return {lesion.lesion_id: told for lesion in part if lesion.lesion_id not in used}
