"""The check of a large catalog's pages that goes on while the catalog is in use.

Each row is checked against its checksum when it is read, whatever the catalog's size. A damaged
page of an SQL index is another matter: it hides sound rows from a filter, and no checksum of a
row tells. Small catalogs are checked whole before they are used; for large ones that would take
longer than all else at opening, so that a thread does it, and from the moment it finds something
every answer is refused.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

from index.catalog.sqlite_errors import is_busy, is_disk_trouble, is_refusal

CHECKED_BY_ROW = "vectors"
"""The one table without an SQL index: its rows are counted and checked when they are read."""

_log = logging.getLogger(__name__)


class DamageWatch:
    """Runs SQLite's own check of every table that has an index, in a thread of its own.

    Attributes:
        found: what is wrong, once that is known.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """``connect`` gives a connection that the watch may keep and closes."""
        self.found: str | None = None
        self._connection = connect()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._watch, name="damage-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the check where it stands and closes its connection."""
        self._is_stopped = True
        while self._thread.is_alive():
            # An interrupt counts for the statement that runs; the next one needs another.
            self._connection.interrupt()
            self._thread.join(0.05)
        self._connection.close()

    def _watch(self) -> None:
        try:
            for table in self._tables():
                if self._is_stopped or self.found is not None:
                    return
                self.found = self._problem(table)
        except sqlite3.DatabaseError as error:
            if self._is_stopped:
                return
            if is_busy(error) or is_disk_trouble(error) or is_refusal(error):
                _log.warning("the check of the catalog was given up: %s", error)
                return
            self.found = str(error)
        if self.found is not None:
            _log.error(
                "the catalog is damaged, every answer is refused from now on: %s", self.found
            )

    def _tables(self) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        with closing(self._connection.execute(query)) as found:
            return [name for (name,) in found if name != CHECKED_BY_ROW]

    def _problem(self, table: str) -> str | None:
        # A pragma takes no parameters; the name is that of one of the catalog's own tables.
        with closing(self._connection.execute(f"PRAGMA integrity_check({table})")) as found:
            for (text,) in found:
                for line in str(text).splitlines():
                    if line != "ok" and not line.startswith("***"):
                        return line
        return None
