"""The courses of an archive's known lesion tracks, with embeddings where an encoder is given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.lesion import Lesion
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.on_archive import embedded_lesions
from retrieval.tracking.growth.courses import Course, UnusableCourseError, course_of
from retrieval.tracking.study_order import order_studies


@dataclass(frozen=True, slots=True, eq=False)
class KnownCourses:
    """Courses, and what was left out of them, counted by reason."""

    courses: tuple[Course, ...]
    left_out: dict[str, int]


def archive_courses(
    archive: Archive,
    encoder: PatchEncoder | None = None,
    *,
    progress: ReportProgress | None = None,
) -> KnownCourses:
    """The courses of an archive's tracks.

    Args:
        archive: with tracks.
        encoder: embeds the lesions that have a later study; none does without it.
        progress: told (lesions embedded, lesions in all).

    Raises TrackingError where the archive knows no tracks.
    """
    if not archive.track_ids:
        raise TrackingError(
            f"archive {archive.root.name} knows no lesion tracks: a tracks.csv beside its table "
            "is needed"
        )
    left_out: Counter[str] = Counter()
    of_patient: dict[str, list[Lesion]] = {}
    tracks: dict[tuple[str, str], list[Lesion]] = {}
    for lesion in archive.lesions:
        of_patient.setdefault(lesion.patient_id, []).append(lesion)
        track = archive.track_ids.get(lesion.lesion_id)
        if track is None:
            left_out["lesions of no known track"] += 1
        else:
            tracks.setdefault((lesion.patient_id, track), []).append(lesion)
    followed = [some for some in tracks.values() if len({one.study_id for one in some}) > 1]
    left_out["lesions seen in one study"] = sum(map(len, tracks.values())) - sum(map(len, followed))
    vectors = _vectors(archive, followed, encoder, left_out, progress)
    courses = []
    for some in followed:
        try:
            course = course_of(some, order_studies(of_patient[some[0].patient_id]), vectors=vectors)
        except UnusableCourseError:
            left_out["tracks without a usable size"] += 1
            continue
        left_out["studies without a usable size"] += len(course.left_out)
        courses.append(course)
    return KnownCourses(tuple(courses), {why: count for why, count in left_out.items() if count})


def _vectors(
    archive: Archive,
    tracks: list[list[Lesion]],
    encoder: PatchEncoder | None,
    left_out: Counter[str],
    progress: ReportProgress | None,
) -> dict[str, NDArray[np.float32]] | None:
    if encoder is None:
        return None
    wanted = [lesion for some in tracks for lesion in some]
    found: dict[str, NDArray[np.float32]] = {}
    for node in embedded_lesions(archive, wanted, encoder, left_out=left_out):
        found[node.lesion.lesion_id] = node.vector
        if progress is not None:
            progress(len(found), len(wanted))
    return found
