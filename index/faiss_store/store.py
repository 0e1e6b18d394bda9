"""FaissStore: a cache of the catalog's vectors that can always be rebuilt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import CatalogReader, SnapshotEntry
from index.errors import CatalogError, StoreError
from index.faiss_store import approximate, exact, snapshots
from index.faiss_store.segments import Approximate, StoreState
from index.faiss_store.selection import Selections
from index.reports import ApproximateKind
from index.vectors import RowHits, VectorQuery

_log = logging.getLogger(__name__)

FLAT = "flat"
"""The kind of an exact snapshot."""

APPROXIMATE = "approximate"
"""The kind of an approximate one, which goes with an exact one."""


class FaissStore:
    """FAISS over the catalog's vectors, in memory, saved as a snapshot beside the catalog."""

    def __init__(self, folder: Path, *, dimension: int) -> None:
        self._folder = folder
        self._dimension = dimension
        self._selections = Selections()
        self.lock = threading.Lock()
        """Held while the state moves to another generation."""
        self.state = StoreState(dimension, 0, 0)
        self.rebuilt_because: str | None = None
        """Why the last load could not use the snapshot, None if it could or there was none."""

    def load(self, reader: CatalogReader) -> None:
        """Reads the snapshot and replays what came after it; rebuilds if it cannot be used."""
        with self.lock:
            self.rebuilt_because = None
            self.state = self._from_snapshot(reader)
            try:
                self.state = replayed(self.state, reader)
            except StoreError as error:
                self._report(error)
                self.state = replayed(StoreState(self._dimension, 0, 0), reader)
            self._renumber()

    def level(self, reader: CatalogReader) -> StoreState | None:
        """The state of the reader's generation, replayed if need be; None if already ahead."""
        head = reader.head()
        state = self.state
        if state.generation < head.generation:
            with self.lock:
                if self.state.generation < head.generation:
                    self._replay(reader)
                state = self.state
        return state if state.generation == head.generation else None

    def search(self, reader: CatalogReader, query: VectorQuery) -> list[RowHits] | None:
        """The nearest rows of each query in the reader's generation; None if already ahead."""
        state = self.level(reader)
        if state is None:
            return None
        scope = self._selections.scope(state, reader, query.where)
        if query.approximate:
            if state.approximate is None:
                raise StoreError(
                    "the index has no approximate form: build one with "
                    "LesionIndex.build_approximate, or search exactly"
                )
            found = approximate.search(
                state.approximate, state, query.vectors, k=query.k, scope=scope
            )
        else:
            found = exact.search(state, query.vectors, k=query.k, scope=scope)
        return [RowHits(state.rows_at(hits.positions), hits.similarities) for hits in found]

    def prepare(
        self,
        *,
        generation: int,
        added: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]],
        removed_rows: NDArray[np.int64],
        last_row: int,
    ) -> StoreState:
        """The state after a write that is about to be committed; take it over with ``swap``."""
        return self.state.advanced(
            generation=generation, added=added, removed_rows=removed_rows, last_row=last_row
        )

    def swap(self, state: StoreState) -> None:
        """Takes a prepared state over; the caller holds ``lock``."""
        self.state = state

    def compact(self, state: StoreState) -> tuple[SnapshotEntry, StoreState]:
        """Writes ``state`` without its removed rows to a new file; returns it and its state."""
        index = snapshots.flat_index(state)
        entry = snapshots.write_index(self._folder, index, kind=FLAT, state=state, facts={})
        gone = state.rows_at(state.removed[state.removed < state.pinned])
        compacted = snapshots.flat_state(index, entry, removed_rows=gone)
        return entry, replace(compacted, approximate=state.approximate)

    def build_approximate(
        self, state: StoreState, kind: ApproximateKind
    ) -> tuple[SnapshotEntry, StoreState]:
        """Builds and writes the approximate form of a compacted state."""
        built = approximate.build(state, kind)
        entry = snapshots.write_index(
            self._folder, built.index, kind=APPROXIMATE, state=state, facts=built.facts
        )
        # Read back, it lacks the copy of the vectors it was built on.
        return entry, replace(state, approximate=self._read_approximate(state, entry))

    def adopt(self, state: StoreState) -> None:
        """Goes on from a state of other positions; the caller holds ``lock``."""
        self.rebuilt_because = None
        self.state = replace(state, epoch=self._selections.new_epoch())

    def facts(self, reader: CatalogReader) -> dict[str, Any]:
        """Kind, size, snapshot and approximate form, for ``index info``."""
        saved = reader.snapshots().get(FLAT)
        form = self.state.approximate
        return {
            "kind": "FAISS flat, exact inner product",
            "vectors": self.state.live,
            "bytes": 4 * self.state.dimension * self.state.total,
            "snapshot_generation": None if saved is None else saved.generation,
            "approximate": None if form is None else dict(form.facts),
            "rebuilt_because": self.rebuilt_because,
        }

    def close(self) -> None:
        """Frees the vectors."""
        self.state = StoreState(self._dimension, 0, 0)

    def _from_snapshot(self, reader: CatalogReader) -> StoreState:
        entries = reader.snapshots()
        if FLAT not in entries:
            return StoreState(self._dimension, 0, 0)
        try:
            entry = entries[FLAT]
            index = snapshots.read_index(self._folder, entry)
            removed = reader.removed_between(0, entry.generation)
            state = snapshots.flat_state(index, entry, removed_rows=removed)
        except StoreError as error:
            self._report(error)
            return StoreState(self._dimension, 0, 0)
        return self._with_approximate(state, entries.get(APPROXIMATE))

    def _with_approximate(self, state: StoreState, entry: SnapshotEntry | None) -> StoreState:
        if entry is None:
            return state
        try:
            return replace(state, approximate=self._read_approximate(state, entry))
        except StoreError as error:
            _log.warning("there is no approximate search until it is built again: %s", error)
            return state

    def _read_approximate(self, state: StoreState, entry: SnapshotEntry) -> Approximate:
        index = snapshots.read_index(self._folder, entry)
        form = Approximate(index, int(entry.facts["lesions"]), entry.facts)
        return approximate.attach(form, state)

    def _replay(self, reader: CatalogReader) -> None:
        try:
            self.state = replayed(self.state, reader)
        except StoreError as error:
            self._report(error)
            self.state = replayed(StoreState(self._dimension, 0, 0), reader)
            self._renumber()

    def _report(self, error: StoreError) -> None:
        self.rebuilt_because = str(error)
        _log.warning("FAISS is rebuilt from the catalog: %s", error)

    def _renumber(self) -> None:
        """Gives the state an epoch of its own: selections kept by position are void."""
        self.state = replace(self.state, epoch=self._selections.new_epoch())


def replayed(state: StoreState, reader: CatalogReader) -> StoreState:
    """The state brought to the reader's generation by the catalog's change log.

    Raises:
        StoreError: the state does not lead there; it must be rebuilt from nothing.
        CatalogError: not even from nothing: the catalog contradicts itself.
    """
    head = reader.head()
    if state.generation > head.generation:
        raise StoreError(
            f"the snapshot stands at generation {state.generation}, the catalog at "
            f"{head.generation}"
        )
    added = list(reader.vectors_after(state.last_row, dimension=state.dimension))
    last_row = int(added[-1][0][-1]) if added else state.last_row
    level = state.advanced(
        generation=head.generation,
        added=added,
        removed_rows=reader.removed_between(state.generation, head.generation),
        last_row=last_row,
    )
    if level.live != head.lesion_count:
        message = f"{level.live} vectors after the replay, {head.lesion_count} lesions"
        if state.total == 0:
            raise CatalogError(
                f"the catalog contradicts itself: {message}; restore it from a backup, or build "
                "the index again from its archive"
            )
        raise StoreError(message)
    return level
