"""SQLite connections to one catalog: many readers, one writer, errors in one line."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from index.catalog.damage_watch import DamageWatch
from index.catalog.sqlite_errors import cannot_be_opened, is_busy, is_disk_trouble, is_refusal
from index.errors import (
    CatalogError,
    CatalogQueryError,
    IndexBusyError,
    LesionIndexError,
    StorageError,
)
from index.files import create_private

PAGE_BYTES = 8192
"""Seven vectors of 256 numbers fit a page; in SQLite's usual 4096 bytes a quarter is wasted."""

CHECK_ON_OPEN_BYTES = 128 << 20
"""Catalogs up to this size are checked whole before they are used, larger ones while they are."""


_log = logging.getLogger(__name__)


class Connections:
    """A pool of connections to ``path``; safe to share between threads, not across a fork.

    Every transaction is one consistent generation: WAL mode gives a reader the state at its
    begin, however long it stays, and never makes it wait for a writer.
    """

    def __init__(self, path: Path, *, read_only: bool, write_timeout_s: float) -> None:
        self.path = path
        self.read_only = read_only
        self.write_timeout_s = write_timeout_s
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._watch: DamageWatch | None = None

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A read transaction; raises CatalogError for a damaged catalog."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """The one write transaction; rolled back unless the caller executes COMMIT.

        Raises:
            IndexBusyError: another writer held the catalog for ``write_timeout_s``.
            StorageError: the disk is full; nothing of this transaction is stored.
            LesionIndexError: the index was opened for reading only.
        """
        self.refuse_if_read_only()
        return self._transaction("BEGIN IMMEDIATE")

    def refuse_if_read_only(self) -> None:
        """Raises LesionIndexError if the index was opened for reading only."""
        if self.read_only:
            raise LesionIndexError(
                f"the index {self.path.parent} was opened for reading only: open it for writing"
            )

    def watch_for_damage(self) -> None:
        """Starts the check of a large catalog; once it finds something, nothing is answered."""
        with translated(self.path):
            self._watch = DamageWatch(
                lambda: connect(self.path, read_only=True, write_timeout_s=self.write_timeout_s)
            )

    def truncate_log(self) -> bool:
        """Empties the write-ahead log into the catalog, so that no removed row is read from it.

        Returns whether that was done: a reader of an older generation, or a full disk, puts it
        off to the next removal or to the end of the last connection.
        """
        connection = self._take()
        try:
            connection.execute("PRAGMA busy_timeout = 100")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        except sqlite3.Error as error:
            _log.warning("the catalog's log could not be emptied yet: %s", error)
            return False
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(1000 * self.write_timeout_s)}")
            self._give_back(connection)

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def close(self) -> None:
        """Closes every idle connection; those in use are closed when they come back."""
        if self._watch is not None:
            self._watch.stop()
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._take()
        try:
            connection.execute(begin)
            yield connection
        except sqlite3.Error as error:
            raise _translation(self.path, error) from error
        except UnicodeEncodeError:
            # Half a character (a lone surrogate) cannot be stored, so that nothing can be it.
            raise CatalogQueryError(
                "an id or a text holds half a character (a lone surrogate): send valid Unicode"
            ) from None
        finally:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        if self._watch is not None and self._watch.found is not None:
            raise damaged(self.path, self._watch.found)
        with self._lock:
            if self._closed:
                raise LesionIndexError(f"the index {self.path.parent} is closed: open it again")
            if self._idle:
                return self._idle.pop()
        with translated(self.path):
            return connect(
                self.path, read_only=self.read_only, write_timeout_s=self.write_timeout_s
            )

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def connect(path: Path, *, read_only: bool, write_timeout_s: float) -> sqlite3.Connection:
    """One connection in autocommit mode, its settings made; raises sqlite3.Error."""
    mode = "ro" if read_only else "rw"
    if read_only and _is_on_read_only_disk(path):
        mode = "ro&immutable=1"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=write_timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # FULL: a transaction is on the disk when COMMIT returns, also after a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten: no patient's data stay in free pages.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -16384")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def create_file(path: Path) -> sqlite3.Connection:
    """A new, empty database in WAL mode, its owner's alone; raises sqlite3.Error or OSError."""
    # The log and the shared memory beside it take the mode of the file.
    create_private(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into this package's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(path, error) from error


def damage(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's own check of every page and index finds; empty if all is sound."""
    with closing(connection.execute("PRAGMA integrity_check(20)")) as found:
        lines = [line for (text,) in found for line in str(text).splitlines()]
    return [line for line in lines if line != "ok" and not line.startswith("***")]


def _translation(path: Path, error: sqlite3.Error) -> LesionIndexError:
    if is_busy(error):
        return IndexBusyError(
            f"another program is writing to the index {path.parent} and did not finish in time: "
            "try again when it has"
        )
    if is_disk_trouble(error):
        return StorageError(
            f"the disk refused a write to {path} ({error}): what was stored before is untouched; "
            "free some space or check the folder's permissions, and run the command again"
        )
    if cannot_be_opened(error):
        return CatalogError(
            f"{path} cannot be opened ({error}): is the folder a lesion index, and may it be read?"
        )
    if is_refusal(error):
        return CatalogQueryError(
            f"the catalog could not answer ({error}): ask for less at once; `lesion-search index "
            "verify` tells whether it is sound"
        )
    return damaged(path, error)


def damaged(path: Path, what: object) -> CatalogError:
    """The error that says what is wrong with a catalog's pages and what to do."""
    return CatalogError(
        f"the catalog {path} is damaged ({what}): restore it from a backup, or build the index "
        "again from its archive with `lesion-search index build --archive A --out I`"
    )


def _is_on_read_only_disk(path: Path) -> bool:
    # A WAL reader needs a small shared-memory file; where none can be made, nobody is writing.
    return not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-shm").exists()
