"""KeptSearches: what following an indexed lesion in a series answered, kept in the catalog.

One search a lesion, study and series: a later one replaces it. They go with the lesion.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from index.catalog.connections import Connections
from index.errors import UnknownLesionError
from retrieval.tracking.searched import SearchedStudy


class KeptSearches:
    """The searches of one index."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(self, searches: Iterable[SearchedStudy]) -> None:
        """Keeps searches, each over an earlier one of the same lesion, study and series.

        Raises UnknownLesionError where the index does not hold a lesion; nothing is stored.
        """
        with self._connections.writing() as connection:
            for one in searches:
                _store(connection, one)
            connection.execute("COMMIT")

    def forget(self, lesion_id: str, study_id: str) -> int:
        """Forgets the searches for a lesion in a study; returns how many there were."""
        with self._connections.writing() as connection:
            done = connection.execute(
                "DELETE FROM searches WHERE lesion_id = ? AND study_id = ?", (lesion_id, study_id)
            )
            connection.execute("COMMIT")
        return done.rowcount

    def of(self, patient_id: str | None = None) -> list[SearchedStudy]:
        """The searches for one patient's lesions, or for all, sorted."""
        with self._connections.reading() as connection:
            return listed(connection, patient_id)


def listed(connection: sqlite3.Connection, patient_id: str | None = None) -> list[SearchedStudy]:
    """The searches for one patient's lesions, or for all, sorted by lesion, study and series."""
    found = connection.execute(
        "SELECT answer FROM searches JOIN lesions USING (lesion_id) "
        "WHERE ? IS NULL OR patient_id = ? "
        "ORDER BY searches.lesion_id, searches.study_id, searches.series",
        (patient_id, patient_id),
    ).fetchall()
    return [SearchedStudy.from_json(json.loads(answer)) for (answer,) in found]


def _store(connection: sqlite3.Connection, search: SearchedStudy) -> None:
    known = connection.execute(
        "SELECT 1 FROM lesions WHERE lesion_id = ?", (search.lesion_id,)
    ).fetchone()
    if known is None:
        raise UnknownLesionError(f"lesion {search.lesion_id!r} is not in the index: check the id")
    connection.execute(
        "INSERT OR REPLACE INTO searches VALUES (?, ?, ?, ?)",
        (search.lesion_id, search.study_id, search.series, json.dumps(search.to_json())),
    )
