"""What every storage of an index has: the catalog's connections, and lesions read before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from index.catalog.connections import Connections
from index.catalog.reader import CatalogReader
from index.errors import CatalogError
from index.reports import Neighbour
from index.vectors import RowHits
from retrieval.lesion import Lesion

RECENT_LESIONS = 50_000
"""How many decoded lesions are kept for the next answer: about a kilobyte each."""

PRELOAD_BATCH = 1_000
"""Lesions of one read transaction while the newest are read ahead."""


class CatalogAccess:
    """A catalog that is read one generation at a time, by any number of threads."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.recent = RecentLesions()
        with self.reading() as reader:
            self.binding = reader.binding()

    @property
    def folder(self) -> Path:
        """The index's folder."""
        return self.connections.path.parent

    @contextmanager
    def reading(self) -> Iterator[CatalogReader]:
        """A reader of the newest generation, which stays the same while it is held."""
        with self.connections.reading() as connection:
            yield CatalogReader(connection)

    def own_images(self) -> set[str]:
        """The names of the folders of pixels that the newest generation's lesions have here."""
        with self.reading() as reader:
            return reader.own_images()

    def preload(self) -> int:
        """Reads the newest ``RECENT_LESIONS`` lesions ahead; returns how many were read."""
        with self.reading() as reader:
            first = max(0, reader.newest_row() - RECENT_LESIONS)
            rows = reader.rows_where("1", (), after=first)
        for start in range(0, len(rows), PRELOAD_BATCH):
            with self.reading() as reader:
                self.recent.add(reader.lesions(rows[start : start + PRELOAD_BATCH]))
        return len(rows)


class RecentLesions:
    """Lesions by row, decoded and checked before. A row never changes, so neither does its entry.

    Which rows exist is the store's knowledge, of the reader's own generation.
    """

    def __init__(self) -> None:
        self._lesions: dict[int, Lesion] = {}

    def of(self, rows: Sequence[int], reader: CatalogReader) -> dict[int, Lesion]:
        """The lesions of these rows; those that the catalog lacks are absent."""
        known = self._lesions
        found = {row: known[row] for row in rows if row in known}
        if len(found) < len(rows):
            fresh = reader.lesions([row for row in rows if row not in found])
            found |= fresh
            self.add(fresh)
        return found

    def add(self, fresh: dict[int, Lesion]) -> None:
        """Keeps lesions; forgets all earlier ones where they would become too many."""
        if len(self._lesions) + len(fresh) > RECENT_LESIONS:
            self._lesions = {}
        self._lesions.update(fresh)


def neighbours(lesions: dict[int, Lesion], hits: RowHits) -> list[Neighbour]:
    """The lesions of one query's hits; raises CatalogError if the catalog lacks one."""
    similarities = hits.similarities.tolist()
    try:
        return [
            Neighbour(lesions[row], min(max(similarity, -1.0), 1.0))
            for row, similarity in zip(hits.rows.tolist(), similarities, strict=True)
        ]
    except KeyError as missing:
        raise CatalogError(
            f"row {missing} is searched but not in the catalog: restore the index from a backup, "
            "or build it again from its archive"
        ) from None
