"""Studies in which every lesion is marked: only there is a missing mark evidence of absence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

Study = tuple[str, str]
"""(patient id, study id)."""


def declare(connection: sqlite3.Connection, studies: Iterable[Study], *, complete: bool) -> None:
    """Keeps, or takes back, that every lesion of these studies is marked."""
    if complete:
        statement = "INSERT OR IGNORE INTO complete_studies VALUES (?, ?)"
    else:
        statement = "DELETE FROM complete_studies WHERE patient_id = ? AND study_id = ?"
    connection.executemany(statement, sorted(set(studies)))


def listed(connection: sqlite3.Connection, patient_id: str | None = None) -> list[Study]:
    """The studies of one patient, or of all, whose marks are complete, sorted."""
    return connection.execute(
        "SELECT patient_id, study_id FROM complete_studies "
        "WHERE ? IS NULL OR patient_id = ? ORDER BY patient_id, study_id",
        (patient_id, patient_id),
    ).fetchall()
