"""MilvusStore: the vectors of an index on a Milvus server, for archives that outgrow one machine.

The catalog stays the truth. The collection is a copy of it that says which generation it is
level with; a search is answered from it only at the reader's own generation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.catalog.reader import CatalogReader
from index.errors import MilvusBehindError, MilvusError, StoreError
from index.milvus.client import (
    BOUNDED,
    MOST_HITS,
    SESSION,
    STRONG,
    MilvusCollection,
    MilvusSettings,
)
from index.milvus.expression import expression
from index.milvus.schema import Owner, SyncState
from index.milvus.sync import SyncReport, bring_level, differences
from index.vectors import RowHits, VectorQuery
from retrieval.progress import ReportProgress

CATCH_UP_CHANGES = 5_000
"""So many changes are brought over in passing, in a second or two; ``index sync`` takes more."""

RECHECK_S = 1.0
"""How long the collection's sync state is believed: another program may fill it anew."""

STRONG_FOR_S = 10.0
"""After another program's changes searches ask for all that was acknowledged. Later, Milvus'
bounded staleness (5 s) covers them, and a search need not wait for the server's next tick."""

QUERIES_AT_ONCE = 256
"""Queries of one call."""


@dataclass(frozen=True)
class _Seen:
    """The collection's sync state, when it was read, and who brought it about."""

    sync_state: SyncState
    at_s: float
    since_s: float
    is_own: bool = False


class MilvusStore:
    """Vectors on a Milvus server. Safe to share by threads."""

    def __init__(self, settings: MilvusSettings) -> None:
        """Connects; raises MilvusUnavailableError, MilvusError."""
        self.settings = settings
        self._collection = MilvusCollection(settings)
        self._owner: Owner | None = None
        self._exists = False
        self._seen: _Seen | None = None

    def load(self, reader: CatalogReader, *, replace: bool = False) -> None:
        """Makes sure that the collection, if there is one, is this index's and is loaded.

        Args:
            reader: the catalog.
            replace: drops the collection of another index or encoder instead of refusing it.

        Raises:
            EncoderMismatchError: another encoder filled it.
            MilvusError: another index did, or another program.
        """
        own = Owner.of(reader.identity(), reader.binding())
        self._owner = own
        held = self._collection.owner()
        if held is not None and replace and held != own:
            self._collection.drop()
            held = None
        self._exists = held is not None
        if held is not None:
            own.refuse_other(held, self._collection.name)
            self._collection.load()

    def search(self, reader: CatalogReader, query: VectorQuery) -> list[RowHits] | None:
        """The nearest rows of each query in the reader's generation.

        None where the collection stands at another: ``follow`` then brings it level.
        """
        if query.approximate:
            raise StoreError("Milvus holds the exact form alone: search exactly")
        head = reader.head()
        if not self._stands_at(head.generation):
            return None
        if not head.lesion_count:
            nothing = RowHits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
            return [nothing] * len(query.vectors)
        k = min(query.k, head.lesion_count)
        if k > MOST_HITS:
            raise MilvusError(f"k is {k}: Milvus returns at most {MOST_HITS} neighbours at once")
        condition, found = expression(query.where), []
        for start in range(0, len(query.vectors), QUERIES_AT_ONCE):
            found += self._collection.search(
                query.vectors[start : start + QUERIES_AT_ONCE],
                k=k,
                condition=condition,
                consistency=self._consistency(),
            )
        return [_row_hits(hits) for hits in found]

    def follow(
        self,
        reader: CatalogReader,
        *,
        limit: int | None = None,
        may_create: bool = True,
        progress: ReportProgress | None = None,
    ) -> SyncReport:
        """Brings the collection level with the reader's generation; one program at a time.

        Args:
            reader: the newest generation of the catalog.
            limit: refuses more changes than that and trusts the server to hold what it
                acknowledged; None brings over any number and counts them.
            may_create: makes the collection if there is none.
            progress: called with (done, total) rows.

        Raises:
            MilvusBehindError: more than ``limit`` changes, or no collection.
        """
        if not self._exists:
            self._create(reader, may_create=may_create)
        sync_state = self._collection.sync_state(self._consistency())
        if limit is not None:
            self._refuse_many(reader, sync_state, limit)
        report = bring_level(
            self._collection, reader, sync_state, is_counted=limit is None, progress=progress
        )
        now_s = time.monotonic()
        self._seen = _Seen(report.sync_state, now_s, now_s, is_own=report.compared != "nothing")
        return report

    def unlike(self, reader: CatalogReader) -> Iterator[str]:
        """What the collection holds otherwise than the catalog, a line each; changes nothing."""
        if not self._exists:
            yield f"there is no collection {self._collection.name!r}"
            return
        for difference in differences(self._collection, reader, after=0):
            if difference.stamps:
                first = min(difference.stamps)
                yield f"{len(difference.stamps)} rows are missing or differ, the first is {first}"
            if difference.foreign:
                first = min(difference.foreign)
                yield f"{len(difference.foreign)} rows are not the catalog's, the first is {first}"

    def facts(self, reader: CatalogReader) -> dict[str, Any]:
        """What ``index info`` says of the store."""
        sync_state = self._collection.sync_state(STRONG) if self._exists else SyncState()
        return {
            "kind": "Milvus flat, exact inner product",
            "uri": self.settings.shown_uri,
            "collection": self._collection.name,
            "server_version": self._collection.server_version(),
            "vectors": self._collection.count() if self._exists else 0,
            "generation": sync_state.generation,
            "is_level": sync_state.generation == reader.head().generation,
            "approximate": None,
        }

    def close(self) -> None:
        """Ends the connection."""
        self._collection.close()

    def _create(self, reader: CatalogReader, *, may_create: bool) -> None:
        owner = self._owner or Owner.of(reader.identity(), reader.binding())
        held = self._collection.owner()
        if held is not None:
            owner.refuse_other(held, self._collection.name)
        elif may_create:
            self._collection.create(owner)
        else:
            raise MilvusBehindError(
                f"the Milvus server {self.settings.shown_uri} has no collection "
                f"{self._collection.name!r}: {self._remedy()}"
            )
        self._collection.load()
        self._exists = True

    def _refuse_many(self, reader: CatalogReader, sync_state: SyncState, limit: int) -> None:
        head = reader.head()
        pending = head.lesion_count
        if sync_state.generation <= head.generation:
            removed = reader.removed_between(sync_state.generation, head.generation)
            pending = reader.count("row > ?", (sync_state.last_row,)) + len(removed)
        if pending > limit:
            raise MilvusBehindError(
                f"the Milvus collection {self._collection.name!r} lacks {pending} changes of the "
                f"index: {self._remedy()}"
            )

    def _remedy(self) -> str:
        return (
            f"run `lesion-search index sync --index I --milvus {self.settings.shown_uri} "
            f"--collection {self._collection.name}`"
        )

    def _stands_at(self, generation: int) -> bool:
        """Whether the collection is level with a generation, asked anew every ``RECHECK_S``."""
        if generation == 0 and not self._exists:
            return True
        if not self._exists:
            return False
        seen, now_s = self._seen, time.monotonic()
        is_known = seen is not None and seen.sync_state.generation == generation
        if seen is not None and is_known and now_s - seen.at_s <= RECHECK_S:
            return True
        sync_state = self._collection.sync_state(self._consistency() if is_known else STRONG)
        if seen is not None and sync_state == seen.sync_state:
            self._seen = _Seen(sync_state, now_s, seen.since_s, seen.is_own)
        else:
            self._seen = _Seen(sync_state, now_s, now_s)
        return sync_state.generation == generation

    def _consistency(self) -> str:
        seen = self._seen
        if seen is None or (not seen.is_own and time.monotonic() - seen.since_s < STRONG_FOR_S):
            return STRONG
        return SESSION if seen.is_own else BOUNDED


def _row_hits(hits: list[tuple[int, float]]) -> RowHits:
    rows = np.fromiter((row for row, _ in hits), dtype=np.int64, count=len(hits))
    similarities = np.fromiter((value for _, value in hits), dtype=np.float32, count=len(hits))
    return RowHits(rows, similarities)
