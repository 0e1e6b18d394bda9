"""MiningJournal: which carriers were read, what they hold, and which patients are finished.

In the work file beside the archive. A patient's verdicts are stored before its rows reach the
archive's table, so that whatever stands in the table has its verdicts here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.verdicts import Refusal
from retrieval.sources.mining.mark_codec import packed, unpacked
from retrieval.sources.mining.numbers import SeriesPlace
from retrieval.sources.mining.patient import MinedPatient
from retrieval.sources.mining.verdict_line import MarkSketch

_SCHEMA = """
CREATE TABLE IF NOT EXISTS carriers (
    source TEXT PRIMARY KEY, stamp TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    mark_id TEXT NOT NULL, source TEXT NOT NULL, patient TEXT, body TEXT NOT NULL,
    PRIMARY KEY (mark_id, source)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mark_patient ON marks (patient);
CREATE INDEX IF NOT EXISTS mark_source ON marks (source);
CREATE TABLE IF NOT EXISTS patients (
    patient TEXT PRIMARY KEY, number INTEGER UNIQUE, digest TEXT NOT NULL DEFAULT '',
    kept INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    patient TEXT, study TEXT, series TEXT, part INTEGER, study_number INTEGER NOT NULL,
    series_number INTEGER NOT NULL, PRIMARY KEY (patient, study, series, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sketches (
    patient TEXT, position INTEGER, verdict TEXT, body TEXT NOT NULL,
    PRIMARY KEY (patient, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
    patient TEXT, position INTEGER, line TEXT NOT NULL, PRIMARY KEY (patient, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class PatientState:
    """How far a patient has come.

    Attributes:
        number: its number in the archive; None before a lesion of it was kept.
        digest: of the marks, images and options that its verdicts were made of; empty before.
        kept: how many of its lesions stand in the archive.
    """

    number: int | None
    digest: str
    kept: int


class MiningJournal:
    """The state of a mining run, in the work file's connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        connection.executescript(_SCHEMA)

    # Carriers and their marks ----------------------------------------------------------------

    def has_read(self, source: str, stamp: str) -> bool:
        """Whether a carrier was read as it is now."""
        query = "SELECT 1 FROM carriers WHERE source = ? AND stamp = ?"
        return self._db.execute(query, (source, stamp)).fetchone() is not None

    def sources(self) -> list[str]:
        """Every carrier that was read."""
        return [str(source) for (source,) in self._db.execute("SELECT source FROM carriers")]

    def add_carrier(self, source: str, stamp: str, found: Iterable[Mark | Refusal]) -> None:
        """What a carrier holds, instead of what it held before."""
        self.forget_carrier(source)
        self._db.execute("INSERT INTO carriers VALUES (?, ?)", (source, stamp))
        self._db.executemany(
            "INSERT OR IGNORE INTO marks VALUES (?, ?, NULL, ?)",
            ((one.mark_id, source, packed(one)) for one in found),
        )

    def forget_carrier(self, source: str) -> None:
        """A carrier that has changed or is gone, with its marks."""
        self._db.execute("DELETE FROM marks WHERE source = ?", (source,))
        self._db.execute("DELETE FROM carriers WHERE source = ?", (source,))

    def without_patient(self, most: int) -> list[tuple[str, str, Mark | Refusal]]:
        """(mark id, source, mark) of some marks that were not given to anyone yet."""
        query = "SELECT mark_id, source, body FROM marks WHERE patient IS NULL LIMIT ?"
        rows = self._db.execute(query, (most,))
        return [(mark_id, source, unpacked(body)) for mark_id, source, body in rows]

    def give(self, owners: Iterable[tuple[str, str, str]]) -> None:
        """Gives marks, as (patient, mark id, source), to their patients."""
        self._db.executemany(
            "UPDATE marks SET patient = ? WHERE mark_id = ? AND source = ?", owners
        )

    def take_back(self, patient: str) -> None:
        """Marks of a patient are given out anew: an image may have come that tells whose."""
        self._db.execute("UPDATE marks SET patient = NULL WHERE patient = ?", (patient,))

    def patients_with_marks(self) -> list[str]:
        """Every patient that has a mark or had one, in the order of ids."""
        query = (
            "SELECT patient FROM marks WHERE patient IS NOT NULL UNION SELECT patient FROM patients"
        )
        return sorted(str(patient) for (patient,) in self._db.execute(query))

    def marks_of(self, patient: str) -> list[Mark | Refusal]:
        """A patient's marks and refusals, by id; of one mark in several files the first."""
        query = "SELECT mark_id, body FROM marks WHERE patient = ? ORDER BY mark_id, source"
        found: dict[str, Mark | Refusal] = {}
        for mark_id, body in self._db.execute(query, (patient,)):
            if mark_id not in found:
                found[mark_id] = unpacked(body)
        return list(found.values())

    def digest_of(self, patient: str, options: str) -> str:
        """A fingerprint of all that a patient's verdicts follow from."""
        seen = hashlib.sha256(options.encode())
        for query in (
            "SELECT mark_id, source, body FROM marks WHERE patient = ? ORDER BY mark_id, source",
            "SELECT series, count(*), min(sop), max(sop) FROM images WHERE patient = ? "
            "GROUP BY series ORDER BY series",
        ):
            for row in self._db.execute(query, (patient,)):
                seen.update(repr(row).encode())
        return seen.hexdigest()

    # Patients, their numbers and verdicts ------------------------------------------------------

    def state_of(self, patient: str) -> PatientState:
        """A patient's state; of one that was never finished nothing."""
        query = "SELECT number, digest, kept FROM patients WHERE patient = ?"
        row = self._db.execute(query, (patient,)).fetchone()
        return PatientState(None, "", 0) if row is None else PatientState(*row)

    def number_of(self, patient: str) -> int:
        """A patient's number in the archive; one that has none gets the next."""
        found = self.state_of(patient).number
        if found is not None:
            return found
        (last,) = self._db.execute("SELECT max(number) FROM patients").fetchone()
        number = int(last or 0) + 1
        self._db.execute(
            "INSERT INTO patients VALUES (?, ?, '', 0) "
            "ON CONFLICT (patient) DO UPDATE SET number = excluded.number",
            (patient, number),
        )
        return number

    def finish(self, patient: str, digest: str, mined: MinedPatient) -> None:
        """A patient's verdicts and sketches instead of earlier ones."""
        self._db.execute("DELETE FROM sketches WHERE patient = ?", (patient,))
        self._db.executemany(
            "INSERT INTO sketches VALUES (?, ?, ?, ?)",
            (
                (patient, position, one.verdict, one.pack())
                for position, one in enumerate(mined.sketches)
            ),
        )
        self._db.execute("DELETE FROM verdicts WHERE patient = ?", (patient,))
        self._db.executemany(
            "INSERT INTO verdicts VALUES (?, ?, ?)",
            ((patient, position, line) for position, line in enumerate(mined.lines)),
        )
        self._db.execute(
            "INSERT INTO patients VALUES (?, NULL, ?, ?) ON CONFLICT (patient) "
            "DO UPDATE SET digest = excluded.digest, kept = excluded.kept",
            (patient, digest, mined.kept),
        )

    def verdict_lines(self) -> Iterator[str]:
        """Every verdict, patients in the order of their numbers."""
        query = (
            "SELECT line FROM verdicts JOIN patients USING (patient) "
            "ORDER BY patients.number IS NULL, patients.number, patient, position"
        )
        for (line,) in self._db.execute(query):
            yield str(line)

    def sketches(self, verdict: str, most: int) -> list[MarkSketch]:
        """Some marks of a verdict, of as many patients as there are."""
        query = "SELECT body FROM sketches WHERE verdict = ? ORDER BY position, patient LIMIT ?"
        return [MarkSketch.unpack(body) for (body,) in self._db.execute(query, (verdict, most))]

    def all_sketches(self) -> Iterator[MarkSketch]:
        """All marks that were judged, patient by patient."""
        for (body,) in self._db.execute("SELECT body FROM sketches ORDER BY patient, position"):
            yield MarkSketch.unpack(body)

    def sketches_of(self, patient: str) -> list[MarkSketch]:
        """All marks of a patient that were judged."""
        query = "SELECT body FROM sketches WHERE patient = ? ORDER BY position"
        return [MarkSketch.unpack(body) for (body,) in self._db.execute(query, (patient,))]

    def series_of(self, patient: str) -> list[SeriesPlace]:
        """The series of a patient that have numbers."""
        query = (
            "SELECT study, series, part, study_number, series_number FROM series "
            "WHERE patient = ? ORDER BY study_number, series_number"
        )
        return [SeriesPlace(*row) for row in self._db.execute(query, (patient,))]

    def set_series(self, patient: str, places: Iterable[SeriesPlace]) -> None:
        """The numbers of all series of a patient, instead of earlier ones."""
        self._db.execute("DELETE FROM series WHERE patient = ?", (patient,))
        self._db.executemany(
            "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    patient,
                    one.study_uid,
                    one.series_uid,
                    one.part,
                    one.study_number,
                    one.series_number,
                )
                for one in places
            ),
        )
