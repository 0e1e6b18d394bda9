"""Catalog and Milvus kept level: what ``index.faiss_store.storage`` is for FAISS.

A change is acknowledged when the catalog has it; it is then brought over to Milvus. Whatever of
that a server that was away has missed is brought over by the next search or by ``index sync``.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from index.catalog import creation
from index.catalog.access import CatalogAccess, neighbours
from index.catalog.connections import Connections
from index.catalog.reader import CatalogReader
from index.catalog.writer import CatalogWriter
from index.errors import IndexBusyError, MilvusBehindError, StoreError
from index.files import private
from index.milvus.client import MilvusSettings
from index.milvus.store import CATCH_UP_CHANGES, MilvusStore
from index.milvus.sync import SyncReport
from index.reports import ApproximateKind, IndexProblem, Neighbour, VectorCheck
from index.vectors import Float32, VectorQuery
from retrieval.progress import ReportProgress

LOCK = "milvus.lock"
"""Held by the one program that writes to the collection."""

SYNC_WAIT_S = 30.0
"""How long ``sync_index`` waits for another program that does the same."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class MilvusStorage(CatalogAccess):
    """The catalog, which is the truth, with the collection that follows it; an IndexStorage."""

    def __init__(
        self, connections: Connections, settings: MilvusSettings, *, replace: bool = False
    ) -> None:
        """Connects; raises MilvusError, EncoderMismatchError. ``replace``: see MilvusStore."""
        super().__init__(connections)
        self.store = store = MilvusStore(settings)
        with self.reading() as reader:
            store.load(reader, replace=replace)

    def vectors(self) -> tuple[list[str], Float32]:
        """Every lesion id (n) and its vector (n, dimension), from the catalog itself."""
        with self.reading() as reader:
            ids = dict(reader.ids_of_rows())
            parts = list(reader.vectors_after(0, dimension=self.binding.dimension))
        matrix = np.concatenate(
            [np.empty((0, self.binding.dimension), np.float32), *(part for _, part in parts)]
        )
        return [ids[int(row)] for rows, _ in parts for row in rows], matrix

    def facts(self, reader: CatalogReader) -> dict[str, Any]:
        """Server, collection, its size and the generation it is level with."""
        return self.store.facts(reader)

    def check(self, reader: CatalogReader) -> VectorCheck:
        """Compares the collection, row by row, with the catalog."""
        remedy = "run `lesion-search index sync`: it repairs the collection from the catalog"
        wrong = tuple(IndexProblem(f"Milvus: {what}", remedy) for what in self.store.unlike(reader))
        return VectorCheck(int(self.store.facts(reader)["vectors"]), wrong)

    def write(self, change: Callable[[CatalogWriter], T]) -> T:
        """Runs ``change`` in one write transaction, then brings it over to Milvus.

        When this returns, the change is on the disk. If the server is away, it follows later.
        """
        with self.connections.writing() as connection:
            writer = CatalogWriter(connection)
            answer = change(writer)
            if not writer.changes.any:
                return answer
            writer.finish()
            connection.execute("COMMIT")
        try:
            self.follow(limit=CATCH_UP_CHANGES)
        except (StoreError, IndexBusyError) as error:
            _log.warning("the change is stored but not yet on Milvus: %s", error)
        return answer

    def follow(
        self,
        *,
        limit: int | None = None,
        may_create: bool = True,
        progress: ReportProgress | None = None,
    ) -> SyncReport:
        """Brings the collection level with the catalog; see ``MilvusStore.follow``.

        Raises:
            IndexBusyError: another program does so for longer than the time to wait.
        """
        if self.connections.read_only:
            raise MilvusBehindError(
                f"the Milvus collection does not stand where the index {self.folder} does, which "
                "was opened for reading only: run `lesion-search index sync`"
            )
        with self._locked(), self.reading() as reader:
            return self.store.follow(reader, limit=limit, may_create=may_create, progress=progress)

    def nearest(self, query: VectorQuery) -> list[list[Neighbour]]:
        """The lesions nearest to each query, of one generation."""
        while True:
            with self.reading() as reader:
                found = self.store.search(reader, query)
                if found is not None:
                    generation = reader.head().generation
                    rows = [row for hits in found for row in hits.rows.tolist()]
                    lesions = self.recent.of(rows, reader)
            if found is None:
                self.follow(limit=CATCH_UP_CHANGES, may_create=False)
                continue
            # Only generations of the catalog are ever brought over: while it stands where it
            # stood, nobody can have changed the collection under the search.
            with self.reading() as reader:
                if reader.head().generation == generation:
                    return [neighbours(lesions, hits) for hits in found]

    def snapshot(self) -> None:
        """Brings the collection level: it is what outlasts this program."""
        self.follow()

    def build_approximate(self, kind: ApproximateKind | None = None) -> None:
        """Refuses: Milvus holds the exact form alone."""
        form = "approximate" if kind is None else kind.value
        raise StoreError(f"an index on Milvus is searched exactly, there is no {form} form")

    def drop_approximate(self) -> None:
        """Has nothing to drop."""

    def close(self) -> None:
        """Closes the catalog and the connection."""
        self.connections.close()
        self.store.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        end = time.monotonic() + self.connections.write_timeout_s
        with open(self.folder / LOCK, "ab", opener=private) as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= end:
                        raise IndexBusyError(
                            f"another program is bringing the vectors of {self.folder} to Milvus: "
                            "try again when it has"
                        ) from None
                time.sleep(0.02)
            yield


def sync_index(
    folder: Path,
    settings: MilvusSettings,
    *,
    replace: bool = False,
    progress: ReportProgress | None = None,
) -> SyncReport:
    """Brings a Milvus collection level with the index in a folder; makes it if there is none.

    Args:
        folder: the index's folder.
        settings: where the collection is.
        replace: drops a collection that another index or encoder filled.
        progress: called with (done, total) rows.

    Raises:
        CatalogError: no index there.
        MilvusError, EncoderMismatchError, IndexBusyError: see ``MilvusStore``.
    """
    connections = creation.open_catalog(
        folder, binding=None, read_only=False, write_timeout_s=SYNC_WAIT_S
    )
    try:
        storage = MilvusStorage(connections, settings, replace=replace)
        try:
            return storage.follow(progress=progress)
        finally:
            storage.close()
    finally:
        connections.close()
