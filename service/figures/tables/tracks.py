"""Lesion tracks as a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from retrieval.lesion import LesionSearchError
from retrieval.tracking.track_types import PatientTracks

COLUMNS = (
    "patient_id",
    "track_id",
    "study_id",
    "lesion_id",
    "state",
    "long_mm",
    "short_mm",
)


class TrackTableError(LesionSearchError):
    """A table of tracks that cannot be written."""


def write_tracks_csv(patients: Iterable[PatientTracks], path: Path) -> int:
    """Writes one row for each lesion and for each track's end; returns how many.

    The first five columns are those of an archive's ``tracks.csv``; an unknown diameter is empty.
    Raises TrackTableError where the file cannot be written.
    """
    rows = [row for tracks in patients for row in tracks.rows()]
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except OSError as problem:
        raise TrackTableError(f"table {path} cannot be written: {problem.strerror}") from None
    return len(rows)
