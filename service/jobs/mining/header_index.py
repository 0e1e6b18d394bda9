"""HeaderIndex: the headers of all images of a source, read once, found by UID.

A SQLite file of its own, so that a hospital's million slices need no memory and a run that was
killed reads none of them twice. It holds DICOM's own identifiers and paths: it stays with whoever
holds the source, and is never a part of the archive.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType

from retrieval.sources.errors import ArchiveError
from retrieval.sources.marks.mark import ImageReference
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.stores import FileStamp

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, kind TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
    sop TEXT, frame INTEGER, series TEXT, study TEXT, patient TEXT, reference TEXT,
    series_number INTEGER, number INTEGER, is_slice INTEGER, path TEXT, header TEXT NOT NULL,
    PRIMARY KEY (sop, frame)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS image_series ON images (series);
CREATE INDEX IF NOT EXISTS image_reference ON images (reference);
CREATE INDEX IF NOT EXISTS image_patient ON images (patient, series);
CREATE INDEX IF NOT EXISTS image_study ON images (study, series_number, number);
CREATE INDEX IF NOT EXISTS image_path ON images (path);
CREATE TABLE IF NOT EXISTS listed (series TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"""


def open_work_file(path: Path) -> sqlite3.Connection:
    """The SQLite file of a mining run, its owner's alone; raises ArchiveError for another file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, VERSION}:
            raise ArchiveError(
                f"{path} was made by another version of `mine` ({version}, this one writes "
                f"{VERSION}): delete it, its content is read again"
            )
        connection.execute(f"PRAGMA user_version={VERSION}")
    except sqlite3.DatabaseError as wrong:
        connection.close()
        raise ArchiveError(
            f"{path} is no work file of `mine` ({wrong}): delete it, its content is read again"
        ) from None
    except ArchiveError:
        connection.close()
        raise
    return connection


class HeaderIndex:
    """Image headers by UID, series and frame of reference; ``batch`` groups writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        connection.executescript(_SCHEMA)

    def batch(self) -> _Transaction:
        """A context in which writes are one transaction."""
        return _Transaction(self._db)

    # Files -----------------------------------------------------------------------------------

    def kind_of(self, stamp: FileStamp) -> str | None:
        """What an unchanged file was found to be; None for one to be read."""
        row = self._db.execute(
            "SELECT kind FROM files WHERE path = ? AND size = ? AND mtime = ?",
            (stamp.path, stamp.size, stamp.mtime_ns),
        ).fetchone()
        return None if row is None else str(row[0])

    def add_file(self, stamp: FileStamp, kind: str, headers: Iterable[ImageHeader] = ()) -> None:
        """Notes a file and its images; what it held before is forgotten."""
        self.forget_file(stamp.path)
        self._db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?)",
            (stamp.path, stamp.size, stamp.mtime_ns, kind),
        )
        self.add_images(headers)

    def forget_file(self, path: str) -> None:
        """A file that has changed or is gone, with its images."""
        self._db.execute("DELETE FROM images WHERE path = ?", (path,))
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def files(self, kind: str | None = None) -> Iterator[str]:
        """Paths of all files, or of one kind, in their order."""
        query = "SELECT path FROM files WHERE ? IS NULL OR kind = ? ORDER BY path"
        with closing(self._db.execute(query, (kind, kind))) as rows:
            yield from (str(path) for (path,) in rows.fetchall())

    # Images ----------------------------------------------------------------------------------

    def add_images(self, headers: Iterable[ImageHeader]) -> None:
        """Keeps headers; of several files with one SOP instance UID the first stays."""
        self._db.executemany(
            "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *header.key,
                    header.image.series_uid,
                    header.image.study_uid,
                    header.plane.patient_id.strip(),
                    header.plane.frame_of_reference_uid,
                    header.image.series_number,
                    header.image.instance_number,
                    header.is_slice,
                    header.where,
                    header.pack(),
                )
                for header in headers
            ),
        )

    def image(self, sop_uid: str, frame: int | None = None) -> ImageHeader | None:
        """An image, or a frame of it; of several frames and none named the first."""
        if frame is None:
            query = "SELECT header FROM images WHERE sop = ? ORDER BY frame LIMIT 1"
            row = self._db.execute(query, (sop_uid,)).fetchone()
        else:
            # Frame 1 of a single image is the image.
            query = "SELECT header FROM images WHERE sop = ? AND frame IN (?, ?) ORDER BY frame"
            row = self._db.execute(query, (sop_uid, frame, 0 if frame == 1 else frame)).fetchone()
        return None if row is None else ImageHeader.unpack(row[0])

    def of_series(self, series_uid: str) -> list[ImageHeader]:
        """All images of a series, in the order of UIDs."""
        query = "SELECT header FROM images WHERE series = ? ORDER BY sop, frame"
        return self._all(query, series_uid)

    def of_reference(self, frame_uid: str) -> list[ImageHeader]:
        """The axial CT slices of a frame of reference."""
        query = (
            "SELECT header FROM images WHERE reference = ? AND is_slice ORDER BY series, sop, frame"
        )
        return self._all(query, frame_uid)

    def numbered(self, image: ImageReference) -> list[ImageHeader]:
        """The images that words call "series 8, image 34" of a study or series."""
        query = (
            "SELECT header FROM images WHERE number = ? AND (? IS NULL OR series_number = ?) "
            "AND (study = ? OR series = ?) ORDER BY sop, frame"
        )
        number, series_number = image.instance_number, image.series_number
        return self._all(
            query, number, series_number, series_number, image.study_uid, image.series_uid
        )

    def patients(self) -> list[str]:
        """Every PatientID that an image has."""
        rows = self._db.execute("SELECT DISTINCT patient FROM images ORDER BY patient")
        return [str(patient) for (patient,) in rows]

    # Series of a PACS, listed when a mark first needs them ---------------------------------------

    def listing(self, series_uid: str) -> str | None:
        """How the listing of a series ended (empty: well); None if it was not asked for yet."""
        query = "SELECT state FROM listed WHERE series = ?"
        row = self._db.execute(query, (series_uid,)).fetchone()
        return None if row is None else str(row[0])

    def set_listing(self, series_uid: str, state: str) -> None:
        """Notes how the listing of a series ended."""
        self._db.execute("INSERT OR REPLACE INTO listed VALUES (?, ?)", (series_uid, state))

    def _all(self, query: str, *values: object) -> list[ImageHeader]:
        return [ImageHeader.unpack(text) for (text,) in self._db.execute(query, values)]


class _Transaction:
    """BEGIN and COMMIT, or ROLLBACK where the block fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
