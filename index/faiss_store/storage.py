"""Catalog and FAISS kept level: one write path, one read path, snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from index.catalog.access import CatalogAccess, neighbours
from index.catalog.connections import Connections
from index.catalog.reader import CatalogReader, SnapshotEntry
from index.catalog.writer import CatalogWriter, last_row
from index.errors import LesionIndexError
from index.faiss_store.approximate import choose, free_memory
from index.faiss_store.segments import StoreState
from index.faiss_store.snapshots import delete_unnamed, snapshot_lock
from index.faiss_store.store import APPROXIMATE, FLAT, FaissStore, replayed
from index.reports import ApproximateKind, IndexProblem, Neighbour, VectorCheck
from index.vectors import Float32, VectorQuery

SNAPSHOT_ROWS = 1_000
"""Changes that are replayed at opening without a thought; a snapshot is due beyond them ..."""

SNAPSHOT_SHARE = 0.05
"""... and beyond this share of the lesions, lest a few additions rewrite a large file."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class FaissStorage(CatalogAccess):
    """The catalog, which is the truth, with the vectors in memory; an IndexStorage."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.store = store = FaissStore(self.folder, dimension=self.binding.dimension)
        with self.reading() as reader:
            named = reader.snapshots()
            store.load(reader)
        if store.rebuilt_because is not None:
            # Another program may have replaced the file between its name being read and opened.
            with self.reading() as reader:
                if reader.snapshots() != named:
                    store.load(reader)

    @contextmanager
    def _reading_level(self) -> Iterator[tuple[CatalogReader, StoreState]]:
        """A reader and the store's state of the very same generation."""
        while True:
            with self.reading() as reader:
                state = self.store.level(reader)
                if state is not None:
                    yield reader, state
                    return

    def write(self, change: Callable[[CatalogWriter], T]) -> T:
        """Runs ``change`` in one write transaction and makes its result searchable.

        When this returns, the change is on the disk. Searches go on meanwhile in the state
        before it; they wait only between COMMIT and the swap of the prepared state.
        """
        with self.connections.writing() as connection:
            # No other program can commit now, so this state stays the newest until the swap.
            self.store.level(CatalogReader(connection))
            writer = CatalogWriter(connection)
            answer = change(writer)
            if not writer.changes.any:
                return answer
            generation = writer.finish()
            rows, vectors = writer.changes.live_rows()
            state = self.store.prepare(
                generation=generation,
                added=[(rows, vectors)] if len(rows) else [],
                removed_rows=np.array(writer.changes.removed_rows, dtype=np.int64),
                last_row=last_row(connection),
            )
            with self.store.lock:
                connection.execute("COMMIT")
                self.store.swap(state)
        return answer

    def nearest(self, query: VectorQuery) -> list[list[Neighbour]]:
        """The lesions nearest to each query, of one generation."""
        while True:
            with self.reading() as reader:
                found = self.store.search(reader, query)
                if found is not None:
                    rows = [row for hits in found for row in hits.rows.tolist()]
                    lesions = self.recent.of(rows, reader)
                    return [neighbours(lesions, hits) for hits in found]

    def vectors(self) -> tuple[list[str], Float32]:
        """Every lesion id (n) and its vector (n, dimension), in the order of their arrival."""
        with self._reading_level() as (reader, state):
            ids = dict(reader.ids_of_rows())
            rows, matrix = state.live_rows_and_vectors()
        return [ids[int(row)] for row in rows], matrix

    def facts(self, reader: CatalogReader) -> dict[str, Any]:
        """Kind, size, snapshot and approximate form."""
        return self.store.facts(reader)

    def check(self, reader: CatalogReader) -> VectorCheck:
        """Compares what is searched, vector by vector, with what is stored."""
        state = self.store.level(reader)
        different = None if state is None else _difference(reader, state)
        remedy = "delete the *.faiss files of the index: the next opening rebuilds them"
        problems = () if different is None else (IndexProblem(different, remedy),)
        return VectorCheck(self.store.state.live, problems)

    def snapshot(self) -> None:
        """Saves the vectors as a FAISS file; a kill leaves the old or the new one."""
        self.connections.refuse_if_read_only()
        with snapshot_lock(self.folder):
            entry, compacted = self.store.compact(self._newest_state())
            self._take_over(compacted, [entry])

    def build_approximate(self, kind: ApproximateKind | None = None) -> None:
        """Saves the vectors and an approximate form of them; searches go on meanwhile.

        Raises StoreError: too few lesions, or too little memory for any form.
        """
        self.connections.refuse_if_read_only()
        if kind is None:
            with self.reading() as reader:
                count = reader.head().lesion_count
            dimension = self.binding.dimension
            kind = choose(count, dimension=dimension, memory_bytes=free_memory())
        with snapshot_lock(self.folder):
            newest = replace(self._newest_state(), approximate=None)
            flat, compacted = self.store.compact(newest)
            try:
                form, state = self.store.build_approximate(compacted, kind)
            except LesionIndexError:
                (self.folder / flat.file).unlink(missing_ok=True)
                raise
            self._take_over(state, [flat, form])

    def drop_approximate(self) -> None:
        """Forgets the approximate form and frees its memory."""
        self.connections.refuse_if_read_only()
        with snapshot_lock(self.folder):
            state = replace(self._newest_state(), approximate=None)
            entry, compacted = self.store.compact(state)
            self._take_over(compacted, [entry], forget=APPROXIMATE)

    def _newest_state(self) -> StoreState:
        with self._reading_level() as (_, state):
            return state

    def _take_over(
        self, state: StoreState, entries: Sequence[SnapshotEntry], *, forget: str | None = None
    ) -> None:
        """Names new snapshots in the catalog and goes on from the state they were written at."""
        try:
            with self.connections.writing() as connection:
                writer = CatalogWriter(connection)
                if forget is not None:
                    writer.forget_snapshot(forget)
                for entry in entries:
                    writer.set_snapshot(entry)
                level = replayed(state, CatalogReader(connection))
                with self.store.lock:
                    connection.execute("COMMIT")
                    self.store.adopt(level)
        except LesionIndexError:
            for entry in entries:
                (self.folder / entry.file).unlink(missing_ok=True)
            raise
        with self.reading() as reader:
            named = {kept.file for kept in reader.snapshots().values()}
        delete_unnamed(self.folder, named)

    def close(self) -> None:
        """Closes; saves a snapshot first where a replay would take noticeable time."""
        try:
            if not self.connections.read_only and self._is_snapshot_due():
                self.snapshot()
        except LesionIndexError as error:
            # A cache that was not saved costs time at the next opening and nothing else.
            _log.warning("no snapshot was saved: %s", error)
        finally:
            self.connections.close()
            self.store.close()

    def _is_snapshot_due(self) -> bool:
        if self.connections.is_closed:
            return False
        state = self.store.state
        with self.reading() as reader:
            saved = reader.snapshots().get(FLAT)
        if saved is None or self.store.rebuilt_because is not None:
            return state.live > SNAPSHOT_ROWS
        changed = state.last_row - saved.last_row + len(state.removed)
        return changed > max(SNAPSHOT_ROWS, SNAPSHOT_SHARE * state.live)


def _difference(reader: CatalogReader, state: StoreState) -> str | None:
    """Where the vectors in memory are not the catalog's, None where they all are."""
    held, matrix = state.live_rows_and_vectors()
    at = 0
    for rows, vectors in reader.vectors_after(0, dimension=state.dimension):
        end = at + len(rows)
        if not (np.array_equal(held[at:end], rows) and np.array_equal(matrix[at:end], vectors)):
            return f"the vectors in memory differ from the catalog near row {rows[0]}"
        at = end
    if at != len(held):
        return f"{len(held) - at} vectors in memory are not in the catalog"
    return None
