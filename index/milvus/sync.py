"""A Milvus collection brought level with the catalog, which is the truth.

The collection says in a row of its own which generation it is level with. From there the
catalog's change log leads on: rows above the newest it has seen, and removals since. Rows are
compared by number and stamp before they are written, so that a run that was killed goes on where
it was. A collection whose past is not the catalog's (a catalog put back from a backup, vectors
lost by the server) shows in the rows before, or in the count; then every row is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from index.catalog.reader import CatalogReader
from index.errors import MilvusError
from index.milvus.client import MOST_HITS, SESSION, STRONG, MilvusCollection
from index.milvus.expression import OWN_ROWS
from index.milvus.schema import SyncState, entity, stamp
from retrieval.progress import ReportProgress

WRITE_ROWS = 1_000
"""Rows of one call: a megabyte of vectors of 256 numbers."""

COMPARED_ROWS = 10_000
"""Row numbers that are compared at once."""

OVERLAP_ROWS = 1_000
"""Rows before the newest known that are compared again, to see that the past is the same."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What was done; ``compared`` is ``nothing``, ``changes`` or ``everything``.

    A row that had to be written anew counts as deleted and inserted.
    """

    sync_state: SyncState
    lesions: int
    inserted: int = 0
    deleted: int = 0
    compared: str = "nothing"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "generation": self.sync_state.generation,
            "lesions": self.lesions,
            "inserted": self.inserted,
            "deleted": self.deleted,
            "compared": self.compared,
        }


@dataclass(frozen=True)
class Difference:
    """What the collection lacks and what it should not hold, among rows ``first`` to ``last``.

    ``stamps`` are those of the missing rows; ``rows`` counts the catalog's rows compared. A row
    that differs is missing and foreign.
    """

    first: int
    last: int
    rows: int
    stamps: dict[int, int]
    foreign: tuple[int, ...]


def bring_level(
    collection: MilvusCollection,
    reader: CatalogReader,
    sync_state: SyncState,
    *,
    is_counted: bool = True,
    progress: ReportProgress | None = None,
) -> SyncReport:
    """Writes and deletes until the collection is what the reader's generation is.

    No other program may do so meanwhile.

    Args:
        collection: what to bring level.
        reader: the catalog's newest generation.
        sync_state: where the collection says it stands.
        is_counted: also counts what the server holds, which takes its next tick or two; without,
            only the changes and the rows just before them are looked at.
        progress: called with (done, total) rows.

    Raises:
        MilvusError: the server cannot, or does not hold what it acknowledged.
    """
    head = reader.head()

    def is_complete() -> bool:
        return not is_counted or collection.count() == head.lesion_count

    if sync_state.generation == head.generation and is_complete():
        return SyncReport(sync_state, head.lesion_count)
    sync = _Sync(collection, reader, progress)
    compared = "changes"
    follows = 0 < sync_state.generation <= head.generation
    if not (follows and sync.changes(sync_state) and is_complete()):
        compared = "everything"
        sync.everything()
        if collection.count() != head.lesion_count:
            sync.rewrite_doubled()
        if (held := collection.count()) != head.lesion_count:
            raise MilvusError(
                f"the collection {collection.name!r} holds {held} lesions after the sync, the "
                f"index {head.lesion_count}: drop the collection and run the sync again"
            )
    newest = collection.set_sync_state(
        SyncState(head.generation, reader.newest_row()), reader.binding().dimension
    )
    return SyncReport(newest, head.lesion_count, sync.inserted, sync.deleted, compared)


def differences(
    collection: MilvusCollection,
    reader: CatalogReader,
    *,
    after: int,
    consistency: str = STRONG,
) -> Iterator[Difference]:
    """Compares rows above ``after`` by number and stamp, a window at a time; changes nothing."""
    newest = reader.newest_row()
    for first in range(after + 1, newest + 1, COMPARED_ROWS):
        last = min(first + COMPARED_ROWS - 1, newest)
        wanted = {row: stamp(*sums) for row, *sums in reader.checksums(first, last)}
        held = collection.stamps(first, last, consistency=consistency)
        missing = {row: value for row, value in wanted.items() if held.get(row) != value}
        foreign = tuple(row for row, value in held.items() if wanted.get(row) != value)
        yield Difference(first, last, len(wanted), missing, foreign)
    # Of what lies above the catalog's newest row one call shows as much as it may.
    above = max(newest, OWN_ROWS) + 1
    if beyond := collection.stamps(above, consistency=consistency):
        yield Difference(above, max(beyond), 0, {}, tuple(beyond))


class _Sync:
    """One run: counts what it does and says how far it is."""

    def __init__(
        self,
        collection: MilvusCollection,
        reader: CatalogReader,
        progress: ReportProgress | None,
    ) -> None:
        self._collection = collection
        self._reader = reader
        self._progress = progress or _silent
        self._done = self._total = 0
        self.inserted = self.deleted = 0

    def changes(self, sync_state: SyncState) -> bool:
        """Applies what came after ``sync_state``; False if the past turns out to be another."""
        generation = self._reader.head().generation
        removed = set(self._reader.removed_between(sync_state.generation, generation).tolist())
        start = max(0, sync_state.last_row - OVERLAP_ROWS)
        is_same_past = True
        # Nobody else writes and own writes are seen, so this need not wait for the server's tick.
        for difference in self._repaired(start, consistency=SESSION):
            unexpected = {*difference.stamps, *difference.foreign} - removed
            if any(row <= sync_state.last_row for row in unexpected):
                is_same_past = False
        self._delete(sorted(row for row in removed if row <= start))
        return is_same_past

    def everything(self) -> None:
        """Compares and repairs every row."""
        for _ in self._repaired(0, consistency=STRONG):
            pass

    def _repaired(self, after: int, *, consistency: str) -> Iterator[Difference]:
        self._done, self._total = 0, self._reader.count("row > ?", (after,))
        compared = differences(self._collection, self._reader, after=after, consistency=consistency)
        for difference in compared:
            self._step(difference.rows - len(difference.stamps))
            self._delete(difference.foreign)
            self._insert(difference.stamps)
            yield difference
            if len(difference.foreign) == MOST_HITS:
                # Above the catalog's newest row one call need not have shown all.
                while beyond := self._collection.stamps(difference.first):
                    self._delete(list(beyond))

    def rewrite_doubled(self) -> None:
        """Writes anew the rows of every window that the server counts otherwise.

        An insertion whose answer was lost is sent again by the client and then stands twice.
        """
        newest = self._reader.newest_row()
        for first in range(OWN_ROWS + 1, newest + 1, COMPARED_ROWS):
            last = min(first + COMPARED_ROWS - 1, newest)
            wanted = {row: stamp(*sums) for row, *sums in self._reader.checksums(first, last)}
            if self._collection.count(first, last) != len(wanted):
                self._delete(list(wanted))
                self._insert(wanted)

    def _insert(self, stamps: dict[int, int]) -> None:
        rows = sorted(stamps)
        for start in range(0, len(rows), WRITE_ROWS):
            part = rows[start : start + WRITE_ROWS]
            records = self._reader.records_of_rows(part)
            self._collection.insert(
                [
                    entity(row, record, stamps[row])
                    for row, record in zip(part, records, strict=True)
                ]
            )
            self.inserted += len(part)
            self._step(len(part))

    def _delete(self, rows: Sequence[int]) -> None:
        for start in range(0, len(rows), WRITE_ROWS):
            part = rows[start : start + WRITE_ROWS]
            self._collection.delete(part)
            self.deleted += len(part)

    def _step(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, self._total)


def _silent(_done: int, _total: int) -> None:
    """Where nobody watches."""
