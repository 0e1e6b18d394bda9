"""What an error of SQLite means: somebody else is at work, too much was asked, or damage."""

from __future__ import annotations

import sqlite3

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_SCHEMA")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")
_REFUSED = {
    "",
    "SQLITE_ERROR",
    "SQLITE_TOOBIG",
    "SQLITE_NOMEM",
    "SQLITE_MISMATCH",
    "SQLITE_RANGE",
    "SQLITE_INTERRUPT",
}
_SCHEMA_IS_GONE = ("no such table", "no such column", "malformed")
"""Of a statement of this program's own these mean that a table is not what it was."""


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection is at work, also on the WAL or the schema: it will end."""
    return _name(error).startswith(_BUSY)


def is_disk_trouble(error: sqlite3.Error) -> bool:
    """Whether the disk refused a read or a write."""
    return _name(error).startswith(_FULL)


def cannot_be_opened(error: sqlite3.Error) -> bool:
    """Whether there is no such file, or it may not be opened."""
    return _name(error).startswith("SQLITE_CANTOPEN")


def is_refusal(error: sqlite3.Error) -> bool:
    """Whether a statement was more than SQLite, or Python's binding to it, can take."""
    gone = any(words in str(error) for words in _SCHEMA_IS_GONE)
    return _name(error) in _REFUSED and not gone


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""
